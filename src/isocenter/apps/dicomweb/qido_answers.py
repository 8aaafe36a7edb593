"""What a search found, in the DICOM JSON model (PS3.18 annex F)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydicom.datadict import dictionary_VR

RETRIEVE_URL = 0x00081190
_INTEGERS = frozenset({"IS", "US", "UL", "SS", "SL", "UV", "SV"})
_FLOATS = frozenset({"DS", "FL", "FD"})
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
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
        "utf-8", "replace"
    )


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
