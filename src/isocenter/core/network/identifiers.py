"""Identifiers of queries and retrievals: small data sets, read with bounds and written.

Own code, and not pydicom's, because a query comes from anywhere: depth, number and size are bound
here, and 300 answers take 300 × 20 µs.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from isocenter.core.dicom.charsets import TextDecoder, text_decoder
from isocenter.core.dicom.part10 import (
    DEFLATED_LITTLE,
    EXPLICIT_BIG,
    IMPLICIT_LITTLE,
    LONG_VRS,
    VRS,
)
from isocenter.core.dicom.text_encoding import common_character_set, encode_text
from isocenter.core.errors import BoundsError, DataSetError

MAX_IDENTIFIER_BYTES = 1 << 20
CHARACTER_SET = 0x00080005
_UNNAMED = text_decoder(b"")
_MAX_ELEMENTS = 4096
_MAX_DEPTH = 8
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LOCALISED = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_NUMBERS = {
    "US": "H",
    "SS": "h",
    "UL": "L",
    "SL": "l",
    "FL": "f",
    "FD": "d",
    "UV": "Q",
    "SV": "q",
}
_OPAQUE = frozenset(("OB", "OD", "OF", "OL", "OV", "OW"))
_LONG = frozenset(vr.decode() for vr in LONG_VRS)

#: Values of an element that is written: texts, numbers, or items of a sequence.
Values = Sequence[object]


@dataclass(frozen=True)
class Element:
    """A data element that is written. ``values`` of a sequence are sequences of elements."""

    tag: int
    vr: str
    values: Values = ()


@dataclass(frozen=True)
class Identifier:
    """A data set of a question.

    Attributes:
        texts: values by tag in Unicode, several separated by a backslash; empty ones are "".
        sequences: items by tag.
        character_set: (0008,0005) as it was said.
    """

    texts: Mapping[int, str] = field(default_factory=dict)
    sequences: Mapping[int, tuple[Identifier, ...]] = field(default_factory=dict)
    character_set: str = ""


def decode_identifier(
    raw: bytes,
    transfer_syntax: str,
    *,
    max_bytes: int = MAX_IDENTIFIER_BYTES,
    max_elements: int = _MAX_ELEMENTS,
) -> Identifier:
    """Read a data set.

    Args:
        max_bytes, max_elements: bounds, for data sets that may be longer than a question.

    Raises:
        BoundsError: bigger or deeper than any question.
        DataSetError: cut off, or with lengths that do not fit.
    """
    if transfer_syntax == DEFLATED_LITTLE:
        raw = _inflated(raw, max_bytes)
    if len(raw) > max_bytes:
        raise BoundsError(f"an identifier has more than {max_bytes} bytes")
    is_implicit, is_big = transfer_syntax == IMPLICIT_LITTLE, transfer_syntax == EXPLICIT_BIG
    reader = _Reader(raw, is_implicit, is_big, max_elements)
    found, _ = reader.data_set(0, len(raw), b"", 0)
    return found


def encode_identifier(
    elements: Iterable[Element], transfer_syntax: str, character_set: str = ""
) -> bytes:
    """Write a data set in the order of its tags.

    Args:
        elements: without (0008,0005), which is added where it is needed.
        character_set: what the peer asked in; UTF-8 is taken where it cannot hold a text.

    Raises:
        DataSetError: a value that its VR cannot hold.
    """
    ordered = sorted(elements, key=lambda element: element.tag)
    chosen = common_character_set(_localised(ordered), character_set)
    if chosen:
        at = sum(element.tag < CHARACTER_SET for element in ordered)
        ordered.insert(at, Element(CHARACTER_SET, "CS", tuple(chosen.split("\\"))))
    is_implicit = transfer_syntax == IMPLICIT_LITTLE
    order = ">" if transfer_syntax == EXPLICIT_BIG else "<"
    written = _Writer(is_implicit, order, chosen).data_set(ordered)
    if transfer_syntax == DEFLATED_LITTLE:
        deflate = zlib.compressobj(wbits=-15)
        written = deflate.compress(written) + deflate.flush()
        written += b"\0" * (len(written) % 2)
    return written


def _inflated(raw: bytes, max_bytes: int) -> bytes:
    inflate = zlib.decompressobj(-15)
    try:
        content = inflate.decompress(raw, max_bytes + 1)
    except zlib.error as error:
        raise DataSetError(f"a deflated identifier cannot be read: {error}") from None
    if not inflate.eof and len(content) <= max_bytes:
        raise DataSetError("a deflated identifier is cut off")
    return content


def _localised(elements: Iterable[Element]) -> list[str]:
    texts: list[str] = []
    for element in elements:
        if element.vr == "SQ":
            for item in element.values:
                texts += _localised(item)  # type: ignore[arg-type]
        elif element.vr in _LOCALISED:
            texts += [str(value) for value in element.values]
    return texts


class _Reader:
    def __init__(self, raw: bytes, is_implicit: bool, is_big: bool, max_elements: int) -> None:
        self._raw = raw
        self._is_implicit = is_implicit
        order = self._order = ">" if is_big else "<"
        self._tag = struct.Struct(f"{order}HH").unpack_from
        self._long = struct.Struct(f"{order}L").unpack_from
        self._short = struct.Struct(f"{order}H").unpack_from
        self._elements = 0
        self._max_elements = max_elements

    def data_set(
        self, start: int, end: int, character_set: bytes, depth: int
    ) -> tuple[Identifier, int]:
        """Up to ``end``, or to the end of an item; and where it ends."""
        if depth > _MAX_DEPTH:
            raise BoundsError(f"an identifier has sequences deeper than {_MAX_DEPTH}")
        texts: dict[int, str] = {}
        sequences: dict[int, tuple[Identifier, ...]] = {}
        decoder = text_decoder(character_set)
        while start < end:
            tag, vr, length, start = self._head(start, end)
            if tag == _ITEM_END:
                break
            if vr == "SQ" or length == _UNDEFINED:
                stop = end if length == _UNDEFINED else start + length
                sequences[tag], start = self._items(start, stop, character_set, depth + 1)
                continue
            value = self._raw[start : start + length]
            start += length
            if tag == CHARACTER_SET:
                character_set = value
                decoder = text_decoder(value)
            elif tag & 0xFFFF:  # no group lengths
                texts[tag] = self._text(tag, vr, value, decoder)
        said = character_set.decode("latin-1").strip("\0 ")
        return Identifier(texts, sequences, said), start

    def _items(
        self, start: int, end: int, character_set: bytes, depth: int
    ) -> tuple[tuple[Identifier, ...], int]:
        found: list[Identifier] = []
        while start < end:
            tag, _, length, start = self._head(start, end)
            if tag == _SEQUENCE_END:
                break
            if tag != _ITEM:
                raise DataSetError(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) where an item should be")
            stop = end if length == _UNDEFINED else start + length
            item, start = self.data_set(start, stop, character_set, depth)
            found.append(item)
        return tuple(found), start

    def _head(self, start: int, end: int) -> tuple[int, str, int, int]:
        """Tag, VR, length and where the value starts."""
        self._elements += 1
        if self._elements > self._max_elements:
            raise BoundsError(f"an identifier has more than {self._max_elements} elements")
        if end - start < 8:
            raise DataSetError("an identifier is cut off")
        group, element = self._tag(self._raw, start)
        tag = group << 16 | element
        vr, length, start = self._length(tag, start + 4, end)
        if length != _UNDEFINED and length > end - start:
            raise DataSetError(f"({group:04X},{element:04X}) is longer than what holds it")
        return tag, vr, length, start

    def _length(self, tag: int, start: int, end: int) -> tuple[str, int, int]:
        if tag >> 16 == 0xFFFE:
            return "", self._long(self._raw, start)[0], start + 4
        if self._is_implicit:
            return _vr_of(tag), self._long(self._raw, start)[0], start + 4
        vr = self._raw[start : start + 2]
        if vr not in VRS:
            raise DataSetError(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) has no VR that is known")
        if vr not in LONG_VRS:
            return vr.decode(), self._short(self._raw, start + 2)[0], start + 4
        if end - start < 8:
            raise DataSetError("an identifier is cut off")
        return vr.decode(), self._long(self._raw, start + 4)[0], start + 8

    def _text(self, tag: int, vr: str, value: bytes, decoder: TextDecoder) -> str:
        if vr == "UN":
            vr = _vr_of(tag)
        if vr in _LOCALISED:
            return _localised_text(value, decoder)
        if vr in _OPAQUE:
            return ""
        if vr == "AT":
            return "\\".join(
                f"{group:04X}{element:04X}"
                for group, element in struct.iter_unpack(
                    f"{self._order}HH", value[: len(value) & ~3]
                )
            )
        kind = _NUMBERS.get(vr)
        if kind is None:
            return value.decode("latin-1").strip("\0 ")
        size = struct.calcsize(f"<{kind}")
        whole = value[: len(value) - len(value) % size]
        return "\\".join(str(number) for (number,) in struct.iter_unpack(self._order + kind, whole))


class _Writer:
    def __init__(self, is_implicit: bool, order: str, character_set: str) -> None:
        self._is_implicit = is_implicit
        self._order = order
        self._character_set = character_set
        self._implicit_head = struct.Struct(f"{order}HHL").pack
        self._short_head = struct.Struct(f"{order}HH2sH").pack
        self._long_head = struct.Struct(f"{order}HH2sxxL").pack

    def data_set(self, elements: Iterable[Element]) -> bytes:
        return b"".join(self._element(element) for element in elements)

    def _element(self, element: Element) -> bytes:
        value = self._value(element)
        group, number = element.tag >> 16, element.tag & 0xFFFF
        if self._is_implicit:
            return self._implicit_head(group, number, len(value)) + value
        vr = element.vr.encode("ascii")
        if element.vr in _LONG:
            return self._long_head(group, number, vr, len(value)) + value
        if len(value) > 0xFFFE:
            raise DataSetError(
                f"({group:04X},{number:04X}) has {len(value)} bytes, too many for {element.vr}"
            )
        return self._short_head(group, number, vr, len(value)) + value

    def _value(self, element: Element) -> bytes:
        vr, values = element.vr, element.values
        if vr == "SQ":
            return b"".join(self._item(item) for item in values)  # type: ignore[arg-type]
        if not values:
            return b""
        kind = _NUMBERS.get(vr)
        try:
            if kind is not None:
                number = float if kind in "fd" else int
                return b"".join(
                    struct.pack(self._order + kind, number(str(value))) for value in values
                )
            if vr == "AT":
                pairs = (int(str(value), 16) for value in values)
                return b"".join(
                    struct.pack(f"{self._order}HH", tag >> 16, tag & 0xFFFF) for tag in pairs
                )
        except (struct.error, ValueError, TypeError):
            raise DataSetError(f"a value of {element.tag:08X} does not fit its VR {vr}") from None
        text = "\\".join(_text_of(value) for value in values)
        if vr in _LOCALISED:
            encoded = encode_text(text, self._character_set) or text.encode("ascii", "replace")
        else:
            encoded = text.encode("latin-1", "replace")
        padding = b"\0" if vr == "UI" else b" "
        return encoded + padding * (len(encoded) % 2)

    def _item(self, elements: Iterable[Element]) -> bytes:
        content = self.data_set(sorted(elements, key=lambda element: element.tag))
        return self._implicit_head(_ITEM >> 16, _ITEM & 0xFFFF, len(content)) + content


def _text_of(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"  # DS has 16 characters
    return "" if value is None else str(value)


def _localised_text(value: bytes, decoder: TextDecoder) -> str:
    """Text of a key. Where only ASCII may stand, as no character set is named, UTF-8 is read where
    it is valid: terminals send it, and their tools name no character set."""
    if decoder == _UNNAMED and not value.isascii():
        with contextlib.suppress(UnicodeDecodeError):
            return value.decode("utf-8").strip("\0 ")
    return decoder.decode(value)


def _vr_of(tag: int) -> str:
    """VR of an attribute by the dictionary; UN where it is private or not known."""
    from pydicom.datadict import dictionary_VR

    try:
        vr = str(dictionary_VR(tag))
    except KeyError:
        return "UN"
    return vr.split(" ", maxsplit=1)[0]
