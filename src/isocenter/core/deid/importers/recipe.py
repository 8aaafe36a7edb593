"""Recipes of deid: ``FORMAT dicom``, sections ``%header``, ``%filter``, ``%fields``, ``%values``
and ``%labels``, one action a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from isocenter.core.deid.importers.imported import Collector, Imported
from isocenter.core.deid.importers.recipe_fields import FieldError, Fields, selected
from isocenter.core.deid.rules.site_rules import ValueTest, is_untouchable
from isocenter.core.deid.rules.tag_patterns import TagPattern
from isocenter.core.deid.rules.values import Change, ChangeKind
from isocenter.core.errors import ConfigurationError

#: The action that a field gets where several name it, strongest first.
_PRECEDENCE = ("KEEP", "ADD", "REPLACE", "JITTER", "REMOVE", "BLANK")
_ACTION = re.compile(r"([A-Z]+)\s+(\S+)(?:\s+(.*))?")
# A private field has its creator in it, which may have spaces.
_PRIVATE_ACTION = re.compile(r"([A-Z]+)\s+(\([^)]*\))(?:\s+(.*))?")
_SECTIONS = frozenset({"header", "filter", "fields", "values", "labels"})
_VALUE_TESTS = {
    "contains": ("matches", False),
    "notcontains": ("matches", True),
    "equals": ("equals", False),
    "notequals": ("equals", True),
}
_PATIENT = frozenset({"PatientID", "PatientName"})
_SEARCHED = (
    "values of the patient are taken out of text by clean-descriptors, and searched everywhere by "
    "the verifier"
)
_NOT_ADDED = "the attribute is changed where it is there, and not added where it is absent"
_WRITTEN_BY_ENGINE = frozenset({"PatientIdentityRemoved", "DeidentificationMethod"})
_VARIABLE = "a variable that a program gives"
_FUNCTION = "a function of a program; Isocenter runs none"


@dataclass(frozen=True, slots=True)
class _Line:
    """One action of the header section."""

    number: int
    source: str
    action: str
    field: str
    value: str


def import_recipe(text: str) -> Imported:
    """Rules of a deid recipe.

    Raises:
        ConfigurationError: it does not say ``FORMAT dicom``.
    """
    collector = Collector("recipe")
    lines = _Reader(collector).read(text)
    fields = lines.fields
    for action in _PRECEDENCE:
        for line in lines.header:
            if line.action == action:
                _add(collector, line, fields)
    return collector.finish("deid recipe")


class _Reader:
    """Sorts lines into sections."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._section = ""
        self._group = ""
        self.header: list[_Line] = []
        self.fields = Fields()

    def read(self, text: str) -> _Reader:
        formats = []
        for number, raw in enumerate(text.lstrip("\ufeff").splitlines(), 1):
            line = raw.split("#", 1)[0].strip()
            if not line:
                continue
            if re.match(r"format\b", line, re.IGNORECASE):
                formats.append(line[6:].strip().lower())
            elif line.startswith("%"):
                self._open(number, line)
            else:
                self._line(number, line)
        if formats[:1] != ["dicom"]:
            raise ConfigurationError("deid recipe: it does not begin with FORMAT dicom")
        return self

    def _open(self, number: int, line: str) -> None:
        words = line[1:].split()
        self._section = words[0].lower() if words else ""
        self._group = " ".join(words[1:])
        if self._section not in _SECTIONS:
            self._collector.unmapped(number, line, "no section of a deid recipe")

    def _line(self, number: int, line: str) -> None:
        match self._section:
            case "header":
                self._action(number, line)
            case "fields":
                self._field(number, line)
            case "filter":
                self._filter(number, line)
            case "values":
                why = (
                    "values of the patient are searched everywhere by the verifier, and taken out "
                )
                self._collector.unmapped(number, line, why + "of text by clean-descriptors")
            case "labels":
                self._collector.unmapped(number, line, "labels are not part of the images")
            case _:
                self._collector.unmapped(number, line, "it is in no section that is known")

    def _action(self, number: int, line: str) -> None:
        found = _PRIVATE_ACTION.fullmatch(line) or _ACTION.fullmatch(line)
        if found is None or found[1] not in _PRECEDENCE:
            self._collector.unmapped(number, line, "no action of a deid recipe")
            return
        self.header.append(_Line(number, line, found[1], found[2], (found[3] or "").strip()))

    def _field(self, number: int, line: str) -> None:
        word, _, field = line.partition(" ")
        if word.upper() != "FIELD" or not field.strip():
            self._collector.unmapped(number, line, "no FIELD")
            return
        self.fields.add(self._group, field.strip())

    def _filter(self, number: int, line: str) -> None:
        if line.lower().startswith("coordinates"):
            why = "rectangles belong into a pixel template"
        elif line.upper().startswith("LABEL"):
            why = f"filter {self._group}: pixels are looked after by templates and OCR"
        else:
            why = "a criterion of the filter above"
        self._collector.unmapped(number, line, why)


