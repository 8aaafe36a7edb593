"""Every DIMSE operation, walked with every kind of caller.

A new service or SOP class of the receiver has to be written into the table below, or these tests
fail. It says which right of a node is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.presentation import build_role

from isocenter.apps.accounts.rights import DimseRight
from isocenter.apps.archive.services import write_receive_policy
from isocenter.apps.archive.spool import EventJournal, Spool
from isocenter.apps.transfers.models import Node
from isocenter.core.network.acceptor import Acceptor
from isocenter.core.network.commitment_data import WELL_KNOWN_INSTANCE
from isocenter.core.network.registry import NON_STORAGE_SOP_CLASSES
from isocenter.core.network.services import find_service
from isocenter.core.network.sop_classes import (
    FIND_CLASSES,
    GET_CLASSES,
    MOVE_CLASSES,
    STORAGE_COMMITMENT,
    VERIFICATION,
)
from isocenter.runtime.layout import Layout
from isocenter.runtime.receiver import build_acceptor
from isocenter.runtime.settings import Settings

pytestmark = pytest.mark.django_db(transaction=True)

CT = "1.2.840.10008.5.1.4.1.1.2"
STORE, QUERY, RETRIEVE, COMMIT = DimseRight
NODE = "any node"  # it is enough to be one
FREE = "everybody"

# Service of the acceptor, operation, what is needed.
OPERATIONS: tuple[tuple[str, str, str], ...] = (
    ("VerificationService", "C-ECHO", FREE),
    ("StorageService", "C-STORE", STORE),
    ("FindService", "C-FIND", QUERY),
    ("MoveService", "C-MOVE", RETRIEVE),
    ("GetService", "C-GET", RETRIEVE),
    ("CommitmentService", "N-ACTION", COMMIT),
    ("CommitmentService", "N-EVENT-REPORT", NODE),
)
# Besides storage, which every SOP class is that is not in the register of others.
SOP_CLASSES: dict[str, frozenset[str]] = {
    "C-ECHO": frozenset({VERIFICATION}),
    "C-FIND": FIND_CLASSES,
    "C-MOVE": MOVE_CLASSES,
    "C-GET": GET_CLASSES,
    "N-ACTION": frozenset({STORAGE_COMMITMENT}),
}
REFUSED = frozenset({0x0124, 0xC001})
FAILED = frozenset({0x0110, 0x0213, 0xA700, 0xC002})  # of who may ask, and gets no answer


@dataclass(frozen=True)
class Caller:
    """Who calls, as ``PEER`` from 127.0.0.1.

    Attributes:
        node: what differs from an open node at this address; None: there is none.
        may: rights that it should have.
        is_node: whether it should be known.
    """

    name: str
    node: dict[str, Any] | None
    may: frozenset[DimseRight] = frozenset()
    is_node: bool = True
    unknown: str = "store"


ALL = list(map(str, DimseRight))
ONLY_STORE = frozenset({STORE})
CALLERS = (
    Caller("unknown", None, ONLY_STORE, is_node=False),
    Caller("unknown-refused", None, is_node=False, unknown="refuse"),
    Caller("other-title", {"ae_title": "OTHER", "allows": ALL}, ONLY_STORE, is_node=False),
    Caller("other-address", {"host": "192.0.2.1", "allows": ALL}, ONLY_STORE, is_node=False),
    Caller(
        "other-address-refused",
        {"host": "192.0.2.1", "allows": ALL},
        is_node=False,
        unknown="refuse",
    ),
    Caller("no-tls", {"demands": "tls", "allows": ALL}, ONLY_STORE, is_node=False),
    Caller("folder", {"kind": "folder", "allows": ALL}, ONLY_STORE, is_node=False),
    Caller("no-right", {"allows": []}),
    *(Caller(f"only-{each}", {"allows": [str(each)]}, frozenset({each})) for each in DimseRight),
    Caller("all", {"allows": ALL}, frozenset(DimseRight), unknown="refuse"),
    Caller("disabled", {"enabled": False, "allows": ALL}, ONLY_STORE),
    Caller("disabled-without-store", {"enabled": False, "allows": ["query"]}),
    Caller("by-name", {"host": "localhost", "allows": ALL}, frozenset(DimseRight)),
)


@dataclass
class Asking:
    """pynetdicom as PEER; each operation on an association of its own."""

    port: int
    statuses: dict[str, int] = field(default_factory=dict)

    def all_operations(self) -> dict[str, int]:
        return {operation: getattr(self, _method(operation))() for _, operation, _ in OPERATIONS}

    def c_echo(self) -> int:
        return self._with(VERIFICATION, lambda it: it.send_c_echo())

    def c_store(self) -> int:
        content = Dataset()
        content.SOPClassUID, content.SOPInstanceUID = CT, "1.2.3.4"
        content.PatientID, content.StudyInstanceUID, content.SeriesInstanceUID = "1", "1.2", "1.3"
        content.file_meta = Dataset()  # type: ignore[assignment]
        content.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        return self._with(CT, lambda it: it.send_c_store(content))

    def c_find(self) -> int:
        uid = max(FIND_CLASSES)
        return self._with(uid, lambda it: _last(it.send_c_find(_question(), uid)))

    def c_move(self) -> int:
        uid = max(MOVE_CLASSES)
        return self._with(uid, lambda it: _last(it.send_c_move(_question(), "NOWHERE", uid)))

    def c_get(self) -> int:
        uid = max(GET_CLASSES)
        return self._with(uid, lambda it: _last(it.send_c_get(_question(), uid)))

    def n_action(self) -> int:
        return self._with(
            STORAGE_COMMITMENT,
            lambda it: it.send_n_action(_transaction(), 1, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE)[
                0
            ],
        )

    def n_event_report(self) -> int:
        return self._with(
            STORAGE_COMMITMENT,
            lambda it: it.send_n_event_report(
                _transaction(), 1, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
            )[0],
            roles=[build_role(STORAGE_COMMITMENT, scp_role=True)],
        )

    def _with(self, uid: str, ask: Callable[[Any], Any], roles: list[Any] | None = None) -> int:
        entity = AE("PEER")
        entity.add_requested_context(uid, ExplicitVRLittleEndian)
        association = entity.associate("127.0.0.1", self.port, ext_neg=roles)
        assert association.is_established
        try:
            return int(ask(association).Status)
        finally:
            association.release()


def _method(operation: str) -> str:
    return operation.lower().replace("-", "_")


def _last(answers: Iterator[tuple[Any, Any]]) -> Any:
    return [status for status, _ in answers][-1]


def _question() -> Dataset:
    content = Dataset()
    content.QueryRetrieveLevel = "STUDY"
    content.StudyInstanceUID = "1.2.3"
    return content


def _transaction() -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, "1.2.3.4"
    content = Dataset()
    content.TransactionUID = "2.25.99"
    content.ReferencedSOPSequence = [item]
    return content


@pytest.fixture
def receiver(installation: Layout) -> Iterator[Callable[[], Acceptor]]:
    """The receiver's own acceptor, in this process."""
    running: list[tuple[Acceptor, EventJournal, Spool]] = []

    def start() -> Acceptor:
        spool = Spool(installation.spool, segment_bytes=1 << 20)
        journal = EventJournal(installation.spool)
        policy = installation.run / "receive-policy.json"
        acceptor = build_acceptor(settings.ISOCENTER, spool, journal, policy)
        acceptor.start()
        running.append((acceptor, journal, spool))
        return acceptor

    yield start
    for acceptor, journal, spool in running:
        acceptor.stop(10)
        journal.close()
        spool.close()


