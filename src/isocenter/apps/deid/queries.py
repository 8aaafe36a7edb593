"""What can be asked of projects. Nothing here says who a patient is: see ``services.look_up``."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from isocenter.apps.deid.documents import ProjectDocument, ProjectProblems, parse_document
from isocenter.apps.deid.models import MapEntry, Project, ProjectChange
from isocenter.core.errors import NotFound

_STEP = "deidentify"
MOST_ENTRIES = 1000


@dataclass(frozen=True)
class ProjectRow:
    """A project in a list.

    Attributes:
        summary: its policy in a few words.
        patients: entries of its map.
        legacy: pseudonyms taken over whose patients did not come yet.
    """

    name: str
    description: str
    summary: str
    patients: int
    legacy: int
    version: int
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True)
class EntryRow:
    """An entry of a map, without the patient.

    Attributes:
        origin: ``issued`` here, or ``given`` by a list.
        by_study: it is the pseudonym of a patient who is known by one study only.
    """

    number: int
    pseudonym_id: str
    pseudonym_name: str
    origin: str
    by_study: bool
    created_at: datetime


def projects() -> list[ProjectRow]:
    """All projects, by name."""
    found = Project.objects.annotate(
        patients=Count("entries", distinct=True), legacy=Count("legacy_entries", distinct=True)
    )
    return [_row(item, item.patients, item.legacy) for item in found.order_by("name")]


def project(name: str) -> Project:
    """One project; see :func:`document_of`.

    Raises:
        NotFound: there is none; names the nearest.
    """
    found = Project.objects.filter(name=name).first()
    if found is None:
        names = list(Project.objects.values_list("name", flat=True))
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else "isocenter deid-project list"
        raise NotFound(f"there is no project {name!r}", hint=hint)
    return found


def project_row(name: str) -> ProjectRow:
    """One project as the list has it.

    Raises:
        NotFound: there is none.
    """
    found = project(name)
    return _row(found, found.entries.count(), found.legacy_entries.count())


def exists(name: str) -> bool:
    """Whether there is a project of this name."""
    return Project.objects.filter(name=name).exists()


def nearest(name: str) -> str:
    """The project that was probably meant; empty when none is near."""
    names = list(Project.objects.values_list("name", flat=True))
    return next(iter(difflib.get_close_matches(name, names, n=1)), "")


def document_of(found: Project) -> ProjectDocument:
    """What a project wants.

    Raises:
        ProjectProblems: another version of Isocenter wrote it, in a form that is not known here.
    """
    return parse_document(found.document)


def entries(name: str, cursor: int | None = None, limit: int = 50) -> list[EntryRow]:
    """Entries of a map, the newest first.

    Args:
        cursor: number of the last entry that was shown.
        limit: at most 1000.

    Raises:
        NotFound: there is no such project.
    """
    found = MapEntry.objects.filter(project=project(name)).order_by("-pk")
    if cursor is not None:
        found = found.filter(pk__lt=cursor)
    return [
        EntryRow(
            row.pk,
            row.pseudonym_id,
            row.pseudonym_name,
            "given" if row.is_given else "issued",
            row.by_study,
            row.created_at,
        )
        for row in found[: min(limit, MOST_ENTRIES)]
    ]


def changes(name: str, limit: int = 50) -> list[ProjectChange]:
    """Changes of a project, the newest first; those of removed ones too."""
    return list(ProjectChange.objects.filter(name=name).order_by("-version")[:limit])


def pipelines_of(name: str) -> list[str]:
    """Pipelines that name a project, by name."""
    # Routing is asked, not read: pipelines are its own.
    from isocenter.apps.routing import queries as routing

    return routing.pipelines_with(_STEP, project=name)


def summary_of(document: ProjectDocument) -> str:
    """A policy in a few words."""
    words = [", ".join(document.options) or "Basic Profile"]
    words.append({"remove": "no dates", "shift": "dates shifted", "keep": "dates kept"}[
        document.dates
    ])  # fmt: skip
    if document.pixels != "off":
        words.append(f"pixels by {document.pixels}")
    if document.faces != "ignore":
        words.append({"refuse": "faces refused", "deface": "faces removed"}[document.faces])
    if document.rules.strip() or document.presets:
        words.append("own rules")
    words.append(f"pseudonyms {document.pseudonyms.kind}")
    return "; ".join(words)


def _row(found: Project, patients: int, legacy: int) -> ProjectRow:
    try:
        summary = summary_of(document_of(found))
    except ProjectProblems as problems:
        summary = f"cannot be used: {problems}"
    return ProjectRow(
        found.name,
        found.description,
        summary,
        patients,
        legacy,
        found.version,
        found.created_at,
        found.created_by,
        found.changed_at,
        found.changed_by,
    )
