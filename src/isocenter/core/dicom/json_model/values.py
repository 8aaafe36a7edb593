"""Values as JSON text (PS3.18 F.2.3): one function per kind of value representation.

Each takes the bytes of a value and gives the inside of the ``Value`` array, empty where there is
no value. Nothing is refused: what breaks the rules of its VR is written as the text that it is.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from functools import lru_cache

from isocenter.core.dicom.charsets import TextDecoder

#: JSON text of a string, with quotes; leaves letters beyond ASCII as they are.
quoted: Callable[[str], str] = json.JSONEncoder(ensure_ascii=False).encode

_NUMBER = r"-?(?:0|[1-9][0-9]{0,63})(?:\.[0-9]{1,64})?(?:[eE][+-]?[0-9]{1,2})?"
_DECIMALS = re.compile(rf"{_NUMBER}(?:\\{_NUMBER})*")
_WHOLE = r"-?(?:0|[1-9][0-9]{0,14})"
_INTEGERS = re.compile(rf"{_WHOLE}(?:\\{_WHOLE})*")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,64}\.?[0-9]{0,64}|\.[0-9]{1,64})(?:[eE][+-]?[0-9]{1,3})?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,15}")
_MAX_EXACT = 1 << 53  # beyond, a number in JSON may be read as another
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def _ascii(value: bytes) -> str:
    """Text of the default repertoire; what is none of it is read as Latin 1."""
    text = value.decode("ascii") if value.isascii() else value.decode("latin-1")
    return text.rstrip("\0 ")


def _array(texts: list[str]) -> str:
    return ",".join([quoted(text) if text else "null" for text in texts])


def codes(value: bytes, decoder: TextDecoder) -> str:
    """AE, AS, CS, DA, DT, TM, UI: several, of the default repertoire."""
    text = _ascii(value)
    if not text:
        return ""
    if "\\" not in text:
        text = text.strip("\0 ")
        return quoted(text.replace("\0", "")) if text else ""
    return _array([part.strip("\0 ").replace("\0", "") for part in text.split("\\")])


def strings(value: bytes, decoder: TextDecoder) -> str:
    """LO, SH: several, of the data set's character set; spaces at both ends mean nothing."""
    text = decoder.decode_whole(value)
    if "\\" not in text:
        text = text.strip(" ")
        return quoted(text) if text else ""
    return _array([part.strip(" ") for part in text.split("\\")])


def long_strings(value: bytes, decoder: TextDecoder) -> str:
    """UC: several; spaces in front count."""
    text = decoder.decode_whole(value).rstrip(" ")
    if not text:
        return ""
    return _array([part.rstrip(" ") for part in text.split("\\")])


def text(value: bytes, decoder: TextDecoder) -> str:
    """LT, ST, UT: one, with its spaces in front."""
    decoded = decoder.decode_whole(value).rstrip(" ")
    return quoted(decoded) if decoded else ""


def address(value: bytes, decoder: TextDecoder) -> str:
    """UR: one, of the default repertoire."""
    decoded = _ascii(value).replace("\0", "")
    return quoted(decoded) if decoded else ""


def names(value: bytes, decoder: TextDecoder) -> str:
    """PN: objects of component groups (PS3.18 F.2.2)."""
    decoded = decoder.decode_whole(value).rstrip(" ")
    if not decoded:
        return ""
    written = [_name(part) for part in decoded.split("\\")]
    return "" if written == ["null"] else ",".join(written)


def _name(decoded: str) -> str:
    groups = zip(_GROUPS, decoded.split("="), strict=False)
    stripped = [(key, group.strip(" ")) for key, group in groups]
    written = ",".join(f'"{key}":{quoted(group)}' for key, group in stripped if group)
    return f"{{{written}}}" if written else "null"


def decimals(value: bytes, decoder: TextDecoder) -> str:
    """DS: numbers as they are written where JSON writes them so, too."""
    decoded = _ascii(value)
    if _DECIMALS.fullmatch(decoded):
        return decoded.replace("\\", ",")
    return _numbers(decoded, _decimal)


