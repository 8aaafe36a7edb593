"""Studies as the API takes and gives them."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from isocenter.apps.api.schemas import Command, Moment, PageOf, Paging, Row
from isocenter.apps.api.study_sorts import StudySort

StudyState = Literal["receiving", "waiting", "complete", "held"]
_UID = 255
_NUMBER = (1 << 31) - 1


class SourceRow(Row):
    """Who sent a study last."""

    kind: str
    calling_ae_title: str
    called_ae_title: str
    address: str


class _Study(Row):
    study_uid: str
    state: str
    instances: int
    series: int
    modalities: list[str]
    revision: int = Field(description="the newest; 0: none yet")
    waiting_for: list[str]
    warnings: list[str]
    patient_id: str | None
    patient_name: str | None
    study_date: str
    study_description: str
    accession_number: str | None
    source: SourceRow | None
    received_at: Moment
    last_received_at: Moment
    complete_at: Moment
    due_at: Moment = Field(description="when completion looks at it again")
    protected: bool = Field(description="nobody and no retention deletes it")


class StudyRow(_Study):
    """A study. What tells who the patient is, is null without the right `view-identified`."""

    flags: list[str] = Field(description="codes; two-patients for `view-identified` only")


class FlagRow(Row):
    """Something that a person should see."""

    code: str
    text: str


class SeriesRow(Row):
    """A series of a study."""

    series_uid: str
    modality: str
    series_number: int | None
    series_description: str
    instances: int
    derived: bool = Field(description="made by a run")


class RevisionRow(Row):
    """State of a study at one completion."""

    number: int
    reason: str
    missing: list[str]
    instances: int
    digest: str
    created_at: Moment


class StudyDetail(_Study):
    """A study with its series and revisions."""

    flags: list[FlagRow]
    series_list: list[SeriesRow]
    revisions: list[RevisionRow]


class InstanceRow(Row):
    """An instance of a study."""

    sop_uid: str
    sop_class_uid: str
    series_uid: str
    modality: str
    instance_number: int | None
    rows: int | None
    columns: int | None
    frames: int | None
    transfer_syntax_uid: str
    size: int
    digest: str = Field(description="SHA-256 of the data set, without file meta")
    derived: bool
    received_at: Moment


class StudyPage(PageOf[StudyRow]):
    """A part of the studies that match."""

    total: int = Field(description="how many match; 1001 stands for more than 1000")


class StudyFilter(Paging):
    """What tells nobody who the patient is. Texts are beginnings of words."""

    state: list[StudyState] = Field([], description="given several times: any of them")
    modality: list[str] = Field([], max_length=32, description="any of them is in the study")
    description: str = Field("", max_length=128)
    source: str = Field("", max_length=16, description="beginning of the calling AE title")
    study_from: date | None = Field(None, description="first study date")
    study_to: date | None = Field(None, description="last study date")
    received_from: date | None = Field(None, description="first day of reception (UTC)")
    received_to: date | None = Field(None, description="last day of reception (UTC)")
    instances_min: int | None = Field(None, ge=0, le=_NUMBER)
    instances_max: int | None = Field(None, ge=0, le=_NUMBER)
    flagged: bool = Field(False, description="only those with a flag")
    failed: bool = Field(False, description="only those with a failed run or delivery")
    sort: StudySort = Field("", description="- before: the other direction")


class StudySearch(StudyFilter, Command):
    """Everything that the worklist's search has. Sent as a body, so that no name stands in an
    address; without the right `view-identified` what would tell a name is not searched."""

    text: str = Field("", max_length=128, description="words of any column, or beginning of a UID")
    patient_name: str = Field("", max_length=128)
    patient_id: str = Field("", max_length=128)
    patient_birth_date: str = Field("", max_length=10)
    accession_number: str = Field("", max_length=128)


class InstanceFilter(Paging):
    """Which instances."""

    series_uid: str = Field("", max_length=_UID)


class Protection(Command):
    """Whether it is protected from now on."""

    protected: bool


class Download(Command):
    """How a ZIP is made."""

    dicomdir: bool = Field(False, description="names of a DICOM medium, and a DICOMDIR")
    password: str = Field(
        default_factory=str,
        min_length=8,
        max_length=128,
        pattern=r"^[ -~]*[!-~][ -~]*$",
        description="encrypts with AES-256; 8 to 128 ASCII characters. Not encrypted: leave it out",
    )


class Deleted(Row):
    """What was deleted."""

    instances: int
    bytes: int
    runs: int = 0
    deliveries: int = 0
    quarantine: int = 0


class Completed(Row):
    """The revision that a study has now."""

    study_uid: str
    revision: int
    instances: int
