"""Karnak profiles: YAML with ``profileElements``, each with a ``codename``."""

from __future__ import annotations

import re
from typing import Any

import yaml

from isocenter.core.deid.importers.expressions import (
    Conjunction,
    ExpressionError,
    parse_condition,
    parse_expression,
)
from isocenter.core.deid.importers.imported import Collector, Imported
from isocenter.core.deid.policy import Option
from isocenter.core.deid.rules.site_rules import Condition
from isocenter.core.deid.rules.tag_patterns import TagPattern
from isocenter.core.deid.rules.values import Change, ChangeKind
from isocenter.core.deid.rules.yaml_nodes import compose
from isocenter.core.errors import ConfigurationError

_ACTIONS = {
    "K": ChangeKind.KEEP,
    "X": ChangeKind.REMOVE,
    "Z": ChangeKind.EMPTY,
    "D": ChangeKind.DUMMY,
    "U": ChangeKind.UID,
}
_DATE_VRS = ("DA", "DT")
_KEYS = frozenset(
    {"name", "codename", "condition", "action", "option", "arguments", "tags", "excludedTags",
     "excludedtags", "exceptedtags", "args"}
)  # fmt: skip
_HEAD = frozenset(
    {"name", "version", "minimumKarnakVersion", "minimumkarnakversion", "profileElements",
     "masks", "defaultIssuerOfPatientID"}
)  # fmt: skip
_ADDS = "Isocenter adds no attributes, it changes those that are there"
_EVERYWHERE = (Conjunction(),)


def import_karnak(text: str) -> Imported:
    """Rules and options of a Karnak profile.

    Raises:
        ConfigurationError: no YAML, or no list ``profileElements``.
    """
    node = compose(text, "Karnak profile")
    table = _table(node)
    elements = table.get("profileElements")
    if not isinstance(elements, yaml.SequenceNode):
        raise ConfigurationError("Karnak profile: there is no list 'profileElements'")
    collector = Collector("karnak")
    importer = _Importer(collector)
    for element in elements.value:
        importer.element(_Element(element))
    importer.head(table)
    name = table.get("name")
    return collector.finish(_text(name) if name is not None else "Karnak")


class _Element:
    """One profile element with its lines."""

    def __init__(self, node: yaml.Node) -> None:
        self.line = node.start_mark.line + 1
        self.table = _table(node)
        self.codename = self.text("codename")
        self.arguments = {
            key: _text(value) for key, value in _table(self.table.get("arguments")).items()
        }

    def text(self, key: str) -> str:
        """The value of a key; empty if there is none."""
        return _text(self.table[key]) if key in self.table else ""

    def list(self, *keys: str) -> list[str]:
        """The texts of a list, by the first of these keys that there is."""
        for key in keys:
            node = self.table.get(key)
            if isinstance(node, yaml.SequenceNode):
                return [_text(one) for one in node.value]
        return []

    @property
    def title(self) -> str:
        return f"{self.codename}: {self.text('name')}"


