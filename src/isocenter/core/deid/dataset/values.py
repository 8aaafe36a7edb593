"""Every value of a data set, nested ones too, read without the engine's walker.

What is collected before de-identification and what is searched after it is read here, so that a
mistake in the engine's walker cannot hide what it left. Nothing is skipped but the bytes of
pixels, overlays, curves and waveforms.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from isocenter.core.deid.dataset.sliced import Sliced
from isocenter.core.deid.samples.beside_samples import behind_native, beside_encoded
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.bytesource import BufferSource
from isocenter.core.dicom.charsets import TextDecoder, text_decoder
from isocenter.core.dicom.part10 import (
    DEFLATED_LITTLE,
    EXPLICIT_BIG,
    LONG_VRS,
    VRS,
    FileMeta,
    read_file_meta,
)
from isocenter.core.dicom.reading import inflate
from isocenter.core.dicom.scanner import is_explicit_start, tag_text
from isocenter.core.errors import BoundsError, DataSetError

Buffer = bytes | mmap.mmap

_READ_AT_ONCE = 1 << 17  # bytes; below this reading costs less than mapping
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_ITEM_BYTES = b"\xfe\xff\x00\xe0"
_CHARACTER_SET = 0x00080005
_PIXEL_GROUP = 0x7FE0
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010, 0x54001010))


class Value(NamedTuple):
    """The value of one data element that is no sequence.

    Attributes:
        sequences: path of the item it is in, ``(0040,A730)[2]/``; empty at the top level.
        tag: of the element.
        vr: as written, or from the dictionary; ``UN`` where neither says.
        raw: the value field.
        decoder: by the character set in force there.
        private: whether it, or a sequence that it is in, has an odd group.
    """

    sequences: str
    tag: int
    vr: str
    raw: bytes
    decoder: TextDecoder
    private: bool

    @property
    def path(self) -> str:
        """As the action log has it: ``(0040,A730)[2]/(0040,A160)``."""
        return self.sequences + tag_text(self.tag)


class Content(NamedTuple):
    """A file: its meta information, where the data set begins, and the values.

    Attributes:
        head: preamble, prefix and group 0002 as they are in the file.
    """

    meta: FileMeta
    head: bytes
    values: list[Value]


def read_values(
    path: Path, bounds: Bounds = DEFAULT_BOUNDS, *, beside_samples: bool = False
) -> Content:
    """All values of a DICOM file in any transfer syntax.

    Args:
        path: of the file.
        bounds: what is read.
        beside_samples: of pixels give what stands beside their samples, as OB.

    Raises:
        DicomError: no DICOM file, broken, or beyond the bounds.
        OSError: the file cannot be read.
    """
    with _content(path) as data:
        meta, offset = read_file_meta(Sliced(data))
        head = data[:offset]
        body: Buffer = data
        if meta.transfer_syntax_uid == DEFLATED_LITTLE:
            body, offset = inflate(BufferSource(data[offset:]), bounds), 0
        reader = _Reader(body, meta.transfer_syntax_uid == EXPLICIT_BIG, bounds)
        reader.beside_samples = beside_samples and meta.transfer_syntax_uid != EXPLICIT_BIG
        reader.read_data_set(offset)
        return Content(meta, head, reader.values)


@contextmanager
def _content(path: Path) -> Iterator[Buffer]:
    """The bytes of a file; of a large one only what is looked at comes into memory."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= _READ_AT_ONCE:
            yield file.read()
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


@cache
def _dictionary() -> dict[int, str]:
    """VR by tag, for data sets that do not write it (PS3.6 6)."""
    from pydicom.datadict import DicomDictionary

    return {tag: entry[0].partition(" or ")[0] for tag, entry in DicomDictionary.items()}


