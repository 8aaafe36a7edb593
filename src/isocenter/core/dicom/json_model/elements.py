"""Data elements of a data set one after another (PS3.5 7), in bounds, without copying values."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.bytesource import ByteSource, FileSource, InflatingSource
from isocenter.core.dicom.part10 import DEFLATED_LITTLE, LONG_VRS, VRS, FileMeta, read_file_meta
from isocenter.core.dicom.scanner import encoding_of, is_explicit_start, tag_text
from isocenter.core.dicom.structure import PIXEL_TAGS
from isocenter.core.errors import BoundsError, DataSetError

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_WINDOW = 1 << 16
MAX_INFLATED_BYTES = 512 << 20  # of a deflated data set; what is behind is not read
_SHORT_VRS = {vr: vr.decode() for vr in VRS - LONG_VRS}
_LONG_VRS = {vr: vr.decode() for vr in LONG_VRS}


class Head(NamedTuple):
    """Tag, VR (empty where it is implicit), value length and position of a data element."""

    tag: int
    vr: str
    length: int
    start: int


class Item(NamedTuple):
    """One item of a sequence: position of its data set, where that ends (None: at a delimiter),
    and whether its VRs are implicit."""

    start: int
    end: int | None
    implicit: bool


class Elements:
    """Reads heads and values of a data set.

    Attributes:
        implicit: whether the top level has implicit VR; as found, where it is not as prescribed.
        big_endian: byte order of numbers.
        size: of the data set in bytes; None where it is only known at the end (deflated).
        meta: the file meta information that went before.
    """

    def __init__(
        self, source: ByteSource, meta: FileMeta, size: int | None, bounds: Bounds
    ) -> None:
        encoding = encoding_of(meta.transfer_syntax_uid)
        self._source = source
        self._bounds = bounds
        self._base = 0
        self._window = source.read(0, _WINDOW)
        self._elements = 0
        self.meta = meta
        self.size = size
        self.big_endian = encoding.big_endian
        self.implicit = encoding.implicit
        if len(self._window) >= 8:
            self.implicit = not is_explicit_start(self._window)
        order = ">" if encoding.big_endian else "<"
        self._tag_length = struct.Struct(f"{order}HHL").unpack_from
        self._tag_vr_length = struct.Struct(f"{order}HH2sH").unpack_from
        self._long = struct.Struct(f"{order}L").unpack_from

    def at(self, position: int, length: int) -> int:
        """Index of a position in :attr:`window`, which is moved if need be; -1 beyond the end."""
        index = position - self._base
        if index < 0 or index + length > len(self._window):
            self._window = self._source.read(position, max(_WINDOW, length))
            self._base = position
            index = 0
            if len(self._window) < length:
                return -1
        return index

    def head(self, position: int, implicit: bool) -> Head | None:
        """The head at a position; None where the data ends.

        Raises:
            BoundsError: too many elements.
            DataSetError: the data ends within the head.
        """
        index = position - self._base
        window = self._window
        if index < 0 or index + 12 > len(window):
            if self.size is not None and position >= self.size:
                return None
            index = self.at(position, 8)
            if index < 0:
                if self.at(position, 1) < 0:
                    return None
                raise DataSetError(f"the data set ends inside a data element at byte {position}")
            window = self._window
        self._elements += 1
        if self._elements > self._bounds.max_elements:
            raise BoundsError(f"more than {self._bounds.max_elements} data elements")
        if implicit:
            group, element, length = self._tag_length(window, index)
            return Head(group << 16 | element, "", length, position + 8)
        group, element, vr, length = self._tag_vr_length(window, index)
        tag = group << 16 | element
        text = _SHORT_VRS.get(vr)
        if text is not None:
            return Head(tag, text, length, position + 8)
        if group == 0xFFFE:
            return Head(tag, "", self._long(window, index + 4)[0], position + 8)
        return self._long_head(position, tag, vr, length)

    def _long_head(self, position: int, tag: int, vr: bytes, length: int) -> Head:
        text = _LONG_VRS.get(vr)
        if text is not None:
            index = self.at(position, 12)
            if index < 0:
                raise DataSetError(f"the data set ends inside {tag_text(tag)}")
            return Head(tag, text, self._long(self._window, index + 8)[0], position + 12)
        if b"AA" <= vr <= b"ZZ":  # an unknown VR counts as a short one
            return Head(tag, "UN", length, position + 8)
        index = self.at(position, 8)
        return Head(tag, "", self._long(self._window, index + 4)[0], position + 8)

    def value(self, head: Head) -> bytes:
        """The value of an element of defined length.

        Raises:
            DataSetError: the data set ends before it does.
        """
        index = head.start - self._base
        length = head.length
        if index < 0 or index + length > len(self._window):
            index = self.at(head.start, length)
            if index < 0:
                raise DataSetError(f"the data set ends inside {tag_text(head.tag)}")
        return self._window[index : index + length]

    def starts_with_item(self, head: Head) -> bool:
        """Whether the bytes of a value begin with the tag of an item."""
        index = self.at(head.start, 8) if head.length >= 8 else -1
        return index >= 0 and self._tag_length(self._window, index)[:2] == (0xFFFE, 0xE000)

    def items(self, head: Head, implicit: bool, depth: int) -> Iterator[Item]:
        """The items of a sequence. Whoever asks for the next one sets :attr:`after_item`.

        After the last one :attr:`after_item` is where the sequence ends.

        Raises:
            BoundsError: nested too deep.
            DataSetError: something else than items.
        """
        if depth > self._bounds.max_depth:
            raise BoundsError(
                f"sequences nest deeper than {self._bounds.max_depth}, at {tag_text(head.tag)}"
            )
        end = None if head.length == UNDEFINED else head.start + head.length
        position = head.start
        while end is None or position < end:
            found = self.head(position, True)
            if found is None:
                raise DataSetError(f"the data set ends inside {tag_text(head.tag)}")
            if found.tag == SEQUENCE_END:
                position = found.start
                break
            if found.tag != ITEM:
                raise DataSetError(
                    f"{tag_text(found.tag)} at byte {position} where a sequence item belongs"
                )
            item_end = None if found.length == UNDEFINED else found.start + found.length
            if end is not None and item_end is not None and item_end > end:
                raise DataSetError(f"an item of {tag_text(head.tag)} reaches out of its sequence")
            self.after_item = found.start if item_end is None else item_end
            yield Item(found.start, item_end, implicit or not self._explicit_at(found.start))
            position = self.after_item
        self.after_item = position

    after_item = 0

    def fragments(self, head: Head) -> Iterator[tuple[int, int]]:
        """(position, length) of each item of an encapsulated value (PS3.5 A.4), the offset table
        first. After the last one :attr:`after_item` is where the value ends.

        Raises:
            DataSetError: something else than fragments.
        """
        position = head.start
        while True:
            start = self._source.read(position, 8)
            if len(start) < 8:
                raise DataSetError(f"the data set ends inside {tag_text(head.tag)}")
            group, element, length = self._tag_length(start, 0)
            tag = group << 16 | element
            self._elements += 1
            if tag == SEQUENCE_END:
                break
            if tag != ITEM or length == UNDEFINED:
                raise DataSetError(f"{tag_text(tag)} at byte {position} where a fragment belongs")
            if self._elements > self._bounds.max_elements:
                raise BoundsError(f"more than {self._bounds.max_elements} data elements")
            yield position + 8, length
            position += 8 + length
        self.after_item = position + 8

    def is_encapsulated(self, head: Head) -> bool:
        """Whether a value of undefined length has fragments and no data sets."""
        return head.length == UNDEFINED and (head.tag in PIXEL_TAGS or head.vr in ("OB", "OW"))

    def skip(self, head: Head, implicit: bool, depth: int = 0) -> int:
        """Where the element after this one is.

        Raises:
            DicomError: a value of undefined length that makes no sense.
        """
        if head.length != UNDEFINED:
            return head.start + head.length
        if self.is_encapsulated(head):
            for _ in self.fragments(head):
                pass
            return self.after_item
        implicit = implicit or head.vr == "UN"
        for item in self.items(head, implicit, depth + 1):
            if item.end is None:
                self.after_item = self.skip_item(item, depth + 1)
        return self.after_item

    def skip_item(self, item: Item, depth: int) -> int:
        """Where an item of undefined length ends."""
        position = item.start
        while True:
            head = self.head(position, item.implicit)
            if head is None:
                raise DataSetError(f"the data set ends inside an item at byte {item.start}")
            if head.tag == ITEM_END:
                return head.start
            position = self.skip(head, item.implicit, depth)

    def _explicit_at(self, position: int) -> bool:
        index = self.at(position, 8)
        return index >= 0 and is_explicit_start(self._window[index : index + 8])

    def raw(self, position: int, length: int) -> bytes:
        """Bytes past the window; fewer at the end."""
        return self._source.read(position, length)


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file whose data set is read.

    Attributes:
        elements: of the data set.
        offset: of the data set's first byte in the file; None where it is deflated, so that
            positions are none of the file.
    """

    elements: Elements
    offset: int | None


@contextmanager
def opened(path: Path, bounds: Bounds) -> Iterator[OpenedFile]:
    """A file of PS3.10, or one without its preamble or meta information.

    Raises:
        NotDicomError: the bytes are no DICOM.
        BoundsError: the file is too large.
        OSError: it cannot be opened.
    """
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size > bounds.max_instance_bytes:
            raise BoundsError(f"{size} bytes; at most {bounds.max_instance_bytes} are read")
        meta, offset = read_file_meta(file)
        length = max(0, size - offset)
        source: ByteSource = FileSource(file.fileno(), offset, length)
        if meta.transfer_syntax_uid == DEFLATED_LITTLE:
            limit = min(bounds.max_instance_bytes, MAX_INFLATED_BYTES)
            inflating = InflatingSource(source, limit)
            yield OpenedFile(Elements(inflating, meta, None, bounds), None)
        else:
            yield OpenedFile(Elements(source, meta, length, bounds), offset)
