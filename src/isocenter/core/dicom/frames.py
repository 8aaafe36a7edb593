"""Where each frame of an image lies in its file (PS3.5 8.1.1, A.4), found without decoding.

Native frames follow each other; of one-bit images a frame may begin inside a byte. Encapsulated
ones are fragments, found by the Extended or the Basic Offset Table, else by going through them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.image_header import (
    DOUBLE_PIXELS,
    FLOAT_PIXELS,
    LENGTHS,
    OFFSETS,
    ImageHeader,
    Place,
    read_image_header,
)
from isocenter.core.dicom.part10 import (
    DEFLATED_LITTLE,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
)
from isocenter.core.errors import BoundsError, PixelError

_NATIVE = frozenset((IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED_LITTLE))
_ITEM, _END = 0xFFFEE000, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_HEAD = struct.Struct("<HHL")
# Of JPEG and JPEG-LS, and of JPEG 2000: a frame begins with one (ISO 10918-1, 15444-1).
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP")

_TABLES = (OFFSETS, LENGTHS)

#: Bytes of a file: offset and length.
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FramePlace:
    """Where one frame lies.

    Attributes:
        ranges: its bytes, one range for each fragment.
        first_bit: where it begins in the first byte (one-bit images).
        bits: its length where that is no whole number of bytes, or it begins inside one; else 0.
    """

    ranges: tuple[Range, ...]
    first_bit: int = 0
    bits: int = 0

    @property
    def size(self) -> int:
        """Bytes of the frame."""
        return (self.bits + 7) // 8 if self.bits else sum(length for _, length in self.ranges)


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of a file.

    Attributes:
        is_native: not encapsulated.
        in_file: the frames are ranges of the file; a deflated data set has to be inflated first.
        is_little_endian: as little endian as the bytes lie there.
    """

    header: ImageHeader
    bounds: Bounds

    @property
    def is_native(self) -> bool:
        return self.header.syntax in _NATIVE

    @property
    def in_file(self) -> bool:
        return not self.header.is_deflated

    @property
    def is_little_endian(self) -> bool:
        return not self.header.encoding.big_endian

    def places(self, indices: Sequence[int]) -> list[FramePlace]:
        """Where some frames lie, in the order asked for.

        Args:
            indices: from 0.

        Raises:
            PixelError: there is no such frame, or the pixel data is not as long as it has to be,
                or its fragments cannot be told apart.
            OSError: the file cannot be read.
        """
        count = self.header.frames
        if any(not 0 <= index < count for index in indices):
            raise PixelError(f"the image has frames 1 to {count}")
        if not self.in_file:
            raise PixelError("the frames of a deflated data set have no place in its file")
        if self.is_native:
            return [self._native(index) for index in indices]
        with self.header.path.open("rb", buffering=0) as file:
            return _Fragments(file.fileno(), self.header, self.bounds).places(indices)

    def frame_bits(self) -> int:
        """Length of a native frame in bits."""
        header = self.header
        bits = header.rows * header.columns * header.samples * header.bits_allocated
        if header.photometric == "YBR_FULL_422":  # two chroma samples for two pixels
            bits = bits // 3 * 2
        return bits

    def _native(self, index: int) -> FramePlace:
        header, bits = self.header, self.frame_bits()
        needed = (bits * header.frames + 7) // 8
        place = header.pixels
        there = min(place.length or 0, header.file_size - place.offset)
        if place.length is None:
            raise PixelError("native pixel data has an undefined length")
        if there < needed:
            raise PixelError(
                f"the pixel data has {max(0, there)} bytes; {header.frames} frames of "
                f"{header.rows} x {header.columns} need {needed}"
            )
        first, last = index * bits, (index + 1) * bits
        begin, end = first // 8, (last + 7) // 8
        is_whole = first % 8 == 0 and bits % 8 == 0
        return FramePlace(
            ((place.offset + begin, end - begin),), first % 8, 0 if is_whole else bits
        )


def find_frames(path: Path, bounds: Bounds = DEFAULT_BOUNDS) -> Frames:
    """The frames of a file.

    Raises:
        DicomError: see :func:`~isocenter.core.dicom.image_header.read_image_header`.
        OSError: the file cannot be opened.
    """
    header = read_image_header(path, bounds)
    if header.pixel_tag in (FLOAT_PIXELS, DOUBLE_PIXELS) and header.syntax not in _NATIVE:
        raise PixelError("float pixel data cannot be encapsulated (PS3.5 8.2)")
    return Frames(header, bounds)


def frame_bytes(path: Path, place: FramePlace) -> bytes:
    """The bytes of a frame; those of a one-bit image begin with its first pixel.

    Raises:
        PixelError: the file has become shorter.
        OSError: it cannot be read.
    """
    parts = []
    with path.open("rb", buffering=0) as file:
        for offset, length in place.ranges:
            part = os.pread(file.fileno(), length, offset)
            while len(part) < length and (
                more := os.pread(file.fileno(), length - len(part), offset + len(part))
            ):
                part += more
            if len(part) < length:
                raise PixelError("the file ends inside its pixel data")
            parts.append(part)
    data = parts[0] if len(parts) == 1 else b"".join(parts)
    return _shifted(data, place) if place.bits else data


