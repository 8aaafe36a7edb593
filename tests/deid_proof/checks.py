"""Compares one value of the output with what its answer asks."""

from __future__ import annotations

import math
import re
from datetime import datetime

from deid_proof.expectations import (
    DATE_SHIFTED,
    TAG_RETAINED,
    TEXT_NOTNULL,
    TEXT_REMOVED,
    TEXT_RETAINED,
    UID_CHANGED,
)


def check_value(action: str, value: str | None, text: str, original: str) -> str | None:
    """What is wrong with a value, or None.

    Args:
        action: of the answer.
        value: in the output; None where the element is not there.
        text: of the answer, what must be gone or must be there.
        original: the whole value of the input.
    """
    if action == TAG_RETAINED:
        return "the element is gone" if value is None else None
    if action == TEXT_NOTNULL:
        return None if value else "the value is empty"
    if action == TEXT_RETAINED:
        return _retained(value, text, original)
    if action == TEXT_REMOVED:
        return f"{text!r} is still in {value!r}" if value and holds(value, text) else None
    if action in {UID_CHANGED, DATE_SHIFTED}:
        return f"{value!r} did not change" if value and holds(value, original) else None
    raise ValueError(f"no such action: {action}")


def _retained(value: str | None, text: str, original: str) -> str | None:
    if not value:
        return f"{text!r} is gone"
    if text == original or "\\" in text:
        same = _same(value, text)
    else:
        same = re.search(rf"(?<!\w){re.escape(text)}(?!\w)", value, re.IGNORECASE) is not None
        same = same or _same(value, text)
    return None if same else f"{text!r} became {value!r}"


def _same(value: str, text: str) -> bool:
    mine, theirs = value.split("\\"), text.split("\\")
    return len(mine) == len(theirs) and all(_equal(a, b) for a, b in zip(mine, theirs, strict=True))


def _equal(a: str, b: str) -> bool:
    a, b = a.strip(), b.strip()
    if a == b:
        return True
    if max(len(a.split(".")[0]), len(b.split(".")[0])) >= 8:
        return False  # a date, or an ID
    try:
        return math.isclose(float(a), float(b), rel_tol=1e-7)
    except ValueError:
        return False


def holds(value: str, text: str) -> bool:
    """Whether a text is still in a value: short ones as the whole of one of its values."""
    text = text.strip(" \0")
    if not text:
        return False
    whole = any(_equal(part, each) for part in value.split("\\") for each in text.split("\\"))
    if whole:
        return True
    if len(text) < 4 and text.isascii():
        return False
    return text.casefold() in value.casefold()


def shifted_days(before: str, after: str) -> int | None:
    """By how many whole days a DA or DT was shifted; None if anything but the day differs."""
    if len(before) != len(after) or before[8:] != after[8:]:
        return None
    try:
        old = datetime.strptime(before[:8], "%Y%m%d")  # noqa: DTZ007 dates have no zone here
        new = datetime.strptime(after[:8], "%Y%m%d")  # noqa: DTZ007
    except ValueError:
        return None
    return (new - old).days
