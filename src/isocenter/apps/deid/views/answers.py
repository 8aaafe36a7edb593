"""What views of this app share."""

from __future__ import annotations

from typing import Any

from isocenter.apps.deid import queries
from isocenter.core.errors import IsocenterError


def frame(name: str, tab: str) -> dict[str, Any]:
    """What every page of one project shows.

    Raises:
        NotFound: there is no such project.
    """
    row = queries.project_row(name)
    return {"project": row, "patients": row.patients, "tab": tab}


def sentence(error: IsocenterError) -> str:
    """An error as people read it on a page; hints that name commands are for the prompt."""
    text = str(error.args[0]) if error.args else "this cannot be done"
    hint = error.hint if error.hint and not error.hint.startswith("isocenter ") else ""
    end = "" if text.endswith((".", "?", "!")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}{f' {hint[:1].upper()}{hint[1:]}.' if hint else ''}"
