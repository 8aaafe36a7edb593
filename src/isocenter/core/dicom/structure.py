"""Checks the structure of a whole data set before anything builds objects from it.

pydicom reads nested sequences by recursion and allocates what a length field says. What passes
this check nests no deeper, has no more elements and no longer values than the bounds and the
file allow.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cache

from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.bytesource import ByteSource
from isocenter.core.dicom.part10 import LONG_VRS, VRS
from isocenter.core.dicom.scanner import Encoding, is_explicit_start, tag_text
from isocenter.core.errors import BoundsError, DataSetError

_WINDOW = 1 << 16
_UNDEFINED = 0xFFFFFFFF
_SHORT_VALUE = 256  # bytes; more than six decimal strings have
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
#: Pixel Data, Float Pixel Data, Double Float Pixel Data.
PIXEL_TAGS = frozenset((0x7FE00010, 0x7FE00008, 0x7FE00009))


@cache
def _sequence_tags() -> frozenset[int]:
    """Where there is no VR the dictionary says what is a sequence."""
    from pydicom.datadict import DicomDictionary

    return frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ")


@dataclass(slots=True)
class _Frame:
    """A data set, item or sequence that is being walked."""

    end: int | None  # None: undefined, a delimiter ends it
    limit: int  # where it has to have ended, because what it is in ends there
    is_sequence: bool
    implicit: bool
    opaque_end: int | None = None  # in a value that may be no sequence at all: where it ends
    holds_fragments: bool = False  # encapsulated frames: items are bytes, no data sets


@dataclass(frozen=True, slots=True)
class Structure:
    """What a check found.

    Attributes:
        elements: data elements and items, nested ones included.
        depth: deepest nesting of sequences.
        truncated_at: top-level tag of the value that the end of the data cuts off; None if
            the data set is complete.
        values: of the wanted tags of the top level: VR (empty where it is implicit) and bytes;
            None where a value is too long to be plain, or its tag comes twice.
        implicit: whether the top level has implicit VR.
    """

    elements: int
    depth: int
    truncated_at: int | None
    values: dict[int, tuple[bytes, bytes] | None] = field(default_factory=dict)
    implicit: bool = False


def check_structure(
    source: ByteSource,
    encoding: Encoding,
    bounds: Bounds,
    size: int,
    *,
    stop_at: frozenset[int] = frozenset(),
    wanted: frozenset[int] = frozenset(),
) -> Structure:
    """Walk all data elements, those in sequences too.

    Args:
        source: the data set; ``size`` bytes of it count.
        encoding: as the transfer syntax prescribes.
        bounds: what is allowed.
        size: length of the data set in bytes.
        stop_at: end at the first element of the top level that has one of these tags.
        wanted: tags of the top level whose values are given back, where they are short.

    Raises:
        BoundsError: too deep or too many elements.
        DataSetError: a delimiter where none belongs, or a value that reaches beyond its sequence.
    """
    return _Checker(source, encoding, bounds, size, wanted).run(stop_at)


class _Checker:
    def __init__(
        self,
        source: ByteSource,
        encoding: Encoding,
        bounds: Bounds,
        size: int,
        wanted: frozenset[int],
    ) -> None:
        self._source = source
        self._wanted = wanted
        self._values: dict[int, tuple[bytes, bytes] | None] = {}
        self._bounds = bounds
        self._size = size
        self._base = 0
        self._window = source.read(0, _WINDOW)
        implicit = encoding.implicit
        if len(self._window) >= 8:
            implicit = not is_explicit_start(self._window)
        self._implicit = implicit
        order = ">" if encoding.big_endian else "<"
        self._tag_length = struct.Struct(f"{order}HHL").unpack_from
        self._tag_vr_length = struct.Struct(f"{order}HH2sH").unpack_from
        self._long = struct.Struct(f"{order}L").unpack_from
        self._stack = [_Frame(size, size, False, implicit)]
        self._elements = 0
        self._depth = 0
        self._top_tag = 0

    def run(self, stop_at: frozenset[int]) -> Structure:
        position = 0
        while self._stack:
            frame = self._stack[-1]
            if frame.end is not None and position >= frame.end:
                self._stack.pop()
                continue
            head = self._head(position, frame)
            if head is None:  # fewer bytes left than an element has
                return self._ended(None if len(self._stack) == 1 else self._top_tag)
            tag, vr, length, start = head
            self._elements += 1
            if len(self._stack) == 1:
                if tag in stop_at:
                    return self._ended(None)
                self._top_tag = tag
                if tag in self._wanted:
                    self._note(tag, vr, length, start)
            if self._elements > self._bounds.max_elements:
                raise BoundsError(f"more than {self._bounds.max_elements} data elements")
            try:
                position = self._step(frame, tag, vr, length, start)
            except DataSetError:
                if frame.opaque_end is None:
                    raise
                position = self._leave_opaque(frame.opaque_end)
            if position > self._size:
                return self._ended(self._top_tag)
        return self._ended(None)

    def _ended(self, truncated_at: int | None) -> Structure:
        implicit = self._implicit
        return Structure(self._elements, self._depth, truncated_at, self._values, implicit)

    def _note(self, tag: int, vr: bytes, length: int, start: int) -> None:
        index = self._at(start, length) if length <= _SHORT_VALUE else -1
        if tag in self._values or (index < 0 and length):
            self._values[tag] = None
        else:
            self._values[tag] = vr, self._window[index : index + length] if length else b""

    def _step(self, frame: _Frame, tag: int, vr: bytes, length: int, start: int) -> int:
        """Where the next head is; pushes and pops what begins and ends."""
        if start > frame.limit:
            raise DataSetError(f"{tag_text(tag)} at byte {start - 8} reaches out of its sequence")
        if tag in (_ITEM_END, _SEQUENCE_END):
            # Some writers put a delimiter where the length is defined, too.
            if len(self._stack) == 1 or frame.is_sequence != (tag == _SEQUENCE_END):
                raise DataSetError(f"a stray delimiter {tag_text(tag)} at byte {start - 8}")
            self._stack.pop()
            return start
        if frame.is_sequence:
            if tag != _ITEM:
                raise DataSetError(
                    f"{tag_text(tag)} at byte {start - 8} where a sequence item belongs"
                )
            if frame.holds_fragments:
                if length == _UNDEFINED:
                    raise DataSetError(f"a fragment of undefined length at byte {start - 8}")
                return start + length
            # An item may be implicit in an explicit data set (PS3.5 6.2.2, note on UN).
            item = _Frame(None, frame.limit, False, frame.implicit or not self._explicit_at(start))
            return self._enter(frame, item, tag, length, start)
        if tag == _ITEM:
            raise DataSetError(f"a sequence item at byte {start - 8}, outside a sequence")
        if vr == b"SQ" or length == _UNDEFINED or (not vr and tag in _sequence_tags()):
            fragments = tag in PIXEL_TAGS or vr in (b"OB", b"OW")
            sequence = _Frame(None, frame.limit, True, frame.implicit, holds_fragments=fragments)
            return self._enter(frame, sequence, tag, length, start)
        end = start + length
        if end > frame.limit and len(self._stack) > 1:
            raise DataSetError(f"{tag_text(tag)} at byte {start - 8} reaches out of its sequence")
        if vr in (b"UN", b"") and length >= 8 and self._item_at(start):
            opaque_end = frame.opaque_end or end
            self._push(_Frame(end, end, True, frame.implicit, opaque_end), tag)
            return start
        return end

    def _enter(self, parent: _Frame, child: _Frame, tag: int, length: int, start: int) -> int:
        if length != _UNDEFINED:
            child.end = start + length
            child.limit = min(child.end, parent.limit)
            if child.end > parent.limit and len(self._stack) > 1:
                raise DataSetError(
                    f"{tag_text(tag)} at byte {start - 8} reaches out of its sequence"
                )
        child.opaque_end = parent.opaque_end
        self._push(child, tag)
        return start

    def _push(self, frame: _Frame, tag: int) -> None:
        self._stack.append(frame)
        depth = sum(1 for entry in self._stack if entry.is_sequence) if frame.is_sequence else 0
        self._depth = max(self._depth, depth)
        if depth > self._bounds.max_depth:
            raise BoundsError(
                f"sequences nest deeper than {self._bounds.max_depth}, at {tag_text(tag)}"
            )

    def _leave_opaque(self, end: int) -> int:
        """The value was no sequence after all: bytes that nobody interprets."""
        while self._stack[-1].opaque_end == end:
            self._stack.pop()
        return end

    def _head(self, position: int, frame: _Frame) -> tuple[int, bytes, int, int] | None:
        index = self._at(position, 8)
        if index < 0:
            return None
        group, element, length = self._tag_length(self._window, index)
        tag = group << 16 | element
        if frame.implicit or frame.is_sequence or group == 0xFFFE:
            return tag, b"", length, position + 8
        vr = self._window[index + 4 : index + 6]
        if vr in LONG_VRS:
            index = self._at(position, 12)
            if index < 0:
                return None
            return tag, vr, self._long(self._window, index + 8)[0], position + 12
        if vr in VRS or b"AA" <= vr <= b"ZZ":
            return tag, vr, self._tag_vr_length(self._window, index)[3], position + 8
        return tag, b"", length, position + 8

    def _at(self, position: int, length: int) -> int:
        """Index of a position in the window, which is moved if need be; -1 beyond the end."""
        index = position - self._base
        if index < 0 or index + length > len(self._window):
            self._window = self._source.read(position, _WINDOW)
            self._base = position
            index = 0
            if len(self._window) < length:
                return -1
        return index

    def _explicit_at(self, position: int) -> bool:
        index = self._at(position, 8)
        return index >= 0 and is_explicit_start(self._window[index : index + 8])

    def _item_at(self, position: int) -> bool:
        index = self._at(position, 8)
        return index >= 0 and self._window[index : index + 4] == b"\xfe\xff\x00\xe0"