def _add(collector: Collector, line: _Line, fields: Fields) -> None:
    """The rule of one line, or why there is none."""
    if line.field in _WRITTEN_BY_ENGINE:
        collector.changed(line.number, line.source, "Isocenter writes its own")
        return
    if line.field.startswith("values:") or line.value.startswith("values:"):
        collector.unmapped(line.number, line.source, _SEARCHED)
        return
    try:
        selection = selected(line.field, fields)
        if _stays_anyway(line, selection.tags):
            return
        value, change = _change(collector, line, selection.tags)
    except (FieldError, ConfigurationError) as error:
        collector.unmapped(line.number, line.source, str(error))
        return
    collector.rule(
        line.number,
        line.source,
        selection.tags,
        change,
        excluded=selection.excluded,
        vrs=selection.vrs,
        value=value,
    )


def _stays_anyway(line: _Line, tags: list[str]) -> bool:
    """KEEP of what no rule can take away."""
    if line.action != "KEEP" or len(tags) != 1:
        return False
    tag = TagPattern(tags[0]).tag
    return tag is not None and is_untouchable(tag)


def _change(
    collector: Collector, line: _Line, tags: list[str]
) -> tuple[tuple[ValueTest, ...], Change]:
    """What the action does, and tests of the value.

    Raises:
        FieldError: says why there is no counterpart.
    """
    match line.action:
        case "KEEP":
            return (), Change(ChangeKind.KEEP)
        case "BLANK":
            return (), Change(ChangeKind.EMPTY)
        case "REMOVE":
            return _tests(line.value), Change(ChangeKind.REMOVE)
        case "JITTER":
            return (), _jitter(collector, line, line.value)
        case "ADD":
            collector.changed(line.number, line.source, _NOT_ADDED)
    if not line.value:
        raise FieldError(f"{line.action} without a value")
    return (), _replacement(collector, line, tags)


def _tests(value: str) -> tuple[ValueTest, ...]:
    if not value:
        return ()
    kind, _, operand = value.partition(":")
    if kind not in _VALUE_TESTS:
        raise FieldError(_FUNCTION if kind in ("func", "deid_func") else f"{value!r} is no filter")
    name, negated = _VALUE_TESTS[kind]
    return (ValueTest(name, operand, ignore_case=True, negated=negated),)


def _jitter(collector: Collector, line: _Line, value: str) -> Change:
    if re.fullmatch(r"[+-]?\d{1,6}", value):
        return Change(ChangeKind.SHIFT, days=int(value))
    if not value.startswith("var:"):
        raise FieldError(f"JITTER by {value!r}, which is no number of days")
    why = "the patient's own shift of 1 to 365 days back instead of the variable"
    collector.changed(line.number, line.source, why)
    return Change(ChangeKind.SHIFT)


def _replacement(collector: Collector, line: _Line, tags: list[str]) -> Change:
    value = line.value
    kind, _, rest = value.partition(":")
    if kind == "var":
        if line.field in _PATIENT:
            collector.changed(line.number, line.source, "the pseudonym instead of the variable")
            return Change(ChangeKind.PSEUDONYM)
        raise FieldError(_VARIABLE)
    if kind == "func":
        raise FieldError(_FUNCTION)
    if kind == "deid_func":
        return _deid_function(collector, line, rest, tags)
    return Change(ChangeKind.REPLACE, value)


def _deid_function(collector: Collector, line: _Line, call: str, tags: list[str]) -> Change:
    name, *arguments = call.split()
    given = dict(argument.partition("=")[::2] for argument in arguments)
    if name == "jitter":
        if given.keys() - {"days"}:
            raise FieldError("jitter by years: say it in days")
        return _jitter(collector, line, given.get("days", ""))
    if name in ("dicom_uuid", "pydicom_uuid"):
        collector.changed(line.number, line.source, "UIDs are 2.25.… by the project's secret")
        return Change(ChangeKind.HASH)
    if name in ("simple_uuid", "suffix_uuid"):
        why = "a keyed hash, the same for the same value, instead of a random UUID"
        collector.changed(line.number, line.source, why)
        return Change(ChangeKind.HASH)
    raise FieldError(f"deid_func:{name} is not known")
