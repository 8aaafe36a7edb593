"""C-GET and C-MOVE over what the archive stores."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from isocenter.apps.accounts.rights import DimseRight
from isocenter.apps.archive.queries import StoredInstance, stored
from isocenter.apps.dimse.answering import answering, end_of_association, require
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


class ArchiveRetriever:
    """A `MoveProvider`."""

    def select(self, retrieval: Retrieval, caller: AssociationInfo) -> Selection:
        """Find the instances for a node that may retrieve."""
        with answering():
            require(caller, DimseRight.RETRIEVE)
            files = [_file(row) for row in islice(_stored(retrieval), MOST + 1)]
        if len(files) > MOST:
            raise QueryRefused(
                OUT_OF_RESOURCES_MATCHES, f"more than {MOST} instances; ask for less at once"
            )
        return Selection(len(files), iter(files))

    def destination(self, ae_title: str, caller: AssociationInfo) -> Destination | None:
        """The node that a node may send to."""
        with answering():
            require(caller, DimseRight.RETRIEVE)
            node = node_by_ae_title(ae_title)
            if node is None:
                return None
            associations = 1 if node.rate_mb_s else node.max_associations
            return Destination(paced_peer_of(node), max(1, min(associations, MAX_ASSOCIATIONS)))

    def prepare(self) -> None:
        """All is there."""

    def close(self) -> None:
        """The association of this thread has ended."""
        end_of_association()


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
