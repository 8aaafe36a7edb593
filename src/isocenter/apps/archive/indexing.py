"""From a data set's header to what the index says of it: keys, attributes, flags.

Nothing is refused here. What the standard forbids is indexed where that is possible, and flagged.
The file keeps the sender's bytes in any case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isocenter.apps.archive.flags import TWO_PATIENTS
from isocenter.core.dicom.folding import fold
from isocenter.core.dicom.uids import derive_uid, is_valid_uid

if TYPE_CHECKING:
    from isocenter.core.dicom.header import Header

UID_LENGTH = 255

#: Index field (and name in the header) → longest text that the index holds.
STUDY_FIELDS: Mapping[str, int] = {
    "patient_id": 255,
    "issuer_of_patient_id": 255,
    "patient_name": 1024,
    "patient_birth_date": 32,
    "patient_sex": 32,
    "study_date": 32,
    "study_time": 32,
    "accession_number": 255,
    "study_id": 255,
    "timezone_offset_from_utc": 32,
    "study_description": 1024,
    "referring_physician_name": 1024,
}
SERIES_FIELDS: Mapping[str, int] = {
    "modality": 32,
    "series_description": 1024,
    "body_part_examined": 255,
    "frame_of_reference_uid": 255,
    "series_date": 32,
    "series_time": 32,
    "laterality": 32,
    "protocol_name": 255,
    "manufacturer": 255,
    "manufacturer_model_name": 255,
    "station_name": 255,
    "institution_name": 255,
    "performed_procedure_step_start_date": 32,
    "performed_procedure_step_start_time": 32,
}
#: Those of them that are searched without case and accents.
FOLDED_SERIES_FIELDS = (
    "series_description",
    "protocol_name",
    "manufacturer",
    "manufacturer_model_name",
    "station_name",
    "institution_name",
)
_REQUEST_LENGTH = 255
SERIES_NUMBERS = ("series_number",)
INSTANCE_NUMBERS = ("instance_number", "rows", "columns", "number_of_frames", "bits_allocated")
_INT_MAX = (1 << 31) - 1


@dataclass(frozen=True)
class Flag:
    """Something about a study that a person should see. The text names no patient."""

    code: str
    text: str

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "text": self.text}


@dataclass(frozen=True)
class Entry:
    """What the index will say of one instance."""

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    study: Mapping[str, str]
    series: Mapping[str, Any]
    instance: Mapping[str, int | None]
    flags: tuple[Flag, ...]

    @property
    def modality(self) -> str:
        return str(self.series["modality"])


def clean(text: str) -> str:
    """Text that PostgreSQL takes: no NUL, no lone surrogate."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def entry_of(header: Header, *, command_sop_uid: str = "", sop_class_uid: str = "") -> Entry | None:
    """The index entry of a header; None when there is no SOP Instance UID to be found at all.

    An empty Study or Series Instance UID is indexed under a UID that is derived from what is
    there, so that instances that came without belong together again each time.
    """
    flags: list[Flag] = []
    sop_uid = _sop_key(header.sop_uid, command_sop_uid, flags)
    if not sop_uid:
        return None
    patient = (header.patient_id, header.issuer_of_patient_id)
    study_uid = _key(header.study_uid, "study", ("study", *patient, header.series_uid), flags)
    series_uid = _key(header.series_uid, "series", ("series", study_uid, header.modality), flags)
    study = {name: _cut(header, name, length, flags) for name, length in STUDY_FIELDS.items()}
    series: dict[str, Any] = {
        name: _cut(header, name, length, flags) for name, length in SERIES_FIELDS.items()
    }
    series |= {name: _number(getattr(header, name)) for name in SERIES_NUMBERS}
    series["request_attributes"] = _requests(header)
    series["folded"] = _folded(series)
    return Entry(
        study_uid=study_uid,
        series_uid=series_uid,
        sop_uid=sop_uid,
        sop_class_uid=clean(header.sop_class_uid or sop_class_uid)[:UID_LENGTH],
        study=study,
        series=series,
        instance={name: _number(getattr(header, name)) for name in INSTANCE_NUMBERS},
        flags=tuple(dict.fromkeys(flags)),
    )