def integers(value: bytes, decoder: TextDecoder) -> str:
    """IS."""
    decoded = _ascii(value)
    if _INTEGERS.fullmatch(decoded):
        return decoded.replace("\\", ",")
    return _numbers(decoded, _integer)


def _numbers(decoded: str, number: Callable[[str], str]) -> str:
    parts = [part.strip("\0 ").replace("\0", "") for part in decoded.split("\\")]
    if parts == [""]:
        return ""
    return ",".join([number(part) if part else "null" for part in parts])


def _decimal(part: str) -> str:
    if _DECIMAL.fullmatch(part):
        number = float(part)
        if math.isfinite(number):
            return repr(number)
    return quoted(part)


def _integer(part: str) -> str:
    if _INTEGER.fullmatch(part):
        return str(int(part))
    if len(part) <= 16 and _DECIMAL.fullmatch(part):  # some write "1.0"
        number = float(part)
        if number.is_integer() and abs(number) < _MAX_EXACT:
            return str(int(number))
    return quoted(part)


@lru_cache(maxsize=1024)
def _unpacker(code: str, count: int, big_endian: bool) -> struct.Struct:
    return struct.Struct(f"{'>' if big_endian else '<'}{count}{code}")


#: VR → (code of `struct`, bytes of one value).
_BINARY_NUMBERS = {
    "US": ("H", 2),
    "SS": ("h", 2),
    "UL": ("L", 4),
    "SL": ("l", 4),
    "UV": ("Q", 8),
    "SV": ("q", 8),
    "FL": ("f", 4),
    "FD": ("d", 8),
    "AT": ("H", 4),
}


def binary_numbers(vr: str, value: bytes, big_endian: bool) -> str:
    """US, SS, UL, SL, UV, SV, FL, FD, AT; bytes at the end that make no whole value are left out.

    NaN and infinities, which JSON cannot write as numbers, are the strings ``NaN``, ``Infinity``
    and ``-Infinity``; whole numbers beyond 2^53 are strings, too.
    """
    code, width = _BINARY_NUMBERS[vr]
    count = len(value) // width
    if not count:
        return ""
    if vr == "AT":
        halves = _unpacker(code, 2 * count, big_endian).unpack_from(value)
        pairs = zip(halves[::2], halves[1::2], strict=True)
        return ",".join([f'"{group:04X}{element:04X}"' for group, element in pairs])
    numbers = _unpacker(code, count, big_endian).unpack_from(value)
    if vr in ("FL", "FD"):
        return ",".join([_float(number) for number in numbers])
    if width == 8:
        return ",".join([str(n) if -_MAX_EXACT < n < _MAX_EXACT else f'"{n}"' for n in numbers])
    return ",".join(map(str, numbers))


def _float(number: float) -> str:
    if math.isfinite(number):
        return repr(number)
    return '"NaN"' if math.isnan(number) else '"Infinity"' if number > 0 else '"-Infinity"'


TextValue = Callable[[bytes, TextDecoder], str]

#: VRs that are text → how their values are written.
TEXT_VALUES: dict[str, TextValue] = {
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "TM", "UI"), codes),
    **dict.fromkeys(("LO", "SH"), strings),
    **dict.fromkeys(("LT", "ST", "UT"), text),
    "UC": long_strings,
    "UR": address,
    "PN": names,
    "DS": decimals,
    "IS": integers,
}
#: VRs whose values are numbers in binary.
NUMBERS = frozenset(_BINARY_NUMBERS)
#: Other VRs are bytes; width of what byte order turns round.
WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
WORD_BYTES |= {vr: width // (2 if vr == "AT" else 1) for vr, (_, width) in _BINARY_NUMBERS.items()}


def in_little_endian(vr: str, value: bytes) -> bytes:
    """Bytes of a big endian value as PS3.18 F.2.7 wants them: little endian."""
    return words_turned(value, WORD_BYTES.get(vr, 1))


def words_turned(value: bytes, width: int) -> bytes:
    """The bytes of each word of so many bytes in the other order; the rest at the end as it is."""
    if width == 1:
        return value
    whole = len(value) // width * width
    turned = bytearray(value)
    for index in range(width):
        turned[index:whole:width] = value[width - 1 - index : whole : width]
    return bytes(turned)