def bytes_between(place: FramePlace, first: int, end: int) -> FramePlace:
    """Some bytes of a frame of a one-bit image that begins, or ends, inside a byte.

    Args:
        first, end: of the bytes of the frame, as :func:`frame_bytes` gives them.
    """
    ((offset, _),) = place.ranges
    bits = min(8 * (end - first), place.bits - 8 * first)
    length = (place.first_bit + bits + 7) // 8
    return FramePlace(((offset + first, length),), place.first_bit, bits)


def _shifted(data: bytes, place: FramePlace) -> bytes:
    """The first pixel is the lowest bit of the first byte (PS3.5 8.1.1, PS3.5 D)."""
    number = int.from_bytes(data, "little") >> place.first_bit
    return (number & ((1 << place.bits) - 1)).to_bytes(place.size, "little")


class _NoTable(Exception):
    """There is no offset table, or it is wrong."""


class _Fragments:
    """The items of encapsulated pixel data (PS3.5 A.4)."""

    def __init__(self, descriptor: int, header: ImageHeader, bounds: Bounds) -> None:
        self._descriptor = descriptor
        self._header = header
        self._bounds = bounds
        if header.pixels.length is not None:
            raise PixelError(
                f"the pixel data is not encapsulated, as transfer syntax {header.syntax} wants it"
            )
        table = self._item(header.pixels.offset)
        if table is None:
            raise PixelError("the encapsulated pixel data is empty")
        self._table = table
        self._base = table[0] + table[1]

    def places(self, indices: Sequence[int]) -> list[FramePlace]:
        if self._header.frames > 1:
            for ends in (self._extended, self._basic):
                try:
                    found = [ends(index) for index in indices]
                except _NoTable:
                    continue
                return found
        groups = self._grouped()
        return [FramePlace(tuple(groups[index])) for index in indices]

    def _item(self, position: int) -> Range | None:
        """Place of the bytes of the item at a position; None at the end of the sequence."""
        if position + 8 > self._header.file_size:
            raise PixelError("the file ends inside its pixel data")
        head = os.pread(self._descriptor, 8, position)
        if len(head) < 8:  # it has become shorter
            raise PixelError("the file ends inside its pixel data")
        group, element, length = _HEAD.unpack(head)
        tag = group << 16 | element
        if tag == _END:
            return None
        if tag != _ITEM or length == _UNDEFINED:
            raise PixelError(f"there is no fragment at byte {position}, where one belongs")
        if position + 8 + length > self._header.file_size:
            raise PixelError("the file ends inside its pixel data")
        return position + 8, length

    def _from(self, position: int, end: int | None) -> Iterator[Range]:
        """The fragments from a position on."""
        for _ in range(self._bounds.max_elements):
            if end is not None and position >= end:
                if position > end:
                    raise _NoTable
                return
            fragment = self._item(position)
            if fragment is None:
                if end is not None:
                    raise _NoTable
                return
            yield fragment
            position = fragment[0] + fragment[1]
        raise BoundsError(f"more than {self._bounds.max_elements} fragments")

    def _extended(self, index: int) -> FramePlace:
        """By the Extended Offset Table: a frame is one fragment."""
        offset, length = (self._entry(self._header.tables.get(tag), index, 8) for tag in _TABLES)
        fragment = self._checked_item(self._base + offset)
        if not 0 < length <= fragment[1]:
            raise _NoTable
        return FramePlace(((fragment[0], length),))

    def _basic(self, index: int) -> FramePlace:
        place = Place(*self._table)
        begin = self._entry(place, index, 4)
        end = None
        if index + 1 < self._header.frames:
            end = self._base + self._entry(place, index + 1, 4)
        self._checked_item(self._base + begin)
        try:
            ranges = tuple(self._from(self._base + begin, end))
        except PixelError:
            raise _NoTable from None
        if not ranges:
            raise _NoTable
        return FramePlace(ranges)

    def _checked_item(self, position: int) -> Range:
        try:
            fragment = self._item(position)
        except PixelError:
            raise _NoTable from None
        if fragment is None:
            raise _NoTable
        return fragment

    def _entry(self, place: Place | None, index: int, width: int) -> int:
        if place is None or place.length != width * self._header.frames:
            raise _NoTable
        raw = os.pread(self._descriptor, width, place.offset + width * index)
        if len(raw) < width:
            raise _NoTable
        return int.from_bytes(raw, "little")

    def _grouped(self) -> list[list[Range]]:
        """All fragments, by frame."""
        frames = self._header.frames
        fragments = list(self._from(self._base, None))
        if frames == 1 and fragments:
            return [fragments]
        if len(fragments) == frames:
            return [[fragment] for fragment in fragments]
        groups: list[list[Range]] = []
        for fragment in fragments:
            if not groups or self._begins_frame(fragment):
                groups.append([])
            groups[-1].append(fragment)
        if len(groups) != frames:
            raise PixelError(
                f"{len(fragments)} fragments without an offset table cannot be told apart as "
                f"{frames} frames"
            )
        return groups

    def _begins_frame(self, fragment: Range) -> bool:
        return os.pread(self._descriptor, 8, fragment[0]).startswith(_STARTS)
