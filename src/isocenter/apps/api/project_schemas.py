"""What projects look like in requests and answers."""

from __future__ import annotations

from typing import Any, Literal

from ninja import Schema
from pydantic import Field

from isocenter.apps.api.schemas import Command, Moment, Row
from isocenter.apps.deid.services import ProjectDocument

_FATE = "`stays`, `changed` or `goes`"


class ProjectRow(Row):
    """A project in a list."""

    name: str
    description: str
    summary: str = Field(description="its policy in a few words")
    patients: int = Field(description="who have a pseudonym")
    legacy: int = Field(description="pseudonyms taken over from NETRT whose patients are unknown")
    version: int
    created_at: Moment
    created_by: str
    changed_at: Moment
    changed_by: str


class Topic(Row):
    """What becomes of something that people ask about."""

    title: str
    fate: str = Field(description=_FATE)
    text: str
    rule: str = Field(description="rule of the site that decides it; empty: the profile does")
    unless: list[str] = Field(description="rules that decide it where they fit")


class InWords(Row):
    """A policy as people read it; the engine was asked about each topic."""

    topics: list[Topic]
    called: str = Field(description="what patients are called, with an example")
    held: list[str] = Field(description="what does not leave at all")
    warnings: list[str]


class ProjectInFull(ProjectRow):
    """A project with its document. Secret and patients are never in it."""

    document: dict[str, Any]
    in_words: InWords
    pipelines: list[str] = Field(description="those that name it")


class NewProject(Command):
    """A project that is not there yet. Its secret is made here."""

    name: str = Field(description="letters, digits, `-` and `_`, at most 64; it stays")
    description: str = ""
    document: ProjectDocument = Field(
        default_factory=ProjectDocument, description="left out: the Basic Profile as it stands"
    )


class ProjectWishes(Command):
    """A project as it shall be."""

    document: ProjectDocument
    description: str | None = Field(None, description="null leaves it as it is")
    version: int = Field(
        description="of what was read: refused (409) when somebody changed it since"
    )


class PseudonymRow(Row):
    """A pseudonym, without the patient."""

    pseudonym_id: str = Field(description="new Patient ID")
    pseudonym_name: str
    origin: str = Field(description="`issued` by a run, or `given` by a list")
    by_study: bool = Field(description="the patient has no Patient ID and is known by one study")
    created_at: Moment


class Question(Command):
    """Who is it? One of `pseudonym` and `patient_id`."""

    pseudonym: str | None = Field(None, max_length=64, description="Patient ID or name outside")
    patient_id: str | None = Field(
        None, max_length=64, description="the original, or the Study Instance UID of who has none"
    )
    issuer: str = Field("", max_length=64, description="of that Patient ID; empty: any")


class FoundRow(Row):
    """A patient and their pseudonym."""

    pseudonym_id: str
    pseudonym_name: str
    patient_id: str = Field(description="empty where the patient is known by a study, or not yet")
    issuer: str
    study_uid: str
    origin: str = Field(description="`issued`, `given`, `netrt` or `computed`")
    created_at: Moment


class FoundPatients(Row):
    """Everybody who fits; nobody is an answer too."""

    items: list[FoundRow]


class ImportedRow(Row):
    """What a list came to."""

    added: int | None = Field(None, description="new ones; only with the right `reidentify`")
    known: int | None = Field(
        None, description="those that were there already, the same; only with that right"
    )
    entries: int | None = Field(None, description="all of them; only without that right")


class ListForm(Schema):
    """What the list is."""

    form: Literal["csv", "netrt"] = Field("csv", description="CSV, or NETRT's `pid_mapping.json`")


class SecretRow(Row):
    """A project's secret."""

    secret: str = Field(description="hexadecimal; the line of a file for `--secret-file`")


class Asked(Schema):
    """Which attribute."""

    attribute: str = Field(
        max_length=100, description="keyword, name or tag, such as `PatientBirthDate`, `0010,0030`"
    )


class AttributeOutcome(Row):
    """What becomes of it in some kinds of objects."""

    fate: str = Field(description=_FATE)
    text: str
    rule: str
    unless: list[str]
    kinds: list[str] = Field(description="empty: in all")


class AttributeRow(Row):
    """What becomes of an attribute."""

    tag: str = Field(description="empty where there is no such attribute")
    keyword: str
    name: str
    outcomes: list[AttributeOutcome]
    note: str = Field(description="in place of outcomes: private, unknown, file head")
    lines: list[str] = Field(description="the standard's words")
    suggestions: list[str] = Field(description="keywords that may have been meant")


class ProjectVersion(Row):
    """A change of a project, with the document it had then."""

    version: int
    change: str = Field(description="`made`, `changed` or `removed`")
    at: Moment
    actor: str
    description: str
    document: dict[str, Any]
