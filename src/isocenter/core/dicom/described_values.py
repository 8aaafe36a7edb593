"""Values of DICOM JSON against their VR (PS3.18 F.2.3): of its kind, and within what it holds.

pydicom takes what is nearest: of 4.5 it makes 4 where the VR has whole numbers, of a tag that is
none it makes no value. Here such an instance is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, TypeGuard

from pydicom.valuerep import VR

from isocenter.core.errors import DataSetError

_VRS = frozenset(str(each.value) for each in VR)
# pydicom writes the last one where it has not decided.
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW"})
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_EITHER = (-0x8000, 0xFFFF)
_WHOLE = {
    "US": (0, 0xFFFF),
    "SS": (-0x8000, 0x7FFF),
    "UL": (0, 0xFFFFFFFF),
    "SL": (-0x80000000, 0x7FFFFFFF),
    "UV": (0, (1 << 64) - 1),
    "SV": (-(1 << 63), (1 << 63) - 1),
    "IS": (-0x80000000, 0x7FFFFFFF),
    "US or SS": _EITHER,
    "US or OW": _EITHER,
    "US or SS or OW": _EITHER,
}
_NEVER_EMPTY = {"AT", "FL", "FD", *_WHOLE} - {"IS"}  # among several
_FLOAT_MAX = (2 - 2**-23) * 2.0**127  # of 32 bits
_DIGITS = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_REAL = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(E[+-]?[0-9]+)?\s*", re.ASCII | re.I)
_SPECIAL = frozenset({"nan", "inf", "-inf", "infinity", "-infinity"})
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_NAME_PARTS = frozenset({"Alphabetic", "Ideographic", "Phonetic"})


def is_vr(vr: object) -> TypeGuard[str]:
    """Whether there is such a VR."""
    return isinstance(vr, str) and vr in _VRS


def is_binary(vr: str) -> bool:
    """Whether values of this VR are bytes."""
    return vr in _BINARY


def check_values(name: str, vr: str, values: object) -> None:
    """Whether ``Value`` is a list of what the VR holds; items of sequences are not looked at.

    Args:
        name: of the attribute, for the reason.

    Raises:
        DataSetError: it is not.
    """
    if not isinstance(values, list):
        raise DataSetError(f"the Value of {name} is no list")
    given = [value for value in values if value is not None]
    if vr == "SQ":
        return
    if len(given) < len(values) > 1 and vr in _NEVER_EMPTY:
        raise DataSetError(f"{name} has an empty one of several values, and its VR {vr} has none")
    if vr in _BINARY:
        if given:
            raise DataSetError(f"{name} has a Value, and its VR {vr} is for bytes")
    elif vr in _WHOLE:
        _check_whole(name, vr, given)
    elif vr in ("FL", "FD", "DS"):
        for value in given:
            _check_real(name, vr, value)
    elif vr == "PN":
        for value in given:
            _check_name(name, value)
    elif not all(isinstance(value, str) for value in given):
        raise DataSetError(f"a value of {name} is no text, as its VR {vr} has it")
    elif vr == "AT" and given != [""] and not all(map(_TAG.fullmatch, given)):
        raise DataSetError(f"a value of {name} is no tag of eight digits")


def check_words(name: str, vr: str, length: int) -> None:
    """Whether so many bytes are whole words; only OB and UN are padded.

    Raises:
        DataSetError: the last word is not whole.
    """
    word = _WORDS.get(vr, 1)
    if length % word:
        raise DataSetError(f"{name} has {length} bytes; a word of its VR {vr} has {word}")


def _check_whole(name: str, vr: str, values: Sequence[Any]) -> None:
    if all(type(value) is int for value in values):  # the common case, and the fast one
        numbers = list(values)
    else:
        numbers = [_whole(name, vr, value) for value in values]
    lowest, highest = _WHOLE[vr]
    if numbers and not (lowest <= min(numbers) and max(numbers) <= highest):
        raise DataSetError(f"a value of {name} is beyond what its VR {vr} holds")


def _whole(name: str, vr: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= 64 and _DIGITS.fullmatch(value):
        return int(value)
    raise DataSetError(f"a value of {name} is no whole number, as its VR {vr} has it")


def _check_real(name: str, vr: str, value: object) -> None:
    is_special = isinstance(value, str) and value.strip().lower() in _SPECIAL
    if is_special and vr != "DS":
        return
    is_text = isinstance(value, str) and _REAL.fullmatch(value) is not None
    if isinstance(value, bool) or not (isinstance(value, int | float) or is_text):
        raise DataSetError(f"a value of {name} is no number, as its VR {vr} has it")
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or (vr == "FL" and abs(number) > _FLOAT_MAX):
        raise DataSetError(f"a value of {name} is beyond what its VR {vr} holds")


def _check_name(name: str, value: object) -> None:
    """A text instead of an object is common, and clear."""
    if isinstance(value, str):
        return
    if not isinstance(value, dict) or not value.keys() <= _NAME_PARTS:
        raise DataSetError(f"a value of {name} is no person name")
    if not all(isinstance(part, str) for part in value.values()):
        raise DataSetError(f"a part of the name in {name} is no text")
