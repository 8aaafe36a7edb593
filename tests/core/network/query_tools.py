"""A library of a few instances: what the query and retrieve services ask of in tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import build_context, build_role

from isocenter.core.network.answers import Field
from isocenter.core.network.client import Peer
from isocenter.core.network.find import Findings
from isocenter.core.network.identifiers import Element, Values
from isocenter.core.network.query_model import Query, QueryRefused, Retrieval
from isocenter.core.network.requestor import read_item
from isocenter.core.network.retrieval import Destination, Selection, StoredFile
from isocenter.core.network.services import AssociationInfo

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
PATIENT_GET = "1.2.840.10008.5.1.4.1.2.1.3"
_ENDLESS = (Element(0x00100020, "LO", ("P" * 60,)),)


@dataclass
class Library:
    """A provider of everything.

    Attributes:
        gate: an answer or a selection waits for it.
    """

    answers: Sequence[Sequence[Element]] = ()
    files: Sequence[Path] = ()
    nodes: dict[str, Peer] = field(default_factory=dict)
    refusal: QueryRefused | None = None
    is_partial: bool = False
    preferred: str = ""
    endless: bool = False
    pause_s: float = 0.0  # between answers without end
    queries: list[Query] = field(default_factory=list)
    retrievals: list[Retrieval] = field(default_factory=list)
    callers: list[AssociationInfo] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    closed: int = 0

    def prepare(self) -> None:
        """All is there."""

    def close(self) -> None:
        self.closed += 1

    def find(self, query: Query, caller: AssociationInfo) -> Findings:
        self._refuse()
        self.queries.append(query)
        self.callers.append(caller)
        shape = self.answers[0] if self.answers else _ENDLESS
        fields = [Field(element.tag, element.vr) for element in shape]
        return Findings(fields, self._answers(), self.is_partial)

    def select(self, retrieval: Retrieval, caller: AssociationInfo) -> Selection:
        self._refuse()
        self.retrievals.append(retrieval)
        self.callers.append(caller)
        return Selection(len(self.files), map(stored, self.files))

    def preferred_syntax(self, sop_class: str) -> str:
        return self.preferred

    def destination(self, ae_title: str, caller: AssociationInfo) -> Destination | None:
        peer = self.nodes.get(ae_title)
        return None if peer is None else Destination(peer, 2)

    def _answers(self) -> Iterator[Sequence[Values]]:
        for answer in self.answers:
            yield [element.values for element in answer]
        while self.endless:
            time.sleep(self.pause_s)
            yield [element.values for element in _ENDLESS]

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise self.refusal


def stored(path: Path) -> StoredFile:
    if not path.exists():
        return StoredFile(path, "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", "1.2.840.10008.1.2.1")
    item = read_item(path)
    return StoredFile(path, item.sop_class_uid, item.sop_instance_uid, item.transfer_syntax_uid)


def question(level: str | None, **keys: Any) -> Dataset:
    ds = Dataset()
    if level is not None:
        ds.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


class Client:
    """pynetdicom as the peer that asks."""

    def __init__(
        self,
        port: int,
        *contexts: Any,
        roles: Sequence[str] = (),
        handlers: Sequence[Any] = (),
        extended: Sequence[Any] = (),
        tls_args: Any = None,
    ) -> None:
        entity = ApplicationEntity(ae_title="ASKER")
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
        proposed = [
            build_context(one) if isinstance(one, str) else build_context(*one) for one in contexts
        ]
        self.association = entity.associate(
            "127.0.0.1",
            port,
            contexts=proposed,
            ext_neg=[*(build_role(uid, scp_role=True) for uid in roles), *extended],
            evt_handlers=list(handlers),
            tls_args=tls_args,
        )
        assert self.association.is_established

    def __enter__(self) -> Any:
        return self.association

    def __exit__(self, *_: object) -> None:
        if self.association.is_established:
            self.association.release()
