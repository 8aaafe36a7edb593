"""The words that a condition can use, and their types.

Study and series attributes go by their DICOM keyword (PS3.6); a few words are ours.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from typing import Literal as OneOf

from isocenter.core.errors import ConditionError

Type = OneOf["text", "number", "texts", "date", "time", "moment", "weekday"]
Level = OneOf["study", "series"]
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Word:
    name: str
    type: Type
    level: Level
    meaning: str


_STUDY: dict[str, Type] = {
    "StudyInstanceUID": "text",
    "PatientID": "text",
    "IssuerOfPatientID": "text",
    "PatientName": "text",
    "PatientBirthDate": "date",
    "PatientSex": "text",
    "StudyDate": "date",
    "StudyTime": "text",
    "AccessionNumber": "text",
    "StudyID": "text",
    "StudyDescription": "text",
    "ReferringPhysicianName": "text",
    "ModalitiesInStudy": "texts",
    "NumberOfStudyRelatedSeries": "number",
    "NumberOfStudyRelatedInstances": "number",
}
_SERIES: dict[str, Type] = {
    "Modality": "text",
    "SeriesInstanceUID": "text",
    "SeriesNumber": "number",
    "SeriesDescription": "text",
    "BodyPartExamined": "text",
    "FrameOfReferenceUID": "text",
    "SOPClassUID": "text",
    "NumberOfSeriesRelatedInstances": "number",
}
_OURS: dict[str, tuple[Type, str]] = {
    "SourceAETitle": ("text", "calling AE title of the sender"),
    "CalledAETitle": ("text", "AE title that the sender called us by"),
    "SourceAddress": ("text", "network address of the sender"),
    "Now": ("moment", 'date and time here, "2026-12-31T18:00"'),
    "TimeOfDay": ("time", 'time here, "18:00"'),
    "Weekday": ("weekday", "day of the week here, " + " ".join(WEEKDAYS)),
}

#: Words that tell who a patient is; what a study has in them is shown to those who may know.
IDENTIFYING = frozenset(
    {
        "PatientID",
        "IssuerOfPatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "AccessionNumber",
        "StudyID",
        "ReferringPhysicianName",
    }
)

WORDS: dict[str, Word] = (
    {name: Word(name, kind, "study", "study attribute") for name, kind in _STUDY.items()}
    | {name: Word(name, kind, "series", "series attribute") for name, kind in _SERIES.items()}
    | {name: Word(name, kind, "study", text) for name, (kind, text) in _OURS.items()}
)


def word(name: str, position: int) -> Word:
    """Look a keyword up.

    Raises:
        ConditionError: no such DICOM keyword, or one that the index does not keep.
    """
    found = WORDS.get(name)
    if found is not None:
        return found
    close = difflib.get_close_matches(name, WORDS, n=1, cutoff=0.6)
    nearest = next((known for known in WORDS if known.lower() == name.lower()), None)
    suggestion = nearest or (close[0] if close else "")
    if name in _dictionary():
        reason = f"{name} is a DICOM attribute, but the index does not keep it"
    else:
        suggestion = suggestion or _nearest_in_dictionary(name)
        reason = f"{name} is no DICOM keyword"
    raise ConditionError(
        f"character {position + 1}: {reason}; usable are {', '.join(WORDS)}",
        position=position,
        suggestion=suggestion,
    )


def is_dicom(name: str) -> bool:
    """Whether DICOM has such a keyword, indexed or not."""
    return name in _dictionary()


def is_almost_a_word(name: str) -> bool:
    """Whether it is a word but for the case or a letter or two."""
    folded = {known.lower() for known in WORDS}
    return bool(
        name.lower() in folded
        or difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.8)
        or _nearest_in_dictionary(name)
    )


@cache
def _dictionary() -> frozenset[str]:
    from pydicom.datadict import DicomDictionary

    return frozenset(entry[4] for entry in DicomDictionary.values() if entry[4])


def _nearest_in_dictionary(name: str) -> str:
    close = difflib.get_close_matches(name, _dictionary(), n=1, cutoff=0.8)
    return close[0] if close else ""
