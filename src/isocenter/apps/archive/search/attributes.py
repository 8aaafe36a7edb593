"""The attributes that can be asked for, level by level: the one table of C-FIND, QIDO-RS and the
conformance statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache


class Level(StrEnum):
    """Query/Retrieve Level (0008,0052), PS3.4 C.6."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    INSTANCE = "IMAGE"


class Matching(StrEnum):
    """Kinds of matching (PS3.4 C.2.2.2)."""

    SINGLE = "single value"
    UID_LIST = "list of UID"
    WILDCARD = "wild card"
    RANGE = "range"
    MULTIPLE = "multiple values"
    SEQUENCE = "sequence"
    UNIVERSAL = "universal"
    NONE = "return only"


class How(StrEnum):
    """How values are compared."""

    NAME = "name"  # of a person: folded, by component groups
    FOLDED = "folded"  # text without case and accents
    EXACT = "exact"  # identifiers and codes, as they are
    UID = "uid"
    DATE = "date"
    TIME = "time"
    NUMBER = "number"
    MANY = "many"  # several values, of which one has to match
    SEQUENCE = "sequence"
    NOTHING = "nothing"  # is answered, never matched


@dataclass(frozen=True)
class Attribute:
    """One attribute of the index.

    Attributes:
        tag: as a number, 0x00100010.
        level: of the entity that it belongs to.
        column: where the index has it; empty: it is made from other columns.
        how: it is compared.
        items: of a sequence, the attributes inside that can be asked.
    """

    tag: int
    keyword: str
    vr: str
    level: Level
    how: How
    column: str = ""
    items: Mapping[int, Attribute] = field(default_factory=dict)

    @property
    def matching(self) -> tuple[Matching, ...]:
        """Kinds of matching that are supported, universal matching last."""
        return _MATCHING[self.how]


_WILD = (Matching.SINGLE, Matching.WILDCARD, Matching.MULTIPLE, Matching.UNIVERSAL)
_MATCHING: Mapping[How, tuple[Matching, ...]] = {
    How.NAME: _WILD,
    How.FOLDED: _WILD,
    How.EXACT: _WILD,
    How.MANY: _WILD,
    How.UID: (Matching.SINGLE, Matching.UID_LIST, Matching.UNIVERSAL),
    How.DATE: (Matching.SINGLE, Matching.RANGE, Matching.UNIVERSAL),
    How.TIME: (Matching.SINGLE, Matching.RANGE, Matching.UNIVERSAL),
    How.NUMBER: (Matching.SINGLE, Matching.MULTIPLE, Matching.UNIVERSAL),
    How.SEQUENCE: (Matching.SEQUENCE, Matching.UNIVERSAL),
    How.NOTHING: (Matching.NONE,),
}

_P, _S, _E, _I = Level.PATIENT, Level.STUDY, Level.SERIES, Level.INSTANCE


def _attribute(
    tag: int, keyword: str, vr: str, level: Level, how: How, column: str = ""
) -> Attribute:
    return Attribute(tag, keyword, vr, level, how, column)


STUDY_UID, SERIES_UID, SOP_UID = 0x0020000D, 0x0020000E, 0x00080018
PATIENT_NAME, PATIENT_ID = 0x00100010, 0x00100020
STUDY_DATE, STUDY_TIME = 0x00080020, 0x00080030
MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY = 0x00080061, 0x00080062
PATIENT_STUDIES, PATIENT_SERIES, PATIENT_INSTANCES = 0x00201200, 0x00201202, 0x00201204
STUDY_SERIES, STUDY_INSTANCES, SERIES_INSTANCES = 0x00201206, 0x00201208, 0x00201209
CHARACTER_SET, AVAILABILITY = 0x00080005, 0x00080056
REQUEST_ATTRIBUTES = 0x00400275

_REQUEST_ITEMS = {
    0x00400009: _attribute(0x00400009, "ScheduledProcedureStepID", "SH", _E, How.EXACT),
    0x00401001: _attribute(0x00401001, "RequestedProcedureID", "SH", _E, How.EXACT),
}

