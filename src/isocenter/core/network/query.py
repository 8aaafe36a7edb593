"""Questions to a peer (C-FIND, PS3.4 annex C) that completion asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from isocenter.core.errors import NetworkError

from .client import Peer
from .tls import client_context

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_PENDING = (0xFF00, 0xFF01)


def count_study(peer: Peer, study_uid: str, timeout_s: float) -> int | None:
    """How many instances of a study a peer has, by C-FIND in the study root model.

    NumberOfStudyRelatedInstances where the peer keeps it, else the number of matches at image
    level, series by series. None when the peer does not know the study.

    Raises:
        NetworkError: it cannot be reached, does not offer the query, or fails it.
    """
    with _Query(peer, timeout_s) as query:
        studies = list(query.find("STUDY", StudyInstanceUID=study_uid, **{_COUNT: ""}))
        if not studies:
            return None
        counts = [count for study in studies if (count := _count_of(study)) is not None]
        if counts:
            return max(counts)
        series = query.find("SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID="")
        uids = [str(found.get("SeriesInstanceUID", "")) for found in series]
        return sum(
            1
            for uid in uids
            for _ in query.find(
                "IMAGE", StudyInstanceUID=study_uid, SeriesInstanceUID=uid, SOPInstanceUID=""
            )
        )


_COUNT = "NumberOfStudyRelatedInstances"


class _Query:
    """An association for C-FIND."""

    def __init__(self, peer: Peer, timeout_s: float) -> None:
        from pynetdicom.ae import ApplicationEntity

        self._peer = peer
        entity = ApplicationEntity(ae_title=peer.calling_ae_title)
        entity.acse_timeout = entity.dimse_timeout = timeout_s
        entity.network_timeout = entity.connection_timeout = timeout_s
        entity.add_requested_context(_STUDY_ROOT_FIND)
        tls = None if peer.tls is None else (client_context(peer.tls), peer.host)
        self._association: Any = entity.associate(
            peer.host, peer.port, ae_title=peer.called_ae_title, tls_args=tls
        )
        if not self._association.is_established:
            raise NetworkError(f"{peer} gives no association for a query")

    def find(self, level: str, **keys: str) -> Iterator[Dataset]:
        """Matches at a level of the study root model."""
        from pydicom.dataset import Dataset

        question = Dataset()
        question.QueryRetrieveLevel = level
        for keyword, value in keys.items():
            setattr(question, keyword, value or None)
        for status, match in self._association.send_c_find(question, _STUDY_ROOT_FIND):
            code = getattr(status, "Status", None)
            if code is None:
                raise NetworkError(f"{self._peer} did not answer a query in time, or aborted")
            if code in _PENDING and match is not None:
                yield match
            elif code not in (0x0000, *_PENDING):
                raise NetworkError(f"{self._peer} answered a query with status {code:04X}H")

    def __enter__(self) -> _Query:
        return self

    def __exit__(self, *_: object) -> None:
        if self._association.is_established:
            self._association.release()


def _count_of(match: Dataset) -> int | None:
    value = match.get(_COUNT)
    try:
        return None if value in (None, "") else int(value)
    except (TypeError, ValueError):
        return None