class _Reader:
    def __init__(self, data: Buffer, big_endian: bool, bounds: Bounds) -> None:
        self.values: list[Value] = []
        self.beside_samples = False
        self._data = data
        self._bounds = bounds
        self._elements = 0
        self._big_endian = big_endian
        order = ">" if big_endian else "<"
        self._tag = struct.Struct(f"{order}HH").unpack_from
        self._short = struct.Struct(f"{order}H").unpack_from
        self._long = struct.Struct(f"{order}L").unpack_from

    def read_data_set(self, start: int) -> None:
        """The top level, from ``start`` to the end."""
        explicit = is_explicit_start(self._data[start : start + 8])
        end = len(self._data)
        while end > start and end - start < 8:  # a padding byte or two at the end
            if self._data[start:end].strip(b"\0"):
                raise DataSetError(f"{end - start} bytes after the last element")
            return
        self._elements_of(start, end, explicit, text_decoder(b""), "", False, 0)

    def _elements_of(
        self,
        position: int,
        end: int | None,
        explicit: bool,
        decoder: TextDecoder,
        sequences: str,
        private: bool,
        depth: int,
    ) -> int:
        """Read elements to ``end``, or to the item's delimiter; where the next byte is."""
        limit = len(self._data) if end is None else end
        while position + 8 <= limit:
            tag, vr, length, start = self._head(position, explicit)
            if tag == _ITEM_END:
                return start
            self._count(tag)
            is_private = private or bool(tag >> 16 & 1)
            if self._is_sequence(tag, vr, length, start, limit):
                after = self._items(
                    tag, vr, length, start, limit, explicit, decoder, sequences, is_private, depth
                )
                if after is not None:
                    position = after
                    continue
            if length == _UNDEFINED:  # encapsulated frames
                places, position = self._fragments(tag, start)
                if self.beside_samples:
                    raw = beside_encoded(self._data, places[1:])
                    self.values.append(Value(sequences, tag, "OB", raw, decoder, is_private))
                continue
            position = start + length
            if position > limit:
                raise DataSetError(f"the data set ends inside {sequences}{tag_text(tag)}")
            if tag in _PIXELS or (tag & 0xFF01FFFF) in (0x60003000, 0x50003000):
                if self.beside_samples and tag >> 16 == _PIXEL_GROUP:
                    raw = self._behind(tag, start, position, sequences)
                    self.values.append(Value(sequences, tag, "OB", raw, decoder, is_private))
                continue
            raw = self._data[start:position]
            if tag == _CHARACTER_SET:
                decoder = text_decoder(raw)
            if vr == "UN" and not is_private:  # PS3.5 6.2.2: the writer did not know the attribute
                vr = self._vr_of(tag).replace("SQ", "UN")
            self.values.append(Value(sequences, tag, vr, raw, decoder, is_private))
        self._check_rest(position, limit)
        if end is None:
            raise DataSetError(f"the data set ends inside {sequences}")
        return limit

    def _check_rest(self, position: int, limit: int) -> None:
        """A padding byte or two may be behind the last element, and nothing else."""
        if position < limit and self._data[position:limit].strip(b"\0"):
            raise DataSetError(f"{limit - position} bytes after the last element")

    def _behind(self, tag: int, start: int, end: int, sequences: str) -> bytes:
        """What is behind the samples of a native value at this level."""
        level = {value.tag: value.raw for value in self.values if value.sequences == sequences}
        return behind_native(level, tag, self._data, start, end)

    def _head(self, position: int, explicit: bool) -> tuple[int, str, int, int]:
        data = self._data
        group, element = self._tag(data, position)
        tag = group << 16 | element
        if explicit and group != 0xFFFE:
            vr = data[position + 4 : position + 6]
            if vr in LONG_VRS:
                if position + 12 > len(data):
                    raise DataSetError(f"the data set ends inside {tag_text(tag)}")
                return tag, vr.decode(), self._long(data, position + 8)[0], position + 12
            if vr in VRS:
                return tag, vr.decode(), self._short(data, position + 6)[0], position + 8
            if vr.isalpha() and vr.isupper():  # an unknown VR counts as a short one
                return tag, "UN", self._short(data, position + 6)[0], position + 8
        return tag, self._vr_of(tag), self._long(data, position + 4)[0], position + 8

    @staticmethod
    def _vr_of(tag: int) -> str:
        if tag >> 16 & 1:
            return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
        vr = _dictionary().get(tag)
        if vr is None and tag >> 24 in (0x50, 0x60):
            vr = _dictionary().get(tag & 0xFF00FFFF)
        return vr or ("UL" if not tag & 0xFFFF else "UN")

    def _is_sequence(self, tag: int, vr: str, length: int, start: int, limit: int) -> bool:
        if vr == "SQ":
            return True
        if tag in _PIXELS:
            return False
        if length == _UNDEFINED:
            return vr not in ("OB", "OW")
        return (
            vr == "UN"
            and 8 <= length <= limit - start
            and self._data[start : start + 4] == _ITEM_BYTES
            and self._is_whole(start, start + length)
        )

    def _is_whole(self, start: int, end: int) -> bool:
        """Whether items of defined length fill the value of an UN exactly, or end undefined."""
        position = start
        while position + 8 <= end and self._data[position : position + 4] == _ITEM_BYTES:
            length = int.from_bytes(self._data[position + 4 : position + 8], "little")
            if length == _UNDEFINED:
                return True
            position += 8 + length
        return position == end

    def _items(
        self,
        tag: int,
        vr: str,
        length: int,
        start: int,
        limit: int,
        explicit: bool,
        decoder: TextDecoder,
        sequences: str,
        private: bool,
        depth: int,
    ) -> int | None:
        """The sequence's end; None where UN only looks like one, which is read as bytes then."""
        if vr != "UN":
            return self._sequence(
                tag, vr, length, start, limit, explicit, decoder, sequences, private, depth
            )
        count = len(self.values)
        reader = self
        if self._big_endian:  # what is in UN is little endian all the same (PS3.5 6.2.2)
            reader = _Reader(self._data, False, self._bounds)
            reader.values, reader._elements = self.values, self._elements
        try:
            return reader._sequence(
                tag, vr, length, start, limit, explicit, decoder, sequences, private, depth
            )
        except DataSetError:
            if length == _UNDEFINED:
                raise
            del self.values[count:]
            return None
        finally:
            self._elements = reader._elements

    def _sequence(
        self,
        tag: int,
        vr: str,
        length: int,
        start: int,
        limit: int,
        explicit: bool,
        decoder: TextDecoder,
        sequences: str,
        private: bool,
        depth: int,
    ) -> int:
        if depth >= self._bounds.max_depth:
            raise BoundsError(f"sequences nest deeper than {self._bounds.max_depth}")
        end = None if length == _UNDEFINED else start + length
        if end is not None and end > limit:
            raise DataSetError(f"{sequences}{tag_text(tag)} reaches out of its item")
        position, number = start, 0
        while end is None or position < end:
            if position + 8 > len(self._data):
                raise DataSetError(f"the data set ends inside {sequences}{tag_text(tag)}")
            found, _, item_length, item_start = self._head(position, False)
            if found == _SEQUENCE_END:
                return item_start if end is None else end
            if found != _ITEM:
                raise DataSetError(f"no item where one belongs, in {sequences}{tag_text(tag)}")
            number += 1
            self._count(tag)
            item_end = None if item_length == _UNDEFINED else item_start + item_length
            if item_end is not None and item_end > (limit if end is None else end):
                raise DataSetError(f"an item reaches out of {sequences}{tag_text(tag)}")
            is_explicit = (explicit and vr != "UN") or is_explicit_start(
                self._data[item_start : item_start + 8]
            )
            position = self._elements_of(
                item_start,
                item_end,
                is_explicit and (item_length == 0 or self._starts_explicit(item_start)),
                decoder,
                f"{sequences}{tag_text(tag)}[{number}]/",
                private,
                depth + 1,
            )
        return position

    def _starts_explicit(self, position: int) -> bool:
        start = self._data[position : position + 8]
        return is_explicit_start(start) or self._tag(start, 0)[0] == 0xFFFE

    def _fragments(self, tag: int, position: int) -> tuple[list[tuple[int, int]], int]:
        """Where encapsulated frames are, the offset table first, and end (PS3.5 A.4)."""
        places: list[tuple[int, int]] = []
        while position + 8 <= len(self._data):
            found, _, length, start = self._head(position, False)
            if found == _SEQUENCE_END:
                return places, start
            if found != _ITEM or length == _UNDEFINED:
                break
            position = start + length
            places.append((start, position))
        raise DataSetError(f"the data set ends inside the fragments of {tag_text(tag)}")

    def _count(self, tag: int) -> None:
        self._elements += 1
        if self._elements > self._bounds.max_elements:
            raise BoundsError(
                f"more than {self._bounds.max_elements} data elements, at {tag_text(tag)}"
            )
