"""Device templates: where a device, at a matrix, burns in its text.

A template file is YAML: ``templates`` is a list, each entry has ``name``, ``rectangles`` (lists
``[x, y, width, height]``) and conditions, which must all hold: ``sop_class`` (UIDs), ``modality``,
``rows``, ``columns``, ``burned_in_annotation`` (one of the list, whole value); ``manufacturer``,
``model``, ``image_type``, ``series_description``, ``protocol_name``,
``comments_on_radiation_dose`` (one of the list is part of the value); ``window_width`` (equal).
Upper and lower case are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from isocenter.core.deid.pixels.inspection import Facts
from isocenter.core.deid.pixels.rectangles import Rectangle
from isocenter.core.errors import ConfigurationError

_CONTAINED = {
    "manufacturer": "Manufacturer",
    "model": "ManufacturerModelName",
    "series_description": "SeriesDescription",
    "protocol_name": "ProtocolName",
    "comments_on_radiation_dose": "CommentsOnRadiationDose",
}
_EQUAL = ("sop_class", "modality", "burned_in_annotation", "window_width")
_NUMBERS = ("rows", "columns")
_KEYS = frozenset((*_CONTAINED, *_EQUAL, *_NUMBERS, "image_type", "name", "rectangles"))


@dataclass(frozen=True)
class Template:
    """One device at one matrix.

    Attributes:
        conditions: key of the file → the values of which one must match, upper case.
        rectangles: as the file gives them; they may reach out of the image.
    """

    name: str
    conditions: tuple[tuple[str, tuple[str, ...]], ...]
    rectangles: tuple[Rectangle, ...]

    @property
    def names_matrix(self) -> bool:
        """Whether it says for which rows or columns its rectangles are."""
        return any(key in _NUMBERS for key, _ in self.conditions)

    def matches(self, facts: Facts) -> bool:
        """Whether every condition holds."""
        return all(_holds(key, values, facts) for key, values in self.conditions)


@dataclass(frozen=True)
class TemplateSet:
    """Templates in the order of their file; all that match count.

    Attributes:
        source: where they are from, with its edition.
    """

    templates: tuple[Template, ...] = ()
    source: str = ""

    @classmethod
    def shipped(cls) -> TemplateSet:
        """The ones in the package."""
        return _shipped()

    @classmethod
    def from_file(cls, path: Path) -> TemplateSet:
        """A site's own.

        Raises:
            ConfigurationError: no YAML, or an entry that makes no sense; says which.
            OSError: the file cannot be read.
        """
        return cls.from_text(path.read_text(encoding="utf-8"), path.name)

    @classmethod
    def from_text(cls, text: str, name: str = "templates") -> TemplateSet:
        """The same from the file's text."""
        try:
            document = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{name} is no YAML", hint=_where(error)) from None
        entries = document.get("templates") if isinstance(document, Mapping) else None
        if not isinstance(entries, list):
            raise ConfigurationError(f"{name} has no list named templates")
        return cls(
            tuple(_template(entry, f"{name}: entry {n}") for n, entry in enumerate(entries, 1)),
            str(document.get("source", name)),
        )

    def __add__(self, other: TemplateSet) -> TemplateSet:
        both = ", ".join(name for name in (self.source, other.source) if name)
        return TemplateSet(self.templates + other.templates, both)

    def match(self, facts: Facts) -> list[Template]:
        """The templates whose device and matrix this is."""
        return [template for template in self.templates if template.matches(facts)]


@cache
def _shipped() -> TemplateSet:
    text = files("isocenter.core.deid").joinpath("data/pixel_templates.yaml").read_text("utf-8")
    return TemplateSet.from_text(text, "pixel_templates.yaml")


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"see line {mark.line + 1}" if mark is not None else "see the guide for its form"


def _template(entry: Any, where: str) -> Template:
    if not isinstance(entry, Mapping):
        raise ConfigurationError(f"{where} is no mapping of keys to values")
    wrong = sorted(str(key) for key in entry if key not in _KEYS)
    if wrong:
        raise ConfigurationError(
            f"{where} has the unknown key {wrong[0]}", hint=f"known: {', '.join(sorted(_KEYS))}"
        )
    conditions = tuple(
        (key, _condition(value))
        for key, value in entry.items()
        if key not in ("name", "rectangles")
    )
    if not conditions:
        raise ConfigurationError(f"{where} has no condition and would match every image")
    rectangles = entry.get("rectangles")
    if not isinstance(rectangles, list) or not rectangles:
        raise ConfigurationError(f"{where} has no rectangles")
    return Template(
        str(entry.get("name") or where),
        conditions,
        tuple(_rectangle(numbers, where) for numbers in rectangles),
    )


def _condition(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(str(one).strip().upper() for one in values)


def _rectangle(numbers: Any, where: str) -> Rectangle:
    is_four = isinstance(numbers, list) and len(numbers) == 4
    if not is_four or not all(isinstance(number, int) for number in numbers):
        raise ConfigurationError(f"{where}: a rectangle is [x, y, width, height], whole pixels")
    return Rectangle(*numbers)


def _holds(key: str, values: tuple[str, ...], facts: Facts) -> bool:
    if key in _CONTAINED:
        found = facts.text(_CONTAINED[key])
        return any(value in found for value in values)
    if key == "image_type":
        found = "\\".join(facts.image_type)
        return any(value in found for value in values)
    actual = {
        "sop_class": facts.sop_class_uid,
        "modality": facts.modality,
        "burned_in_annotation": facts.burned_in_annotation,
        "window_width": facts.text("WindowWidth").removesuffix(".0"),
        "rows": str(facts.rows),
        "columns": str(facts.columns),
    }[key]
    return actual in values
