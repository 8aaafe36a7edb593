"""Raw values of indexed attributes as the index wants them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from isocenter.core.dicom.charsets import text_decoder
from isocenter.core.dicom.header import ASCII, DIGITS, INDEXED, NAME, TEXT

_INTEGER = re.compile(r"[+-]?[0-9]{1,12}")


def decoded(raw: Mapping[int, bytes], *, is_big_endian: bool) -> dict[str, Any]:
    """Values by the field of :class:`~isocenter.core.dicom.header.Header`.

    Args:
        raw: by tag, of `INDEXED`; no sequences.
    """
    order = ">" if is_big_endian else "<"
    decode_text = text_decoder(raw.get(0x00080005, b"")).decode
    values: dict[str, Any] = {}
    for tag, value in raw.items():
        name, kind = INDEXED[tag]
        if kind == ASCII:
            values[name] = value.decode("latin-1").replace("\0", "").strip(" ")
        elif kind == TEXT:
            values[name] = decode_text(value)
        elif kind == NAME:
            values[name] = decode_text(value).rstrip("=")  # empty component groups
        else:
            values[name] = _DIGITS_OR_SHORT[kind == DIGITS](value, order)
    return values


def _digits(value: bytes, order: str) -> int | None:
    """The first value of an IS; None where it is no whole number of a sensible size."""
    text = value.decode("latin-1").partition("\\")[0].strip("\0 ")
    if _INTEGER.fullmatch(text):
        number = int(text)
        return number if -(1 << 31) <= number < 1 << 31 else None
    try:  # some write "1.0"
        decimal = float(text) if len(text) <= 16 else float("nan")
    except ValueError:
        return None
    return int(decimal) if decimal.is_integer() and abs(decimal) < 1 << 31 else None


def _short(value: bytes, order: str) -> int | None:
    if len(value) < 2:
        return None
    return int.from_bytes(value[:2], "big" if order == ">" else "little")


_DIGITS_OR_SHORT: dict[bool, Callable[[bytes, str], int | None]] = {True: _digits, False: _short}