def _sop_key(uid: str, command_uid: str, flags: list[Flag]) -> str:
    uid, command_uid = uid.strip(" \0"), command_uid.strip(" \0")
    if not uid:
        if not command_uid:
            return ""
        flags.append(
            Flag("empty-sop-uid", "an instance came with an empty SOPInstanceUID in its data set")
        )
        return _key(command_uid, "SOP instance", ("sop", command_uid), flags)
    if command_uid and command_uid != uid:
        flags.append(
            Flag(
                "sop-uid-differs",
                "an instance came under another SOPInstanceUID than the one in its data set",
            )
        )
    return _key(uid, "SOP instance", ("sop", uid), flags)


def _key(uid: str, what: str, placeholder: tuple[str, ...], flags: list[Flag]) -> str:
    """The UID as the index holds it."""
    code = what.split(maxsplit=1)[0].lower()
    uid = uid.strip()
    if not uid:
        flags.append(
            Flag(f"empty-{code}-uid", f"instances came with an empty {what} UID; indexed together")
        )
        return derive_uid("isocenter placeholder", *placeholder)
    if is_valid_uid(uid):
        return uid
    flags.append(Flag(f"invalid-{code}-uid", f"the {what} UID is no UID (PS3.5 9.1)"))
    cleaned = clean(uid)
    if cleaned == uid and len(uid) <= UID_LENGTH:
        return uid
    return derive_uid("isocenter placeholder", uid)


def _cut(header: Header, name: str, length: int, flags: list[Flag]) -> str:
    text = clean(getattr(header, name) or "")
    if len(text) <= length:
        return text
    flags.append(
        Flag("long-value", f"{name} is longer than {length} characters; the index holds its start")
    )
    return text[:length]


def _requests(header: Header) -> list[dict[str, str]]:
    """Items of the Request Attributes Sequence, as far as they can be searched."""
    return [
        {keyword: clean(text)[:_REQUEST_LENGTH] for keyword, text in item}
        for item in header.request_attributes
    ]


def _folded(series: Mapping[str, Any]) -> dict[str, str]:
    """Folded texts of a series, where the database's own lower() is not enough."""
    found = {name: fold(series[name]) for name in FOLDED_SERIES_FIELDS}
    return {
        name: text
        for name, text in found.items()
        if text != series[name].lower() or not text.isascii()
    }


def _number(value: int | None) -> int | None:
    return value if value is not None and -_INT_MAX <= value <= _INT_MAX else None


def identity_flag(known: Mapping[str, str], new: Mapping[str, str]) -> Flag | None:
    """Two patients in one study? Compared are identifiers, birth date and name, where both say.

    Names count as equal when they differ only in case, padding and empty components, or when one
    has further components (PS3.5 6.2.1).
    """
    if _differ(known, new, "patient_id") or _differ(known, new, "issuer_of_patient_id"):
        return Flag(TWO_PATIENTS, "instances of this study name different patients (PatientID)")
    if _differ(known, new, "patient_birth_date"):
        return Flag(
            TWO_PATIENTS, "instances of this study name different patients (PatientBirthDate)"
        )
    ours, theirs = _name_parts(known["patient_name"]), _name_parts(new["patient_name"])
    length = min(len(ours), len(theirs))
    if length and ours[:length] != theirs[:length]:
        return Flag(TWO_PATIENTS, "instances of this study name different patients (PatientName)")
    return None


def _differ(known: Mapping[str, str], new: Mapping[str, str], field: str) -> bool:
    ours, theirs = known[field].strip(), new[field].strip()
    return bool(ours and theirs and ours != theirs)


def _name_parts(name: str) -> list[str]:
    alphabetic = name.split("=", maxsplit=1)[0].casefold()
    return [part for part in re.split(r"[\^\s]+", alphabetic) if part]
