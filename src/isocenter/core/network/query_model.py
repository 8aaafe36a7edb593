"""Query/retrieve information models (PS3.4 C.3, C.6): levels, unique keys, what a request asks.

Hierarchical behaviour only: the unique key of each level above must be there, as one value.
Relational queries and retrievals are refused with a sentence. The one exception is the patient ID
in the patient root model, which many clients leave out: study UIDs are unique without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from isocenter.core.errors import DicomError

from .command import CANNOT_UNDERSTAND, DATA_SET_DOES_NOT_MATCH
from .identifiers import Identifier
from .sop_classes import PATIENT_ROOT

QUERY_RETRIEVE_LEVEL = 0x00080052
PATIENT_ID = 0x00100020
STUDY_UID = 0x0020000D
SERIES_UID = 0x0020000E
SOP_UID = 0x00080018

#: Refused: not authorised. PS3.4 has no code of its own for it in annex C.
NOT_AUTHORISED = CANNOT_UNDERSTAND | 0x0001
#: The archive cannot be asked now, or has not answered.
UNABLE_TO_PROCESS = CANNOT_UNDERSTAND | 0x0002
OUT_OF_RESOURCES_MATCHES = 0xA701
OUT_OF_RESOURCES_SUB_OPERATIONS = 0xA702
DESTINATION_UNKNOWN = 0xA801
CANCELLED = 0xFE00
PENDING, PENDING_UNSUPPORTED_KEYS = 0xFF00, 0xFF01
SUB_OPERATIONS_WITH_FAILURES = 0xB000

_MAX_UIDS = 10_000


class QueryLevel(StrEnum):
    """Query/Retrieve Level (0008,0052); the order is that of the hierarchy."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


UNIQUE_KEYS = {
    QueryLevel.PATIENT: PATIENT_ID,
    QueryLevel.STUDY: STUDY_UID,
    QueryLevel.SERIES: SERIES_UID,
    QueryLevel.IMAGE: SOP_UID,
}
_NAMES = {
    PATIENT_ID: "PatientID",
    STUDY_UID: "StudyInstanceUID",
    SERIES_UID: "SeriesInstanceUID",
    SOP_UID: "SOPInstanceUID",
}


class QueryRefused(DicomError):
    """A query or retrieval that is answered with a failure.

    Attributes:
        status: of the DIMSE response.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Query:
    """What a C-FIND asks.

    Attributes:
        is_fuzzy: fuzzy matching of names was negotiated.
        is_combined: matching of a date and a time as one moment was negotiated.
    """

    sop_class: str
    level: QueryLevel
    identifier: Identifier
    is_fuzzy: bool = False
    is_combined: bool = False


@dataclass(frozen=True)
class Retrieval:
    """What a C-GET or C-MOVE asks for; the UIDs of ``level`` may be several.

    Attributes:
        patient_id: None where the request has none.
    """

    sop_class: str
    level: QueryLevel
    patient_id: str | None = None
    study_uids: tuple[str, ...] = ()
    series_uids: tuple[str, ...] = ()
    sop_uids: tuple[str, ...] = ()


def read_query(sop_class: str, identifier: Identifier, agreed: bytes = b"") -> Query:
    """Look at the identifier of a C-FIND (PS3.4 C.4.1.2.1).

    Args:
        agreed: extended negotiation of the SOP class (PS3.4 C.5.1.1).

    Raises:
        QueryRefused: the level is none of the model, or a unique key above it is missing.
    """
    level = _level(sop_class, identifier)
    _check_above(sop_class, level, identifier)
    _, is_combined, is_fuzzy = (agreed + bytes(3))[:3]
    return Query(sop_class, level, identifier, bool(is_fuzzy), bool(is_combined))


def read_retrieval(sop_class: str, identifier: Identifier) -> Retrieval:
    """Look at the identifier of a C-GET or C-MOVE (PS3.4 C.4.2.1.4.1, C.4.3.1.3.1).

    Raises:
        QueryRefused: as :func:`read_query`; the unique key of the level is missing, or no UID.
    """
    level = _level(sop_class, identifier)
    _check_above(sop_class, level, identifier)
    key = UNIQUE_KEYS[level]
    values = _values(identifier, key)
    if not values:
        raise QueryRefused(DATA_SET_DOES_NOT_MATCH, f"{_NAMES[key]} is needed to retrieve")
    if len(values) > _MAX_UIDS:
        raise QueryRefused(OUT_OF_RESOURCES_MATCHES, f"more than {_MAX_UIDS} UIDs in one request")
    for uid_key in (STUDY_UID, SERIES_UID, SOP_UID):
        _check_uids(uid_key, _values(identifier, uid_key))
    patient = _values(identifier, PATIENT_ID)
    if len(patient) > 1 or any(character in value for value in patient for character in "*?"):
        raise QueryRefused(DATA_SET_DOES_NOT_MATCH, "PatientID must be one value to retrieve")
    depth = list(QueryLevel).index(level)
    return Retrieval(
        sop_class,
        level,
        patient_id=patient[0] if patient and sop_class in PATIENT_ROOT else None,
        study_uids=_values(identifier, STUDY_UID) if depth >= 1 else (),
        series_uids=_values(identifier, SERIES_UID) if depth >= 2 else (),
        sop_uids=_values(identifier, SOP_UID) if depth >= 3 else (),
    )


def _level(sop_class: str, identifier: Identifier) -> QueryLevel:
    text = identifier.texts.get(QUERY_RETRIEVE_LEVEL, "")
    if not text:
        raise QueryRefused(DATA_SET_DOES_NOT_MATCH, "QueryRetrieveLevel (0008,0052) is missing")
    try:
        level = QueryLevel(text)
    except ValueError:
        raise QueryRefused(
            DATA_SET_DOES_NOT_MATCH, "QueryRetrieveLevel is not PATIENT, STUDY, SERIES, IMAGE"
        ) from None
    if level is QueryLevel.PATIENT and sop_class not in PATIENT_ROOT:
        raise QueryRefused(DATA_SET_DOES_NOT_MATCH, "the study root model has no level PATIENT")
    return level


def _check_above(sop_class: str, level: QueryLevel, identifier: Identifier) -> None:
    for above in list(QueryLevel)[: list(QueryLevel).index(level)]:
        key = UNIQUE_KEYS[above]
        values = _values(identifier, key)
        if key == PATIENT_ID:
            continue
        if len(values) != 1:
            raise QueryRefused(
                DATA_SET_DOES_NOT_MATCH,
                f"level {level} needs one {_NAMES[key]} (no relational query)",
            )
        _check_uids(key, values)


def _check_uids(key: int, values: tuple[str, ...]) -> None:
    for value in values:
        if len(value) > 64 or not value.isascii() or not value.replace(".", "").isdigit():
            raise QueryRefused(DATA_SET_DOES_NOT_MATCH, f"{_NAMES[key]} holds what is no UID")


def _values(identifier: Identifier, key: int) -> tuple[str, ...]:
    text = identifier.texts.get(key, "")
    return tuple(part for value in text.split("\\") if (part := value.strip("\0 ")))