#: Every attribute of the index by tag, in ascending order.
ATTRIBUTES: Mapping[int, Attribute] = {
    each.tag: each
    for each in sorted(
        (
            _attribute(PATIENT_NAME, "PatientName", "PN", _P, How.NAME, "patient_name"),
            _attribute(PATIENT_ID, "PatientID", "LO", _P, How.EXACT, "patient_id"),
            _attribute(
                0x00100021, "IssuerOfPatientID", "LO", _P, How.EXACT, "issuer_of_patient_id"
            ),
            _attribute(0x00100030, "PatientBirthDate", "DA", _P, How.DATE, "patient_birth_date"),
            _attribute(0x00100040, "PatientSex", "CS", _P, How.EXACT, "patient_sex"),
            _attribute(PATIENT_STUDIES, "NumberOfPatientRelatedStudies", "IS", _P, How.NOTHING),
            _attribute(PATIENT_SERIES, "NumberOfPatientRelatedSeries", "IS", _P, How.NOTHING),
            _attribute(PATIENT_INSTANCES, "NumberOfPatientRelatedInstances", "IS", _P, How.NOTHING),
            _attribute(CHARACTER_SET, "SpecificCharacterSet", "CS", _P, How.NOTHING),
            _attribute(STUDY_DATE, "StudyDate", "DA", _S, How.DATE, "study_date"),
            _attribute(STUDY_TIME, "StudyTime", "TM", _S, How.TIME, "study_time"),
            _attribute(0x00080050, "AccessionNumber", "SH", _S, How.EXACT, "accession_number"),
            _attribute(MODALITIES_IN_STUDY, "ModalitiesInStudy", "CS", _S, How.MANY, "modalities"),
            _attribute(
                SOP_CLASSES_IN_STUDY, "SOPClassesInStudy", "UI", _S, How.MANY, "sop_classes"
            ),
            _attribute(
                0x00080090,
                "ReferringPhysicianName",
                "PN",
                _S,
                How.NAME,
                "referring_physician_name",
            ),
            _attribute(
                0x00080201,
                "TimezoneOffsetFromUTC",
                "SH",
                _S,
                How.NOTHING,
                "timezone_offset_from_utc",
            ),
            _attribute(0x00081030, "StudyDescription", "LO", _S, How.FOLDED, "study_description"),
            _attribute(STUDY_UID, "StudyInstanceUID", "UI", _S, How.UID, "study_uid"),
            _attribute(0x00200010, "StudyID", "SH", _S, How.EXACT, "study_id"),
            _attribute(STUDY_SERIES, "NumberOfStudyRelatedSeries", "IS", _S, How.NOTHING),
            _attribute(STUDY_INSTANCES, "NumberOfStudyRelatedInstances", "IS", _S, How.NOTHING),
            _attribute(AVAILABILITY, "InstanceAvailability", "CS", _S, How.NOTHING),
            _attribute(0x00080021, "SeriesDate", "DA", _E, How.DATE, "series_date"),
            _attribute(0x00080031, "SeriesTime", "TM", _E, How.TIME, "series_time"),
            _attribute(0x00080060, "Modality", "CS", _E, How.EXACT, "modality"),
            _attribute(0x00080070, "Manufacturer", "LO", _E, How.FOLDED, "manufacturer"),
            _attribute(0x00080080, "InstitutionName", "LO", _E, How.FOLDED, "institution_name"),
            _attribute(0x00081010, "StationName", "SH", _E, How.FOLDED, "station_name"),
            _attribute(0x0008103E, "SeriesDescription", "LO", _E, How.FOLDED, "series_description"),
            _attribute(
                0x00081090, "ManufacturerModelName", "LO", _E, How.FOLDED, "manufacturer_model_name"
            ),
            _attribute(0x00180015, "BodyPartExamined", "CS", _E, How.EXACT, "body_part_examined"),
            _attribute(0x00181030, "ProtocolName", "LO", _E, How.FOLDED, "protocol_name"),
            _attribute(SERIES_UID, "SeriesInstanceUID", "UI", _E, How.UID, "series_uid"),
            _attribute(0x00200011, "SeriesNumber", "IS", _E, How.NUMBER, "series_number"),
            _attribute(
                0x00200052, "FrameOfReferenceUID", "UI", _E, How.UID, "frame_of_reference_uid"
            ),
            _attribute(0x00200060, "Laterality", "CS", _E, How.EXACT, "laterality"),
            _attribute(SERIES_INSTANCES, "NumberOfSeriesRelatedInstances", "IS", _E, How.NOTHING),
            _attribute(
                0x00400244,
                "PerformedProcedureStepStartDate",
                "DA",
                _E,
                How.DATE,
                "performed_procedure_step_start_date",
            ),
            _attribute(
                0x00400245,
                "PerformedProcedureStepStartTime",
                "TM",
                _E,
                How.TIME,
                "performed_procedure_step_start_time",
            ),
            Attribute(
                REQUEST_ATTRIBUTES,
                "RequestAttributesSequence",
                "SQ",
                _E,
                How.SEQUENCE,
                "request_attributes",
                _REQUEST_ITEMS,
            ),
            _attribute(0x00080016, "SOPClassUID", "UI", _I, How.UID, "sop_class_uid"),
            _attribute(SOP_UID, "SOPInstanceUID", "UI", _I, How.UID, "sop_uid"),
            _attribute(
                0x00083002,
                "AvailableTransferSyntaxUID",
                "UI",
                _I,
                How.NOTHING,
                "transfer_syntax_uid",
            ),
            _attribute(0x00200013, "InstanceNumber", "IS", _I, How.NUMBER, "instance_number"),
            _attribute(0x00280008, "NumberOfFrames", "IS", _I, How.NUMBER, "number_of_frames"),
            _attribute(0x00280010, "Rows", "US", _I, How.NUMBER, "rows"),
            _attribute(0x00280011, "Columns", "US", _I, How.NUMBER, "columns"),
            _attribute(0x00280100, "BitsAllocated", "US", _I, How.NUMBER, "bits_allocated"),
        ),
        key=lambda each: each.tag,
    )
}

LEVELS = (Level.PATIENT, Level.STUDY, Level.SERIES, Level.INSTANCE)


def at_or_above(level: Level) -> tuple[Level, ...]:
    """This level and those above it, the patient's first."""
    return LEVELS[: LEVELS.index(level) + 1]


#: Level → what can be asked and answered there: its own attributes and those of the levels above.
SEARCHABLE: Mapping[Level, Mapping[int, Attribute]] = {
    level: {tag: each for tag, each in ATTRIBUTES.items() if each.level in at_or_above(level)}
    for level in LEVELS
}

#: Everything that can be asked or answered at any level; as ``Question.returns``: all there is.
ALL: frozenset[int] = frozenset(ATTRIBUTES)


@lru_cache(maxsize=1)
def identifying() -> frozenset[int]:
    """Those of `ATTRIBUTES` that tell of a person: what the Basic Profile changes by other than
    keeping it or replacing a UID (PS3.15 Table E.1-1)."""
    from isocenter.core.deid.standard.table import Table

    rows = Table.load()
    found = {tag: rows.entry(tag) for tag in (*ATTRIBUTES, *_REQUEST_ITEMS)}
    return frozenset(
        tag for tag, row in found.items() if row is not None and row.basic not in ("K", "U")
    )