class _Importer:
    """Goes through the elements in their order: as in Karnak, the first that fits decides."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._after_basic = False

    def head(self, table: dict[str, yaml.Node]) -> None:
        """What stands beside the elements."""
        if not self._after_basic:
            why = "Isocenter applies the basic profile to whatever no rule decides"
            self._collector.changed(1, "no basic.dicom.profile", why)
        for key, node in table.items():
            line = node.start_mark.line + 1
            if key == "masks":
                for mask in node.value if isinstance(node, yaml.SequenceNode) else ():
                    station = _table(mask).get("stationName")
                    text = f"mask of {_text(station) if station else '?'}"
                    why = "rectangles belong into a pixel template"
                    self._collector.unmapped(mask.start_mark.line + 1, text, why)
            elif key == "defaultIssuerOfPatientID" and _text(node):
                why = "the issuer is read from the images or from the list of pseudonyms"
                self._collector.unmapped(line, f"{key}: {_text(node)}", why)
            elif key not in _HEAD:
                self._collector.unmapped(line, key, "no key of a Karnak profile")

    def element(self, one: _Element) -> None:
        """One profile element."""
        if one.codename == "basic.dicom.profile":
            self._after_basic = True
            return
        for key in one.table.keys() - _KEYS:
            line = one.table[key].start_mark.line + 1
            self._collector.unmapped(line, key, "no key of a profile element")
        if self._after_basic:
            why = "it follows the basic profile; here rules go before the profile. Put it before"
            self._collector.unmapped(one.line, one.title, why)
            return
        handler = _HANDLERS.get(one.codename)
        if handler is None:
            why = _NO_COUNTERPART.get(one.codename, "no codename of Karnak that is known here")
            self._collector.unmapped(one.line, one.title, why)
            return
        try:
            condition = one.text("condition")
            when = parse_condition(condition) if condition else _EVERYWHERE
            handler(self, one, when)
        except (ExpressionError, ConfigurationError) as error:
            self._collector.unmapped(one.line, one.title, str(error))

    def _specific(self, one: _Element, when: tuple[Conjunction, ...]) -> None:
        self._add(one, when, self._action(one, "KXZDU"), _patterns(one.list("tags")))

    def _private(self, one: _Element, when: tuple[Conjunction, ...]) -> None:
        tags = [odd for tag in _patterns(one.list("tags")) for odd in _odd(tag)]
        change = self._action(one, "KXZDU")
        if one.list("tags") and not tags:
            raise ExpressionError("none of its tags is private")
        self._add(one, when, change, tags or ["private"])

    def _uids(self, one: _Element, when: tuple[Conjunction, ...]) -> None:
        self._add(one, when, self._action(one, "UXZ"), _patterns(one.list("tags")))

    def _action(self, one: _Element, allowed: str) -> Change:
        letter = one.text("action")
        if letter not in _ACTIONS or letter not in allowed:
            raise ExpressionError(f"action {letter!r} is none of {', '.join(allowed)}")
        return Change(_ACTIONS[letter])

    def _dates(self, one: _Element, when: tuple[Conjunction, ...]) -> None:
        option, arguments = one.text("option"), one.arguments
        tags = _patterns(one.list("tags")) or ["(xxxx,xxxx)"]
        if option in ("date_format", "format_date"):
            steps = {"day": "month", "month_day": "year"}
            step = steps.get(arguments.get("remove", ""))
            if step is None:
                raise ExpressionError("date_format removes 'day' or 'month_day'")
            self._add(one, when, Change(ChangeKind.ROUND, step), tags, _DATE_VRS)
            return
        if option == "shift":
            days = -_whole(arguments, "days")
            if _whole(arguments, "seconds"):
                why = (
                    "dates move by whole days; the seconds are left out, times stay to the profile"
                )
                self._collector.changed(one.line, one.title, why)
            change = Change(ChangeKind.SHIFT, days=days)
        elif option == "shift_range":
            why = "the patient's own shift of 1 to 365 days back, by the project's secret"
            self._collector.changed(one.line, one.title, why)
            change = Change(ChangeKind.SHIFT)
        else:
            raise ExpressionError(f"option {option!r} takes the shift from elsewhere")
        self._collector.changed(one.line, one.title, "ages (AS) are not shifted")
        self._add(one, when, change, tags, _DATE_VRS)

    def _expression(self, one: _Element, when: tuple[Conjunction, ...]) -> None:
        tags = _patterns(one.list("tags"))
        for outcome in parse_expression(one.arguments.get("expr", "")):
            for reached in outcome.when:
                together = [_joined(reached, condition) for condition in when]
                if outcome.change is not None:
                    self._add(one, tuple(together), outcome.change, tags)

    def _pixels(self, one: _Element, when: tuple[Conjunction, ...]) -> None:
        self._collector.options.add(Option.CLEAN_PIXEL_DATA)
        if when != _EVERYWHERE:
            self._collector.changed(one.line, one.title, "pixels are inspected in every object")

    def _faces(self, one: _Element, when: tuple[Conjunction, ...]) -> None:
        self._collector.options.add(Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES)
        if when != _EVERYWHERE:
            self._collector.changed(one.line, one.title, "faces are looked after in every object")

    def _add(
        self,
        one: _Element,
        when: tuple[Conjunction, ...],
        change: Change,
        tags: list[str],
        vrs: tuple[str, ...] = (),
    ) -> None:
        """A rule for each alternative."""
        excluded = _patterns(one.list("excludedTags", "excludedtags", "exceptedtags"))
        for case in when:
            if case.vr and vrs and case.vr not in vrs:
                continue
            wanted = tags
            if case.tag is not None:
                if not any(TagPattern(tag).may_fit(case.tag) for tag in tags):
                    continue
                wanted = [_written(case.tag)]
            self._collector.rule(
                one.line,
                one.title,
                wanted,
                change,
                excluded=[*excluded, *map(_written, case.not_tags)],
                vrs=(case.vr,) if case.vr else vrs,
                value=case.value,
                conditions=(Condition(case.tests),) if case.tests else (),
            )


_HANDLERS = {
    "action.on.specific.tags": _Importer._specific,
    "action.on.privatetags": _Importer._private,
    "action.on.dates": _Importer._dates,
    "expression.on.tags": _Importer._expression,
    "replace.uid": _Importer._uids,
    "clean.pixel.data": _Importer._pixels,
    "clean.recognizable.visual.features": _Importer._faces,
}
_NO_COUNTERPART = {
    "action.add.tag": _ADDS,
    "action.add.private.tag": _ADDS,
    "action.replace.api": "values from a web service; give them in a list of pseudonyms",
}


def _joined(one: Conjunction, other: Conjunction) -> Conjunction:
    return Conjunction(
        one.tests + other.tests,
        one.value + other.value,
        one.tag if one.tag is not None else other.tag,
        one.not_tags + other.not_tags,
        one.vr or other.vr,
    )


def _patterns(tags: list[str]) -> list[str]:
    """Karnak's tags and tag paths as patterns of rules."""
    return [_path(tag.strip()) for tag in tags if tag.strip()]


