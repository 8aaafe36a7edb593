"""PS3.15 Table E.1-1 as data: what the Basic Profile and its options do to each attribute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from isocenter.core.deid.policy import Option


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table.

    Attributes:
        keyword: empty for attributes that PS3.6 has long forgotten.
        basic: action code of the Basic Profile, such as ``X/Z/D`` (PS3.15 Table E.1-1a).
        options: ``K`` (keep) or ``C`` (clean) where an option says otherwise.
    """

    keyword: str
    basic: str
    options: Mapping[Option, str]


@dataclass(frozen=True)
class Table:
    """The table.

    Attributes:
        edition: of the standard.
        attributes: rows by tag.
        repeating: rows of repeating groups (PS3.5 7.6): high byte of the group → element → row;
            element None stands for the whole group.
    """

    edition: str
    attributes: Mapping[int, Entry]
    repeating: Mapping[int, Mapping[int | None, Entry]]

    @classmethod
    def load(cls) -> Table:
        """The table of this release; read once."""
        return _load()

    def entry(self, tag: int) -> Entry | None:
        """The row of an attribute; None where the table has none, and for private ones."""
        found = self.attributes.get(tag)
        if found is not None or tag >> 16 & 1:
            return found
        rows = self.repeating.get(tag >> 24)
        return None if rows is None else rows.get(tag & 0xFFFF, rows.get(None))


@cache
def _load() -> Table:
    read = json.loads((files("isocenter.core.deid") / "data" / "annex_e.json").read_text())
    attributes: dict[int, Entry] = {}
    repeating: dict[int, dict[int | None, Entry]] = {}
    for key, row in read["attributes"].items():
        options = {Option(option): code for option, code in row.get("options", {}).items()}
        entry = Entry(row["keyword"], row["basic"], options)
        if "x" in key:
            element = None if "x" in key[4:] else int(key[4:], 16)
            repeating.setdefault(int(key[:2], 16), {})[element] = entry
        else:
            attributes[int(key, 16)] = entry
    return Table(read["edition"], attributes, repeating)
