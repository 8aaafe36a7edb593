"""What stands behind the question mark of a search (PS3.18 8.3.4 and 10.6.1.2).

Pure: text in, a question out. Whatever cannot be answered is refused with a sentence, never
passed over: an answer to another question would be more than was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from isocenter.apps.dicomweb.errors import BadRequest

_MOST_KEYS = 64
_LONGEST_VALUE = 4096
_LONGEST_LIST = 65536  # of UIDs
_LARGEST = 10**9
_HEX = re.compile(r"[0-9A-Fa-f]{8}")
_KEYWORD = re.compile(r"[A-Z][A-Za-z0-9]{1,80}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_OURS = ("limit", "offset", "fuzzymatching", "includefield")
#: Named by the standard for every request; negotiation reads them.
_OF_EVERY_REQUEST = ("accept", "charset")
_LIST_VRS = ("UI", "CS")  # these never hold a comma themselves
PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})


@dataclass
class Asked:
    """A search as it was asked.

    Attributes:
        keys: tag → matching text; a backslash separates the values of a list.
        sequence_keys: (sequence, tag inside) → matching text.
        fields: tags of ``includefield``.
        all_fields: ``includefield=all``.
        limit: None: not given.
    """

    keys: dict[int, str] = field(default_factory=dict)
    sequence_keys: dict[tuple[int, int], str] = field(default_factory=dict)
    fields: set[int] = field(default_factory=set)
    all_fields: bool = False
    fuzzy: bool = False
    limit: int | None = None
    offset: int = 0

    @property
    def key_names(self) -> list[str]:
        """Keywords of what was matched; for the audit, which keeps no values."""
        plain = [name_of(tag) for tag, text in self.keys.items() if text]
        return plain + [
            f"{name_of(outer)}.{name_of(inner)}"
            for (outer, inner), text in self.sequence_keys.items()
            if text
        ]


def read_parameters(
    items: Iterable[tuple[str, str]],
    searchable: Collection[int],
    inside: Mapping[int, Collection[int]],
) -> Asked:
    """Read the parameters of a search.

    Args:
        items: names and values in their order, percent-decoded.
        searchable: tags that can be matched at this level.
        inside: tags of sequences that can be matched → tags inside their items.

    Raises:
        BadRequest: a parameter that is none, a value that cannot be one, too much of it.
    """
    asked = Asked()
    lists: dict[str, list[str]] = {}
    given: set[str] = set()
    for count, (name, value) in enumerate(items):
        if count >= _MOST_KEYS:
            raise BadRequest(f"a search has at most {_MOST_KEYS} parameters")
        lower = name.lower()
        if lower in _OURS:
            if lower in given and lower != "includefield":
                raise BadRequest(f"{lower} comes once", hint=f"leave the other {lower} out")
            given.add(lower)
            _set_option(asked, lower, value)
        elif lower not in _OF_EVERY_REQUEST:
            lists.setdefault(name, []).append(value)
    for name, values in lists.items():
        _add_key(asked, name, values, searchable, inside)
    return asked


def name_of(tag: int) -> str:
    """Keyword of an attribute; its tag where it has none."""
    return keyword_for_tag(tag) or f"{tag:08X}"


def tag_named(text: str, where: str) -> int:
    """The tag that a keyword or eight digits name.

    Raises:
        BadRequest: neither.
    """
    if _HEX.fullmatch(text):
        return int(text, 16)
    tag = tag_for_keyword(text) if _KEYWORD.fullmatch(text) else None
    if tag is None:
        raise BadRequest(
            f"{where} {shown(text)} is neither a keyword of DICOM nor a tag",
            hint="for example PatientID or 00100020",
        )
    return int(tag)


def shown(text: str) -> str:
    """A name out of a request, fit for a sentence: short, and printable."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text[:60])
    return f"“{plain}…”" if len(text) > 60 else f"“{plain}”"


def _set_option(asked: Asked, name: str, value: str) -> None:
    if name == "includefield":
        _add_fields(asked, value)
    elif name == "fuzzymatching":
        if value.lower() not in ("true", "false"):
            raise BadRequest("fuzzymatching is true or false")
        asked.fuzzy = value.lower() == "true"
    else:
        if not _NUMBER.fullmatch(value) or int(value) > _LARGEST:
            raise BadRequest(f"{name} is a whole number from 0 to {_LARGEST}")
        setattr(asked, name, int(value))


def _add_fields(asked: Asked, value: str) -> None:
    if len(value) > _LONGEST_LIST:
        raise BadRequest("includefield is too long")
    for each in filter(None, (part.strip() for part in value.split(","))):
        if each.lower() == "all":
            asked.all_fields = True
            continue
        path = [tag_named(part, "includefield") for part in each.split(".")[:8]]
        if path[0] in PIXEL_DATA or path[0] >> 16 == 0x7FE0:
            raise BadRequest("a search gives no pixel data", hint="retrieve it")
        asked.fields.add(path[0])


def _add_key(
    asked: Asked,
    name: str,
    values: list[str],
    searchable: Collection[int],
    inside: Mapping[int, Collection[int]],
) -> None:
    parts = name.split(".")
    if len(parts) > 2:
        raise BadRequest(f"{shown(name)} goes deeper than one sequence, which cannot be searched")
    path = [tag_named(part, "parameter") for part in parts]
    text = _matching_text(path[-1], values)
    if len(path) == 1:
        if path[0] not in searchable:
            raise BadRequest(
                f"{name_of(path[0])} cannot be searched at this level",
                hint="what can be is in the conformance statement; /dicom-web/ names it too",
            )
        if path[0] in asked.keys:
            raise BadRequest(f"{name_of(path[0])} is asked for by keyword and by tag")
        asked.keys[path[0]] = text
        return
    if path[1] not in inside.get(path[0], ()):
        raise BadRequest(f"{shown(name)} cannot be searched at this level")
    asked.sequence_keys[path[0], path[1]] = text


def _matching_text(tag: int, values: list[str]) -> str:
    """What an attribute has to be like; several values are a list."""
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        vr = "UN"
    if vr in _LIST_VRS:
        values = [part for value in values for part in value.split(",")]
    if any(not value for value in values) and len(values) > 1:
        raise BadRequest(f"{name_of(tag)} has an empty value in its list")
    text = "\\".join(values)
    if len(text) > (_LONGEST_LIST if vr in _LIST_VRS else _LONGEST_VALUE):
        raise BadRequest(f"the value of {name_of(tag)} is too long")
    return "" if text == "*" else text
