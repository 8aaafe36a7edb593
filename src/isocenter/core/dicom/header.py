"""The attributes that the index keeps of an instance, and how each is decoded."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Header:
    """Indexed attributes of one data set, by the keyword's name in snake case.

    Text is decoded by the data set's character set; padding, leading and trailing spaces and NUL
    characters are gone; several values keep their backslash. An absent or empty attribute is an
    empty string, or None where the field is a number. Nothing is checked against the standard: a
    ``study_uid`` may be no UID, a date no date.

    ``request_attributes`` has one entry per item of the Request Attributes Sequence: pairs of
    keyword and text, of those in `REQUEST_ITEMS` that have a value.
    """

    specific_character_set: str = ""
    image_type: str = ""
    sop_class_uid: str = ""
    sop_uid: str = ""
    study_date: str = ""
    series_date: str = ""
    acquisition_date: str = ""
    content_date: str = ""
    study_time: str = ""
    series_time: str = ""
    acquisition_time: str = ""
    content_time: str = ""
    accession_number: str = ""
    modality: str = ""
    manufacturer: str = ""
    institution_name: str = ""
    referring_physician_name: str = ""
    station_name: str = ""
    study_description: str = ""
    series_description: str = ""
    manufacturer_model_name: str = ""
    patient_name: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    body_part_examined: str = ""
    protocol_name: str = ""
    study_uid: str = ""
    series_uid: str = ""
    study_id: str = ""
    series_number: int | None = None
    acquisition_number: int | None = None
    instance_number: int | None = None
    frame_of_reference_uid: str = ""
    number_of_frames: int | None = None
    rows: int | None = None
    columns: int | None = None
    timezone_offset_from_utc: str = ""
    laterality: str = ""
    bits_allocated: int | None = None
    performed_procedure_step_start_date: str = ""
    performed_procedure_step_start_time: str = ""
    request_attributes: tuple[tuple[tuple[str, str], ...], ...] = ()


#: Text that the character set applies to (PS3.5 6.1.2.3): LO, SH.
TEXT = "text"
#: PN, text of up to three component groups.
NAME = "name"
#: Text of the default repertoire: CS, DA, TM, UI.
ASCII = "ascii"
#: IS, a number written in digits.
DIGITS = "digits"
#: US, two bytes.
SHORT = "short"
#: SQ, whose items hold the attributes of `REQUEST_ITEMS`.
REQUESTS = "requests"

#: Wanted of an item of the Request Attributes Sequence: tag → keyword.
REQUEST_ITEMS: dict[int, str] = {
    0x00400009: "ScheduledProcedureStepID",
    0x00401001: "RequestedProcedureID",
}

#: Tag → (field of Header, how it is decoded); in ascending order of tags.
INDEXED: dict[int, tuple[str, str]] = {
    0x00080005: ("specific_character_set", ASCII),
    0x00080008: ("image_type", ASCII),
    0x00080016: ("sop_class_uid", ASCII),
    0x00080018: ("sop_uid", ASCII),
    0x00080020: ("study_date", ASCII),
    0x00080021: ("series_date", ASCII),
    0x00080022: ("acquisition_date", ASCII),
    0x00080023: ("content_date", ASCII),
    0x00080030: ("study_time", ASCII),
    0x00080031: ("series_time", ASCII),
    0x00080032: ("acquisition_time", ASCII),
    0x00080033: ("content_time", ASCII),
    0x00080050: ("accession_number", TEXT),
    0x00080060: ("modality", ASCII),
    0x00080070: ("manufacturer", TEXT),
    0x00080080: ("institution_name", TEXT),
    0x00080090: ("referring_physician_name", NAME),
    0x00080201: ("timezone_offset_from_utc", ASCII),
    0x00081010: ("station_name", TEXT),
    0x00081030: ("study_description", TEXT),
    0x0008103E: ("series_description", TEXT),
    0x00081090: ("manufacturer_model_name", TEXT),
    0x00100010: ("patient_name", NAME),
    0x00100020: ("patient_id", TEXT),
    0x00100021: ("issuer_of_patient_id", TEXT),
    0x00100030: ("patient_birth_date", ASCII),
    0x00100040: ("patient_sex", ASCII),
    0x00180015: ("body_part_examined", ASCII),
    0x00181030: ("protocol_name", TEXT),
    0x0020000D: ("study_uid", ASCII),
    0x0020000E: ("series_uid", ASCII),
    0x00200010: ("study_id", TEXT),
    0x00200011: ("series_number", DIGITS),
    0x00200012: ("acquisition_number", DIGITS),
    0x00200013: ("instance_number", DIGITS),
    0x00200052: ("frame_of_reference_uid", ASCII),
    0x00200060: ("laterality", ASCII),
    0x00280008: ("number_of_frames", DIGITS),
    0x00280010: ("rows", SHORT),
    0x00280011: ("columns", SHORT),
    0x00280100: ("bits_allocated", SHORT),
    0x00400244: ("performed_procedure_step_start_date", ASCII),
    0x00400245: ("performed_procedure_step_start_time", ASCII),
    0x00400275: ("request_attributes", REQUESTS),
}

#: The last tag that every data set should be read to. What stands behind it is taken along where
#: it can be read.
LAST_NEEDED = 0x00280011

if {name for name, _ in INDEXED.values()} != {field.name for field in fields(Header)}:
    raise AssertionError("INDEXED and Header must have the same fields")
