"""Which attributes a field of a deid recipe means: a keyword, a tag, or an expander over names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pydicom.datadict import keyword_dict

_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),? ?([0-9A-Fa-f]{4})\)?")
_PRIVATE = re.compile(r"\(([0-9A-Fa-f]{4}), ?\"?([^,\"]+)\"?, ?([0-9A-Fa-f]{2})\)")
_DIGITS = re.compile(r"[0-9A-Fa-f]{4}")
_EVERYTHING = "(xxxx,xxxx)"


class FieldError(Exception):
    """A field or an action that has no counterpart; says why."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Patterns of tags, without others, of some VRs; none means all."""

    tags: list[str]
    excluded: list[str] = field(default_factory=list)
    vrs: tuple[str, ...] = ()


class Fields:
    """The groups of the ``%fields`` sections."""

    def __init__(self) -> None:
        self._groups: dict[str, list[str]] = {}

    def add(self, group: str, name: str) -> None:
        """A further field of a group."""
        self._groups.setdefault(group, []).append(name)

    def of(self, group: str) -> list[str]:
        """The fields of a group.

        Raises:
            FieldError: there is no such group.
        """
        if group not in self._groups:
            raise FieldError(f"there is no group of fields {group!r}")
        return self._groups[group]


def selected(name: str, fields: Fields) -> Selection:
    """What a field means.

    Raises:
        FieldError: says why it means nothing here.
    """
    expander, colon, argument = name.partition(":")
    if not colon:
        return Selection([_EVERYTHING] if name.upper() == "ALL" else [_single(name)])
    match expander.lower():
        case "fields":
            return _group(argument, fields)
        case "select":
            return _selected(argument)
        case "endswith":
            return Selection(_keywords(re.escape(argument) + "$", name))
        case "startswith":
            return Selection(_keywords("^" + re.escape(argument), name))
        case "contains":
            return Selection(_contained(argument, name))
        case "except" | "allexcept":
            return Selection([_EVERYTHING], _keywords(argument, name))
        case "all" | "allfields":
            return Selection([_EVERYTHING])
    raise FieldError(f"{expander!r} is no expander of deid that is known")


def _single(name: str) -> str:
    """A keyword, a tag, or a private element by its creator."""
    private = _PRIVATE.fullmatch(name)
    if private is not None:
        return f'({private[1]},xx{private[3]},"{private[2].strip()}")'
    found = _TAG.fullmatch(name)
    return f"({found[1]},{found[2]})" if found else name


def _group(name: str, fields: Fields) -> Selection:
    tags: list[str] = []
    for one in fields.of(name):
        selection = selected(one, fields) if not one.startswith("fields:") else None
        if selection is None or selection.excluded or selection.vrs:
            raise FieldError(f"{one} within a group of fields")
        tags.extend(selection.tags)
    return Selection(list(dict.fromkeys(tags)))


def _selected(argument: str) -> Selection:
    kind, _, value = argument.partition(":")
    if kind.lower() == "group" and re.fullmatch(r"[0-9A-Fa-f]{1,4}", value):
        return Selection([f"({value.rjust(4, '0')},xxxx)"])
    if kind.upper() == "VR" and re.fullmatch(r"[A-Za-z]{2}", value):
        return Selection([_EVERYTHING], vrs=(value.upper(),))
    raise FieldError(f"select:{argument} is neither a group nor a VR")


def _contained(argument: str, name: str) -> list[str]:
    """Attributes by a part of their name, and private groups by their number."""
    tags = _keywords(argument, name, may_be_none=_DIGITS.fullmatch(argument) is not None)
    if _DIGITS.fullmatch(argument):
        tags += [f"({argument},xxxx)"]
    return tags


def _keywords(expression: str, name: str, *, may_be_none: bool = False) -> list[str]:
    """Keywords of the dictionary that an expression finds, upper and lower case alike."""
    try:
        pattern = re.compile(expression, re.IGNORECASE)
    except re.error as error:
        raise FieldError(f"{name}: {error}") from error
    found = sorted(keyword for keyword in keyword_dict if keyword and pattern.search(keyword))
    if not found and not may_be_none:
        raise FieldError(f"{name}: no attribute has such a name")
    return found
