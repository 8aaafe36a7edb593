"""What a search found, in the DICOM JSON model (PS3.18 annex F)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import cache
from json.encoder import encode_basestring
from typing import Any

from pydicom.datadict import dictionary_VR

RETRIEVE_URL = 0x00081190
_INTEGERS = frozenset({"IS", "US", "UL", "SS", "SL", "UV", "SV"})
_FLOATS = frozenset({"DS", "FL", "FD"})
#: Of text as it is.
_PLAIN = frozenset({"AE", "CS", "DA", "DT", "LO", "SH", "TM", "UC", "UI", "UR"})
#: Each answer has its own: SOPInstanceUID, RetrieveURL.
_OF_ONE = frozenset({0x00080018, RETRIEVE_URL})
_PARTS_OF_NAMES = ("Alphabetic", "Ideographic", "Phonetic")


def attributes(values: Mapping[int, tuple[Any, ...]]) -> dict[str, Any]:
    """Attributes as an object of the JSON model, in the order of their tags."""
    return {
        key: {"vr": vr, "Value": [_value(vr, each) for each in found]} if found else {"vr": vr}
        for tag, found in sorted(values.items())
        for key, vr in (_known(tag),)
    }


def as_json(found: list[dict[str, Any]]) -> bytes:
    """One array; text as UTF-8."""
    return _dumps(found).encode("utf-8", "replace")


def _dumps(found: Any) -> str:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def as_text(matches: Iterable[Mapping[int, tuple[Any, ...]]]) -> bytes:
    """The same as `as_json` of the `attributes` of each, written at once.

    Answers of a search have most values in common: an attribute is written once for all that
    have the same values.
    """
    written: dict[tuple[int, tuple[Any, ...]], str] = {}
    texts = []
    for values in matches:
        members = []
        for tag, found in sorted(values.items()):
            is_single = tag in _OF_ONE or _known(tag)[1] == "SQ"
            text = "" if is_single else written.get((tag, found), "")
            if not text:
                text = _written(tag, found)
                if not is_single:
                    written[tag, found] = text
            members.append(text)
        texts.append(f"{{{','.join(members)}}}")
    return "[{}]".format(",".join(texts)).encode("utf-8", "replace")


def _written(tag: int, found: tuple[Any, ...]) -> str:
    key, vr = _known(tag)
    if vr in _PLAIN and len(found) == 1 and type(found[0]) is str and found[0]:
        return f'"{key}":{{"vr":"{vr}","Value":[{encode_basestring(found[0])}]}}'
    member: dict[str, Any] = {"vr": vr}
    if found:
        member["Value"] = [_value(vr, each) for each in found]
    return f'"{key}":{_dumps(member)}'


@cache
def _known(tag: int) -> tuple[str, str]:
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        vr = "UN"
    return f"{tag:08X}", vr.split(" ")[0]


def _value(vr: str, value: Any) -> Any:
    if value is None or value == "":
        return None
    if vr == "SQ":
        return attributes(value)
    if vr == "PN":
        groups = str(value).split("=")
        return {name: text for name, text in zip(_PARTS_OF_NAMES, groups, strict=False) if text}
    if vr in _INTEGERS:
        return _number(value, int)
    if vr in _FLOATS:
        return _number(value, float)
    return value if isinstance(value, str) else str(value)


def _number(value: Any, kind: type[int] | type[float]) -> Any:
    """Numbers as numbers; a text that is none stays as it is (PS3.18 F.2.2, note)."""
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = str(value).strip()
    try:
        number = kind(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
