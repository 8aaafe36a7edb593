"""What was planted where: the neutral record from which answers for a policy are made."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_has_tag, keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag


@dataclass(frozen=True)
class Row:
    """One row of PS3.15 Table E.1-1."""

    tag: str
    keyword: str
    vr: str
    basic: str
    options: Mapping[str, str]


@cache
def annex_e() -> tuple[Row, ...]:
    """The table of the standard, in the order of tags."""
    with Path(__file__).with_name("annex_e.csv").open(encoding="utf-8", newline="") as handle:
        return tuple(
            Row(
                line["tag"],
                line["keyword"],
                line["vr"],
                line["basic"],
                dict(part.split("=") for part in line["options"].split() if "=" in part),
            )
            for line in csv.DictReader(handle)
        )


@dataclass(frozen=True)
class Plant:
    """One planted value.

    Attributes:
        serial: InstanceNumber of the object, unique in the whole set.
        path: of the element as the MIDI-B validation script writes it,
            ``<(0040,a730)>[<0000>]<(0040,a160)>``.
        kind: see :mod:`deid_proof.expectations`.
        value: as written, backslashes between values.
        removed: what of it identifies; by default all of it.
        retained: what of it must stay where the kind says so.
        basic, options: from Annex E for the kind ``annex``.
    """

    serial: int
    path: str
    vr: str
    kind: str
    value: str
    removed: tuple[str, ...] = ()
    retained: tuple[str, ...] = ()
    basic: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


def tag_of(name: str | int) -> int:
    """A tag from its keyword, from 8 hexadecimal digits, or itself."""
    if isinstance(name, int):
        return name
    known = tag_for_keyword(name)
    return known if known is not None else int(name, 16)


def written(value: Any) -> str:
    """A value as text, values separated by backslashes."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, (list, tuple)):
        return "\\".join(str(part) for part in value)
    return str(value)


class Place:
    """A data set or item that is being filled, with its path; records what it is given."""

    def __init__(
        self, dataset: Dataset, serial: int, plants: list[Plant], prefix: str = ""
    ) -> None:
        self.dataset = dataset
        self.serial = serial
        self.plants = plants
        self.prefix = prefix

    def path(self, name: str | int, creator: str = "") -> str:
        """Path of an element of this place."""
        tag = Tag(tag_of(name))
        if creator:
            return f'{self.prefix}<({tag.group:04x},"{creator.upper()}",{tag.element & 0xFF:02x})>'
        return f"{self.prefix}<({tag.group:04x},{tag.element:04x})>"

    def put(self, name: str | int, value: Any, vr: str = "") -> int:
        """Write an element and record nothing."""
        tag = tag_of(name)
        if vr:
            self.dataset.add_new(tag, vr, value)
        else:
            setattr(self.dataset, keyword_for_tag(tag), value)
        return tag

    def item(self, name: str | int, creator: str = "") -> Place:
        """A new item at the end of a sequence."""
        tag = Tag(tag_of(name))
        if tag not in self.dataset or not self.dataset[tag].value:
            self.dataset.add_new(tag, "SQ", Sequence([]))
        items = self.dataset[tag].value
        items.append(Dataset())
        prefix = f"{self.path(tag, creator)}[<{len(items) - 1:04d}>]"
        return Place(items[-1], self.serial, self.plants, prefix)

    def plant(self, name: str | int, value: Any, kind: str, vr: str = "", **facts: Any) -> None:
        """Write an element and record it."""
        creator = facts.pop("creator", "")
        tag = self.put(name, value, vr)
        self.plants.append(
            Plant(
                self.serial,
                self.path(tag, creator),
                str(self.dataset[tag].VR),
                kind,
                written(value),
                **facts,
            )
        )

    def keep(self, **values: Any) -> None:
        """Values that must stay under every policy."""
        for keyword, value in values.items():
            self.plant(keyword, value, "keep")

    def code(self, name: str | int, value: str, scheme: str, meaning: str, *, keep: bool) -> None:
        """A coded concept (PS3.3 8)."""
        item = self.item(name)
        if keep:
            item.keep(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)
        else:
            item.put("CodeValue", value)
            item.put("CodingSchemeDesignator", scheme)
            item.put("CodeMeaning", meaning)


def is_known(tag: int) -> bool:
    """Whether pydicom's dictionary has the tag."""
    return bool(dictionary_has_tag(tag))