@pytest.fixture
def local(installation: Layout) -> None:
    _with_receiver(hosts=["127.0.0.1"], port=0)


def _with_receiver(**receiver: Any) -> None:
    values = settings.ISOCENTER.model_dump()
    settings.ISOCENTER = Settings(**{**values, "receiver": {**values["receiver"], **receiver}})


def test_every_service_has_an_expectation(local: None, receiver: Callable[[], Acceptor]) -> None:
    services = receiver()._services
    known = {service for service, _, _ in OPERATIONS}
    assert {type(service).__name__ for service in services} == known
    expected = frozenset().union(*SOP_CLASSES.values())
    offered = {uid for uid in NON_STORAGE_SOP_CLASSES if find_service(services, uid) is not None}
    assert offered == expected
    for operation, uids in SOP_CLASSES.items():
        own = {service for service, name, _ in OPERATIONS if name == operation}
        assert {type(find_service(services, uid)).__name__ for uid in uids} == own


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
def test_callers_are_let_in_where_their_rights_are_enough(
    local: None, receiver: Callable[[], Acceptor], caller: Caller
) -> None:
    _with_receiver(unknown_callers=caller.unknown)
    if caller.node is not None:
        values = {"kind": "dimse", "ae_title": "PEER", "host": "127.0.0.1", "port": 104}
        Node.objects.create(name="peer", **{**values, **caller.node})
    for _ in range(2):  # host names are looked up beside us
        write_receive_policy()
    statuses = Asking(receiver().addresses[0][1]).all_operations()
    assert not FAILED & set(statuses.values()), statuses
    let_in = {operation for operation, status in statuses.items() if status not in REFUSED}
    expected = {
        operation
        for _, operation, needed in OPERATIONS
        if needed == FREE or needed in caller.may or (needed == NODE and caller.is_node)
    }
    assert let_in == expected, {name: f"{status:04X}" for name, status in statuses.items()}
