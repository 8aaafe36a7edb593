"""What a project was before: every change with who made it, and what differs."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass

from isocenter.apps.deid.documents import ProjectDocument, write_document
from isocenter.apps.deid.models import ProjectChange
from isocenter.apps.deid.queries import changes
from isocenter.core.errors import NotFound

MOST = 50


@dataclass(frozen=True)
class DiffLine:
    """A line of the YAML; ``sign`` is ``+``, ``-`` or empty."""

    sign: str
    text: str


@dataclass(frozen=True)
class Past:
    """One change, with what it changed."""

    row: ProjectChange
    lines: tuple[DiffLine, ...]


def shown(name: str) -> list[Past]:
    """Changes of a project, the newest first."""
    rows = changes(name, MOST + 1)
    found = []
    for row, before in zip(rows, [*rows[1:], None], strict=True):
        found.append(Past(row, tuple(_difference(before, row))))
    return found[:MOST]


def change(name: str, version: int) -> ProjectChange:
    """What a project was at a version.

    Raises:
        NotFound: it had no such version.
    """
    found = ProjectChange.objects.filter(name=name, version=version).first()
    if found is None:
        raise NotFound(f"the project {name} had no version {version}")
    return found


def as_yaml(description: str, document: ProjectDocument) -> str:
    """A project as ``isocenter deid-project create --from`` reads it."""
    text = write_document(document)
    return f"description: {_quoted(description)}\n{text}" if description else text


def _difference(before: ProjectChange | None, after: ProjectChange) -> list[DiffLine]:
    new = _written(after)
    if before is None or after.change == ProjectChange.Change.REMOVED:
        return [DiffLine("", line) for line in new]
    compared = difflib.ndiff(_written(before), new)
    return [
        DiffLine("" if line[0] == " " else line[0], line[2:])
        for line in compared
        if not line.startswith("?")
    ]


def _written(row: ProjectChange) -> list[str]:
    return as_yaml(row.description, ProjectDocument.model_validate(row.document)).splitlines()


def _quoted(text: str) -> str:
    """A YAML scalar, whatever stands in the text (JSON is YAML)."""
    return json.dumps(text, ensure_ascii=False)
