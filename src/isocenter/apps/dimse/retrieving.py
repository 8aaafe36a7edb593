"""C-GET and C-MOVE over what the archive stores."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from isocenter.apps.accounts.rights import DimseRight
from isocenter.apps.archive.queries import StoredInstance, recent_syntaxes, stored
from isocenter.apps.dimse.answering import answering, require
from isocenter.apps.dimse.database import asked
from isocenter.apps.transfers.queries import node_by_ae_title, paced_peer_of
from isocenter.core.network.query_model import (
    OUT_OF_RESOURCES_MATCHES,
    QueryLevel,
    QueryRefused,
    Retrieval,
)
from isocenter.core.network.requestor import MAX_ASSOCIATIONS
from isocenter.core.network.retrieval import Destination, Selection, StoredFile
from isocenter.core.network.services import AssociationInfo

#: Instances of one request; their number has to be known before the first goes.
MOST = 200_000
_LOOKED_AT = 2000
_FRESH_S = 60.0


class ArchiveRetriever:
    """A `MoveProvider`."""

    def select(self, retrieval: Retrieval, caller: AssociationInfo) -> Selection:
        """Find the instances for a node that may retrieve."""

        def read() -> list[StoredFile]:
            require(caller, DimseRight.RETRIEVE)
            return [_file(row) for row in islice(_stored(retrieval), MOST + 1)]

        with answering():
            files = asked(read)
        if len(files) > MOST:
            raise QueryRefused(
                OUT_OF_RESOURCES_MATCHES, f"more than {MOST} instances; ask for less at once"
            )
        return Selection(len(files), iter(files))

    def preferred_syntax(self, sop_class: str) -> str:
        """What most of the last instances of a class came in."""
        with _lock:
            if time.monotonic() - _recent.at > _FRESH_S:
                _recent.at = time.monotonic()
                _recent.syntaxes = _common_syntaxes()
            return _recent.syntaxes.get(sop_class, "")

    def destination(self, ae_title: str, caller: AssociationInfo) -> Destination | None:
        """The node that a node may send to."""

        def read() -> Destination | None:
            require(caller, DimseRight.RETRIEVE)
            node = node_by_ae_title(ae_title)
            if node is None:
                return None
            associations = 1 if node.rate_mb_s else node.max_associations
            return Destination(paced_peer_of(node), max(1, min(associations, MAX_ASSOCIATIONS)))

        with answering():
            return asked(read)

    def prepare(self) -> None:
        """All is there."""

    def close(self) -> None:
        """The association has ended; it holds nothing."""


@dataclass
class _Recent:
    at: float = float("-inf")
    syntaxes: Mapping[str, str] = field(default_factory=dict)


_lock = threading.Lock()
_recent = _Recent()


def _common_syntaxes() -> dict[str, str]:
    """By SOP class; empty where the database does not answer."""
    try:
        with answering():
            counts = Counter(asked(lambda: list(recent_syntaxes(_LOOKED_AT))))
    except QueryRefused:
        return {}
    return {sop_class: syntax for (sop_class, syntax), _ in reversed(counts.most_common())}


def _stored(retrieval: Retrieval) -> Iterator[StoredInstance]:
    patient = retrieval.patient_id
    if retrieval.level is QueryLevel.PATIENT:
        return stored(patient_id=patient)
    if retrieval.level is QueryLevel.STUDY:
        return stored(study_uids=retrieval.study_uids, patient_id=patient)
    study = retrieval.study_uids[0]
    if retrieval.level is QueryLevel.SERIES:
        return stored(study_uid=study, series_uids=retrieval.series_uids, patient_id=patient)
    return stored(
        study_uid=study,
        series_uid=retrieval.series_uids[0],
        sop_uids=retrieval.sop_uids,
        patient_id=patient,
    )


def _file(row: StoredInstance) -> StoredFile:
    return StoredFile(row.path, row.sop_class_uid, row.sop_uid, row.transfer_syntax_uid)
