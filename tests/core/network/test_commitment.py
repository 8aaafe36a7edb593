"""Storage Commitment Push Model, both ways, against pynetdicom and against ourselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import StorageCommitmentPushModel

from isocenter.core.dicom.part10 import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from isocenter.core.errors import BoundsError, DataSetError, NetworkError
from isocenter.core.network.acceptor import Acceptor, AcceptorConfig
from isocenter.core.network.client import Peer
from isocenter.core.network.command import NOT_AUTHORISED
from isocenter.core.network.commitment import CommitmentRefused, CommitmentService
from isocenter.core.network.commitment_client import (
    CommitmentNotTaken,
    report_result,
    request_commitment,
)
from isocenter.core.network.commitment_data import (
    WELL_KNOWN_INSTANCE,
    CommitmentRequest,
    CommitmentResult,
    Reference,
    decode_request,
    decode_result,
    encode_request,
    encode_result,
)
from isocenter.core.network.policy import ReceivePolicy
from isocenter.core.network.services import AssociationInfo, NetworkEvent

CT = "1.2.840.10008.5.1.4.1.1.2"
FIRST, SECOND = Reference(CT, "1.2.3.1"), Reference(CT, "1.2.3.2")
REQUEST = CommitmentRequest("2.25.17", (FIRST, SECOND))
KEPT = CommitmentResult("2.25.17", (FIRST, SECOND))
PARTLY = CommitmentResult("2.25.17", (FIRST,), {SECOND: 0x0112})


@dataclass
class Keeper:
    """A provider in memory; ``result`` None: never known."""

    result: CommitmentResult | None = KEPT
    refusal: CommitmentRefused | None = None
    asked: list[CommitmentRequest] = field(default_factory=list)
    results: list[CommitmentResult] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def admit(self, info: AssociationInfo, *, is_result: bool) -> None:
        if self.refusal is not None:
            raise self.refusal

    def accept(self, info: AssociationInfo, request: CommitmentRequest) -> Keeper:
        self.asked.append(request)
        return self

    def take_result(self, info: AssociationInfo, result: CommitmentResult) -> None:
        self.results.append(result)

    def outcome(self) -> CommitmentResult | None:
        return self.result

    def reported(self) -> None:
        self.told.append("reported")

    def leave(self) -> None:
        self.told.append("left")

    def prepare(self) -> None:
        """Nothing to get ready."""

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Running:
    acceptor: Acceptor
    keeper: Keeper
    events: list[NetworkEvent]

    @property
    def peer(self) -> Peer:
        return Peer("127.0.0.1", self.acceptor.addresses[0][1], timeout_s=5)


@pytest.fixture
def keeping() -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def start(keeper: Keeper | None = None, wait_s: float = 1.0) -> Running:
        keeper = keeper or Keeper()
        events: list[NetworkEvent] = []
        config = AcceptorConfig(acse_timeout_s=5, network_timeout_s=5)
        service = CommitmentService(keeper, wait_s=wait_s)
        acceptor = Acceptor(config, [service], ReceivePolicy, events.append)
        acceptor.start()
        running.append(Running(acceptor, keeper, events))
        return running[-1]

    yield start
    for one in running:
        one.acceptor.stop(5)
    assert not [thread for thread in threading.enumerate() if thread.name == "association"]


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("syntax", [IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG])
@pytest.mark.parametrize("result", [KEPT, PARTLY], ids=["kept", "partly"])
def test_data_sets_come_back_as_they_went(syntax: str, result: CommitmentResult) -> None:
    assert decode_request(encode_request(REQUEST, syntax), syntax) == REQUEST
    assert decode_result(encode_result(result, syntax), syntax) == result


def test_as_many_instances_as_a_big_study_has() -> None:
    many = tuple(Reference(CT, f"1.2.3.{number}") for number in range(20_000))
    request = CommitmentRequest("2.25.1", many)
    assert decode_request(encode_request(request, IMPLICIT_LITTLE), IMPLICIT_LITTLE) == request


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for decode in (decode_request, decode_result):
        try:
            decode(raw, IMPLICIT_LITTLE)
        except (DataSetError, BoundsError):
            continue


@pytest.mark.parametrize("result", [KEPT, PARTLY], ids=["kept", "partly"])
def test_a_peer_that_waits_hears_on_its_own_association(
    keeping: Callable[..., Running], result: CommitmentResult
) -> None:
    running = keeping(Keeper(result))
    assert request_commitment(running.peer, REQUEST, wait_s=3) == result
    assert running.keeper.asked == [REQUEST]
    until(lambda: running.keeper.told == ["reported"])


def test_a_peer_that_goes_is_told_later(keeping: Callable[..., Running]) -> None:
    running = keeping(Keeper(None))
    assert request_commitment(running.peer, REQUEST, wait_s=0.05) is None
    until(lambda: running.keeper.told == ["left"])
    until(lambda: running.events[-1].kind == "ASSOCIATION_RELEASED")


def test_what_is_not_known_soon_is_told_later(keeping: Callable[..., Running]) -> None:
    running = keeping(Keeper(None), wait_s=0.3)
    assert request_commitment(running.peer, REQUEST, wait_s=1) is None
    assert running.keeper.told == ["left"]


def test_a_refusal_says_why(keeping: Callable[..., Running]) -> None:
    running = keeping(Keeper(refusal=CommitmentRefused(NOT_AUTHORISED, "not for you")))
    with pytest.raises(CommitmentNotTaken, match="0124H: not for you") as refused:
        request_commitment(running.peer, REQUEST, wait_s=1)
    assert refused.value.status == NOT_AUTHORISED
    with pytest.raises(CommitmentNotTaken, match="0124H"):
        report_result(running.peer, KEPT)


def test_nothing_is_read_of_who_may_not_ask(keeping: Callable[..., Running]) -> None:
    running = keeping(Keeper(refusal=CommitmentRefused(NOT_AUTHORISED, "not for you")))
    nonsense = CommitmentRequest("", ())
    association, status = asking(running.peer.port, [], data_set(nonsense))
    association.release()
    assert status == NOT_AUTHORISED


def test_a_result_is_taken_from_the_scp_of_an_association(
    keeping: Callable[..., Running],
) -> None:
    running = keeping()
    report_result(running.peer, PARTLY)
    assert running.keeper.results == [PARTLY]


def test_who_offers_no_commitment_is_named(keeping: Callable[..., Running]) -> None:
    from isocenter.core.network.verification import VerificationService

    acceptor = Acceptor(AcceptorConfig(), [VerificationService()], ReceivePolicy, lambda _: None)
    acceptor.start()
    peer = Peer("127.0.0.1", acceptor.addresses[0][1], timeout_s=5)
    try:
        with pytest.raises(CommitmentNotTaken, match="does not offer"):
            request_commitment(peer, REQUEST, wait_s=1)
        with pytest.raises(NetworkError):
            report_result(peer, KEPT)
    finally:
        acceptor.stop(5)


# pynetdicom


def data_set(request: CommitmentRequest) -> Dataset:
    content = Dataset()
    content.TransactionUID = request.transaction_uid
    content.ReferencedSOPSequence = [item(reference) for reference in request.references]
    return content


def item(reference: Reference) -> Dataset:
    content = Dataset()
    content.ReferencedSOPClassUID = reference.sop_class_uid
    content.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return content


def asking(port: int, heard: list[Any], content: Dataset, **changes: Any) -> tuple[Any, int]:
    """pynetdicom asks with N-ACTION; the association and the status."""

    def event(happened: Any) -> tuple[int, None]:
        heard.append((happened.event_type, happened.event_information))
        return 0x0000, None

    entity = AE(ae_title="SCU")
    entity.add_requested_context(StorageCommitmentPushModel)
    association = entity.associate(
        "127.0.0.1", port, evt_handlers=[(evt.EVT_N_EVENT_REPORT, event)]
    )
    assert association.is_established
    given = {"action_type": 1, "instance_uid": WELL_KNOWN_INSTANCE, **changes}
    status, _ = association.send_n_action(
        content, given["action_type"], StorageCommitmentPushModel, given["instance_uid"]
    )
    return association, status.Status


def test_pynetdicom_asks_and_hears_on_its_association(keeping: Callable[..., Running]) -> None:
    running, heard = keeping(Keeper(PARTLY)), []
    association, status = asking(running.peer.port, heard, data_set(REQUEST))
    assert status == 0
    until(lambda: heard)
    kind, content = heard[0]
    assert (kind, content.TransactionUID) == (2, "2.25.17")
    assert content.FailedSOPSequence[0].FailureReason == 0x0112
    assert content.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.1"
    until(lambda: running.keeper.told == ["reported"])
    association.release()


@pytest.mark.parametrize(
    ("changes", "content", "status"),
    [
        ({"action_type": 2}, REQUEST, 0x0123),
        ({"instance_uid": "1.2.3"}, REQUEST, 0x0112),
        ({}, CommitmentRequest("2.25.17", ()), 0x0115),
        ({}, CommitmentRequest("", (FIRST,)), 0x0115),
    ],
    ids=["action", "instance", "nothing", "transaction"],
)
def test_requests_that_make_no_sense(
    keeping: Callable[..., Running],
    changes: dict[str, Any],
    content: CommitmentRequest,
    status: int,
) -> None:
    running = keeping()
    association, answered = asking(running.peer.port, [], data_set(content), **changes)
    association.release()
    assert (answered, running.keeper.asked) == (status, [])


@pytest.fixture
def scp() -> Iterator[Callable[..., tuple[Peer, list[Any]]]]:
    """pynetdicom as SCP; ``status`` of N-ACTION, and what it reports on the same association."""
    servers = []

    def start(status: int = 0, report: bool = True) -> tuple[Peer, list[Any]]:
        asked: list[Any] = []

        def action(happened: Any) -> tuple[int, None]:
            asked.append(happened.action_information)
            if report:
                threading.Timer(0.2, tell, [happened.assoc, happened.action_information]).start()
            return status, None

        def tell(association: Any, content: Dataset) -> None:
            association.send_n_event_report(
                content, 1, StorageCommitmentPushModel, WELL_KNOWN_INSTANCE
            )

        def event(happened: Any) -> tuple[int, None]:
            asked.append(happened.event_information)
            return status, None

        entity = AE(ae_title="SCP")
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        handlers = [(evt.EVT_N_ACTION, action), (evt.EVT_N_EVENT_REPORT, event)]
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        servers.append(server)
        return Peer("127.0.0.1", server.server_address[1], timeout_s=5), asked

    yield start
    for server in servers:
        server.shutdown()


def test_pynetdicom_commits_on_our_association(scp: Callable[..., Any]) -> None:
    peer, asked = scp()
    assert request_commitment(peer, REQUEST, wait_s=5) == KEPT
    assert asked[0].TransactionUID == "2.25.17"


def test_pynetdicom_commits_later(scp: Callable[..., Any]) -> None:
    peer, _ = scp(report=False)
    assert request_commitment(peer, REQUEST, wait_s=0.2) is None


def test_pynetdicom_refuses(scp: Callable[..., Any]) -> None:
    peer, _ = scp(status=0x0213, report=False)
    with pytest.raises(CommitmentNotTaken, match="0213H"):
        request_commitment(peer, REQUEST, wait_s=1)


def test_pynetdicom_hears_over_an_association_of_ours(scp: Callable[..., Any]) -> None:
    peer, heard = scp(report=False)
    report_result(peer, PARTLY)
    assert heard[0].FailedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.2"


def test_pynetdicom_reports_over_its_own_association(keeping: Callable[..., Running]) -> None:
    running = keeping()
    entity = AE(ae_title="SCP")
    entity.add_requested_context(StorageCommitmentPushModel)
    association = entity.associate(
        "127.0.0.1",
        running.peer.port,
        ext_neg=[build_role(StorageCommitmentPushModel, scp_role=True)],
    )
    assert association.is_established
    status, _ = association.send_n_event_report(
        data_set(REQUEST), 1, StorageCommitmentPushModel, WELL_KNOWN_INSTANCE
    )
    association.release()
    assert (status.Status, running.keeper.results) == (0, [KEPT])
