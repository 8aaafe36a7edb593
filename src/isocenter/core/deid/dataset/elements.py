"""Data elements and sequence items as bytes (PS3.5 7.1, 7.5): heads, skipping, looking.

Nothing here decodes a value that nobody asked for, recurses without a bound, or believes a length
that reaches beyond its surroundings.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from isocenter.core.deid.standard.dictionary import attribute
from isocenter.core.dicom.charsets import TextDecoder, text_decoder
from isocenter.core.dicom.part10 import LONG_VRS, VRS
from isocenter.core.dicom.scanner import is_explicit_start, tag_text
from isocenter.core.errors import BoundsError, DataSetError

Buffer = bytes | mmap.mmap

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
ITEM_END_BYTES = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
SEQUENCE_END_BYTES = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
SPECIFIC_CHARACTER_SET = 0x00080005

_TAG_LENGTH = struct.Struct("<HHL")
_TAG_VR_LENGTH = struct.Struct("<HH2sH")
_LENGTH = struct.Struct("<L")


class Head(NamedTuple):
    """The start of a data element: tag, VR (``b""`` where implicit), value length and position."""

    tag: int
    vr: bytes
    length: int
    start: int


def read_head(data: Buffer, position: int, end: int, implicit: bool) -> Head:
    """The head at a position; the value, unless undefined in length, ends before ``end``.

    Raises:
        DataSetError: there is no room for it.
    """
    if position + 8 > end:
        raise DataSetError(f"the data set ends inside an element at byte {position}")
    group, element, vr, length = _TAG_VR_LENGTH.unpack_from(data, position)
    tag = group << 16 | element
    start = position + 8
    if implicit or group == 0xFFFE:
        vr, length = b"", _LENGTH.unpack_from(data, position + 4)[0]
    elif vr in LONG_VRS:
        start = position + 12
        if start > end:
            raise DataSetError(f"the data set ends inside {tag_text(tag)}")
        length = _LENGTH.unpack_from(data, position + 8)[0]
    elif vr not in VRS and not (vr.isalpha() and vr.isupper()):
        raise DataSetError(f"{tag_text(tag)} at byte {position} has no value representation")
    if length != UNDEFINED and start + length > end:
        raise DataSetError(f"{tag_text(tag)} at byte {position} reaches beyond its end")
    return Head(tag, vr, length, start)


def write_head(tag: int, vr: str, length: int, implicit: bool) -> bytes:
    """The bytes before a value.

    Raises:
        DataSetError: the value is too long for its VR.
    """
    if implicit:
        return _TAG_LENGTH.pack(tag >> 16, tag & 0xFFFF, length)
    code = vr.encode("ascii")
    if code in LONG_VRS:
        return _TAG_VR_LENGTH.pack(tag >> 16, tag & 0xFFFF, code, 0) + _LENGTH.pack(length)
    if length > 0xFFFF:
        raise DataSetError(f"{tag_text(tag)} has {length} bytes; {vr} holds fewer")
    return _TAG_VR_LENGTH.pack(tag >> 16, tag & 0xFFFF, code, length)


def write_item_head(length: int) -> bytes:
    """The bytes before an item."""
    return _TAG_LENGTH.pack(0xFFFE, 0xE000, length)


def is_implicit_item(data: Buffer, start: int, implicit: bool) -> bool:
    """Whether an item that starts here has implicit VR, which happens in explicit data sets."""
    return implicit or not (
        data[start : start + 2] == b"\xfe\xff" or is_explicit_start(data[start : start + 8])
    )


def skip_undefined(data: Buffer, position: int, end: int, implicit: bool, max_depth: int) -> int:
    """The position behind a value of undefined length: a sequence, or encapsulated frames.

    Args:
        position: of the value.
        end: of what the value is in.
        implicit: VR of what the value is in.
        max_depth: of sequences.

    Raises:
        DataSetError: it does not end where it should.
        BoundsError: sequences nest too deep.
    """
    stack = [(False, implicit)]  # in an item (True) or a sequence, and its VR
    while stack:
        in_item, is_implicit = stack[-1]
        head = read_head(data, position, end, is_implicit)
        position = head.start
        if head.tag == (ITEM_END if in_item else SEQUENCE_END):
            stack.pop()
        elif in_item == (head.tag >> 16 == 0xFFFE) or not (in_item or head.tag == ITEM):
            raise DataSetError(f"{tag_text(head.tag)} does not belong at byte {position - 8}")
        elif head.length != UNDEFINED:
            position += head.length
        elif in_item:
            stack.append((False, is_implicit or head.vr == b"UN"))
        else:
            stack.append((True, is_implicit_item(data, position, is_implicit)))
        if len(stack) > 2 * max_depth:
            raise BoundsError(f"sequences nest deeper than {max_depth}")
    return position


class Code(NamedTuple):
    """A coded concept (PS3.3 8)."""

    value: str
    scheme: str
    meaning: str


class Item(Protocol):
    """One sequence item, or the top level of a data set."""

    def tags(self) -> list[int]:
        """Every tag, in order."""

    def text(self, tag: int) -> str | None:
        """The decoded value of an element, values separated by a backslash; None if absent."""

    def items(self, tag: int) -> list[Item]:
        """The items of a sequence; none if it is absent or empty."""

    def code(self, tag: int) -> Code | None:
        """The first item of a code sequence."""


_CODE_VALUES = (0x00080100, 0x00080119, 0x00080120)
_SCHEME, _MEANING = 0x00080102, 0x00080104


@dataclass(frozen=True)
class ItemView:
    """An :class:`Item` that reads the original bytes when it is asked.

    Attributes:
        data: the whole data set.
        start: of the item's first element.
        end: of the item, or of what it is in where it has a delimiter.
        implicit: VR of the item.
        outer: the character set around it.
        max_depth: of sequences.
        last: tag after which nothing is looked at.
    """

    data: Buffer
    start: int
    end: int
    implicit: bool
    outer: TextDecoder
    max_depth: int
    last: int = 0xFFFFFFFF

    @cached_property
    def _heads(self) -> dict[int, tuple[Head, int]]:
        """Head and end of the value by tag."""
        found: dict[int, tuple[Head, int]] = {}
        position = self.start
        while position < self.end:
            head = read_head(self.data, position, self.end, self.implicit)
            if head.tag == ITEM_END or head.tag > self.last:
                break
            position = head.start + head.length
            if head.length == UNDEFINED:
                implicit = self.implicit or head.vr == b"UN"
                position = skip_undefined(self.data, head.start, self.end, implicit, self.max_depth)
            found.setdefault(head.tag, (head, position))
        return found

    @cached_property
    def _decoder(self) -> TextDecoder:
        raw = self.raw(SPECIFIC_CHARACTER_SET)
        return self.outer if raw is None else text_decoder(raw)

    def raw(self, tag: int) -> bytes | None:
        """The bytes of a value; None if absent."""
        found = self._heads.get(tag)
        return None if found is None else self.data[found[0].start : found[1]]

    def tags(self) -> list[int]:
        return list(self._heads)

    def text(self, tag: int) -> str | None:
        raw = self.raw(tag)
        return None if raw is None else self._decoder.decode(raw)

    def items(self, tag: int) -> list[Item]:
        found = self._heads.get(tag)
        if found is None:
            return []
        head, end = found
        vr = head.vr.decode("ascii") or attribute(tag).vrs[0]
        if vr not in ("SQ", "UN"):
            return []
        implicit = self.implicit or head.vr == b"UN"
        views: list[Item] = []
        position = head.start
        while position + 8 <= end:
            item = read_head(self.data, position, end, implicit=True)
            if item.tag != ITEM:
                break
            inner = is_implicit_item(self.data, item.start, implicit)
            stop = item.start + item.length if item.length != UNDEFINED else end
            view = ItemView(self.data, item.start, stop, inner, self._decoder, self.max_depth)
            views.append(view)
            position = stop if item.length != UNDEFINED else view.behind()
        return views

    def behind(self) -> int:
        """The position behind an item of undefined length and its delimiter."""
        last = max((end for _, end in self._heads.values()), default=self.start)
        return last + 8

    def code(self, tag: int) -> Code | None:
        items = self.items(tag)
        if not items:
            return None
        values = (items[0].text(value) for value in _CODE_VALUES)
        value = next((value for value in values if value), "")
        return Code(value, items[0].text(_SCHEME) or "", items[0].text(_MEANING) or "")
