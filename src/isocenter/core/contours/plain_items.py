"""The attributes of an RT Structure Set as plain values, without a data set for each of its items.

A strict walker for what structure sets mostly are: little endian, of a common character set, every
value in its VR. Whatever else it meets, it says so and leaves the file to pydicom. It allocates
nothing that the file is not long enough for, and keeps to the bounds.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.charsets import PLAIN
from isocenter.core.dicom.part10 import (
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    LONG_VRS,
    VRS,
    read_file_meta,
)
from isocenter.core.dicom.scanner import is_explicit_start

#: Values by keyword: text, whole numbers in text, raw bytes (ContourData), or a list of items.
Item = dict[str, Any]

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_CHARACTER_SET = 0x00080005
_INTEGERS = re.compile(rb" *[+-]?\d{1,9} *(?:\\ *[+-]?\d{1,9} *)*")

_SEQUENCES: dict[int, str] = {
    0x30060010: "ReferencedFrameOfReferenceSequence",
    0x30060012: "RTReferencedStudySequence",
    0x30060014: "RTReferencedSeriesSequence",
    0x30060016: "ContourImageSequence",
    0x30060020: "StructureSetROISequence",
    0x30060039: "ROIContourSequence",
    0x30060040: "ContourSequence",
    0x30060080: "RTROIObservationsSequence",
    0x30060086: "RTROIIdentificationCodeSequence",
}
_VALUES: dict[int, tuple[str, bytes]] = {
    _CHARACTER_SET: ("SpecificCharacterSet", b"CS"),
    0x00080016: ("SOPClassUID", b"UI"),
    0x00080018: ("SOPInstanceUID", b"UI"),
    0x00080060: ("Modality", b"CS"),
    0x00080100: ("CodeValue", b"SH"),
    0x00080102: ("CodingSchemeDesignator", b"SH"),
    0x00080104: ("CodeMeaning", b"LO"),
    0x00081155: ("ReferencedSOPInstanceUID", b"UI"),
    0x0020000D: ("StudyInstanceUID", b"UI"),
    0x0020000E: ("SeriesInstanceUID", b"UI"),
    0x00200052: ("FrameOfReferenceUID", b"UI"),
    0x30060002: ("StructureSetLabel", b"SH"),
    0x30060022: ("ROINumber", b"IS"),
    0x30060024: ("ReferencedFrameOfReferenceUID", b"UI"),
    0x30060026: ("ROIName", b"LO"),
    0x30060028: ("ROIDescription", b"ST"),
    0x3006002A: ("ROIDisplayColor", b"IS"),
    0x30060036: ("ROIGenerationAlgorithm", b"CS"),
    0x30060042: ("ContourGeometricType", b"CS"),
    0x30060048: ("ContourNumber", b"IS"),
    0x30060050: ("ContourData", b"DS"),
    0x30060084: ("ReferencedROINumber", b"IS"),
    0x300600A4: ("RTROIInterpretedType", b"CS"),
}
#: Where the character set applies (PS3.5 6.1.2.3).
_LOCAL_TEXT = frozenset((b"SH", b"LO", b"ST"))


class _NotPlain(Exception):
    """Written in a way that is left to pydicom."""


def plain_items(path: Path, bounds: Bounds) -> Item | None:
    """What a structure set's file says; None where it has to be read by pydicom, or refused.

    Raises:
        NotDicomError: no DICOM file.
        BoundsError: the file meta information does not end.
        OSError: the file cannot be opened.
    """
    with path.open("rb", buffering=0) as file:
        meta, offset = read_file_meta(file)
        if meta.transfer_syntax_uid not in (EXPLICIT_LITTLE, IMPLICIT_LITTLE):
            return None
        size = file.seek(0, io.SEEK_END)
        if size > bounds.max_instance_bytes:
            return None
        file.seek(offset)
        data = file.readall()
    implicit = not is_explicit_start(data[:8])
    if implicit != (meta.transfer_syntax_uid == IMPLICIT_LITTLE):
        return None
    try:
        return _Walker(data, implicit, bounds).items_of_file()
    except _NotPlain:
        return None


class _Walker:
    def __init__(self, data: bytes, implicit: bool, bounds: Bounds) -> None:
        self._data = data
        self._bounds = bounds
        self._max_depth = bounds.max_depth
        self._elements = 0
        self._encoding = PLAIN[""]
        self._head: Callable[[int], tuple[int, bytes, int, int]]
        self._head = self._implicit_head if implicit else self._explicit_head
        self._implicit = implicit
        self._tag_length = struct.Struct("<HHL").unpack_from
        self._tag_vr_length = struct.Struct("<HH2sH").unpack_from
        self._length = struct.Struct("<L").unpack_from

    def items_of_file(self) -> Item:
        values, _ = self._data_set(0, len(self._data), False, 0)
        return values

    def _data_set(self, position: int, limit: int, is_open: bool, depth: int) -> tuple[Item, int]:
        """Values of a data set that ends at `limit`, or before it by a delimiter if `is_open`."""
        values: Item = {}
        read_head = self._head
        while position != limit:
            if position + 8 > limit:
                raise _NotPlain
            tag, vr, length, start = read_head(position)
            self._count()
            if tag in _SEQUENCES:
                position = self._sequence(tag, vr, length, start, limit, depth, values)
                continue
            position = start + length
            if tag == _ITEM_END and is_open and not length:
                return values, position
            if length == _UNDEFINED and self._is_sequence(tag, vr) and depth < self._max_depth:
                _, position = self._items(start, limit, True, depth + 1)  # of no interest
                continue
            if length == _UNDEFINED or position > limit or tag >> 16 == 0xFFFE:
                raise _NotPlain
            if tag in _VALUES:
                self._keep(tag, vr, self._data[start:position], depth, values)
        if is_open:
            raise _NotPlain
        return values, position

    def _is_sequence(self, tag: int, vr: bytes) -> bool:
        """Whether what has this head, and no length where that is allowed, is a sequence."""
        return vr == (b"" if self._implicit else b"SQ") and tag >> 16 not in (0x7FE0, 0xFFFE)

    def _sequence(
        self, tag: int, vr: bytes, length: int, start: int, limit: int, depth: int, values: Item
    ) -> int:
        keyword = _SEQUENCES[tag]
        is_open = length == _UNDEFINED
        end = limit if is_open else start + length
        if end > limit or keyword in values or depth >= self._bounds.max_depth:
            raise _NotPlain
        if not self._is_sequence(tag, vr):
            raise _NotPlain
        values[keyword], end = self._items(start, end, is_open, depth + 1)
        return end

    def _items(
        self, position: int, limit: int, is_open: bool, depth: int
    ) -> tuple[list[Item], int]:
        items: list[Item] = []
        while position != limit:
            if position + 8 > limit:
                raise _NotPlain
            group, element, length = self._tag_length(self._data, position)
            self._count()
            position += 8
            tag = group << 16 | element
            if tag == _SEQUENCE_END and is_open and not length:
                return items, position
            if tag != _ITEM:
                raise _NotPlain
            item_is_open = length == _UNDEFINED
            end = limit if item_is_open else position + length
            if end > limit:
                raise _NotPlain
            values, position = self._data_set(position, end, item_is_open, depth)
            items.append(values)
        if is_open:
            raise _NotPlain
        return items, position

    def _count(self) -> None:
        self._elements += 1
        if self._elements > self._bounds.max_elements:
            raise _NotPlain

    def _explicit_head(self, position: int) -> tuple[int, bytes, int, int]:
        group, element, vr, length = self._tag_vr_length(self._data, position)
        if vr in LONG_VRS:
            if position + 12 > len(self._data):
                raise _NotPlain
            length = self._length(self._data, position + 8)[0]
            return group << 16 | element, vr, length, position + 12
        if vr in VRS:
            return group << 16 | element, vr, length, position + 8
        if group == 0xFFFE:
            return (
                group << 16 | element,
                b"",
                self._length(self._data, position + 4)[0],
                position + 8,
            )
        raise _NotPlain

    def _implicit_head(self, position: int) -> tuple[int, bytes, int, int]:
        group, element, length = self._tag_length(self._data, position)
        return group << 16 | element, b"", length, position + 8

    def _keep(self, tag: int, vr: bytes, value: bytes, depth: int, values: Item) -> None:
        keyword, wanted_vr = _VALUES[tag]
        if vr != (b"" if self._implicit else wanted_vr) or keyword in values:
            raise _NotPlain
        if wanted_vr == b"DS":
            values[keyword] = value
        elif tag == _CHARACTER_SET:
            term = value.decode("latin-1").strip(" ")
            if depth or term not in PLAIN:
                raise _NotPlain
            self._encoding = PLAIN[term]
        elif wanted_vr == b"IS":
            values[keyword] = _whole_numbers(value)
        else:
            values[keyword] = self._text(value, wanted_vr)

    def _text(self, value: bytes, vr: bytes) -> str:
        if b"\x1b" in value or (b"\\" in value and vr != b"ST"):
            raise _NotPlain
        try:
            text = value.decode(self._encoding if vr in _LOCAL_TEXT else "latin-1").strip(" \0")
        except UnicodeDecodeError:
            raise _NotPlain from None
        if vr == b"UI" and text != text.strip():  # pydicom forgives other white space in UIDs
            raise _NotPlain
        return text


def _whole_numbers(value: bytes) -> int | list[int] | None:
    if not value:
        return None
    if not _INTEGERS.fullmatch(value):
        raise _NotPlain
    numbers = [int(part) for part in value.split(b"\\")]
    return numbers if len(numbers) > 1 else numbers[0]