def _path(tag: str) -> str:
    steps = re.findall(r"\*\*|\*|\([^)]*\)|[^.()]+", tag)
    if len(steps) == 1:
        return _one(steps[0])
    if steps[0] == "**" and "*" not in steps[1:] and "**" not in steps[1:]:
        return "/".join(map(_one, steps[1:]))
    if "*" in steps or "**" in steps:
        raise ExpressionError(f"tag path {tag}: a * in the middle has no counterpart")
    return "/" + "/".join(map(_one, steps))


def _one(step: str) -> str:
    digits = re.sub(r"[(), ]", "", step)
    return f"({digits[:4]},{digits[4:]})" if len(digits) == 8 else step


def _odd(pattern: str) -> list[str]:
    """The private ones of what a pattern means."""
    last = pattern.rsplit("/", 1)[-1]
    digit = last[4:5]
    if digit not in ("x", "X"):
        return [pattern] if digit and digit in "13579bdfBDF" else []
    head = pattern[: len(pattern) - len(last)]
    if last.lower() == "(xxxx,xxxx)" and not head:
        return ["private"]
    return [f"{head}{last[:4]}{odd}{last[5:]}" for odd in "13579BDF"]


def _written(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _whole(arguments: dict[str, str], key: str) -> int:
    text = arguments.get(key, "0")
    if not re.fullmatch(r"[+-]?\d{1,7}", text):
        raise ExpressionError(f"{key}: {text!r} is no whole number")
    return int(text)


def _table(node: Any) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {str(key.value): value for key, value in node.value}


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag.endswith(":null"):
        return ""
    return str(node.value)
