"""Small pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel

from isocenter.runtime.settings_reference import default_text


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars inside of cells are escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    return f"`{text}`"


def status(number: int) -> str:
    """As PS3.7 writes a status."""
    return f"`0x{number:04X}`"


def tag(number: int) -> str:
    return f"({number >> 16:04X},{number & 0xFFFF:04X})"


def settings(model: type[BaseModel], section: str, names: Sequence[str]) -> str:
    """Some settings of a section, with their defaults."""
    return table(
        ("setting", "default", "what"),
        [
            (
                code(f"{section}.{name}"),
                default_text(name, model.model_fields[name]),
                model.model_fields[name].description or "",
            )
            for name in names
        ],
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
