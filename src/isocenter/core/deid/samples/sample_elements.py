"""Elements of pixels, overlay planes and waveforms: the samples stay, what is beside them goes.

Native values are cut to the length that the data set says (PS3.5 8.1.1). Encapsulated ones (PS3.5
A.4) are cut frame by frame, where anything is to be cut each frame becomes one fragment; the offset
tables are worked out anew.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import NamedTuple

from isocenter.core.deid.dataset.byte_ranges import Piece, is_whole, joined, size_of
from isocenter.core.deid.dataset.elements import (
    ITEM,
    SEQUENCE_END,
    SEQUENCE_END_BYTES,
    UNDEFINED,
    Buffer,
    Head,
    ItemView,
    read_head,
    write_head,
    write_item_head,
)
from isocenter.core.deid.dataset.one_element import ElementWriter, Surroundings, Walked
from isocenter.core.deid.dataset.replacing import ObjectRefused
from isocenter.core.deid.profile import Decision
from isocenter.core.deid.samples.coded_frames import Cutter, begins_frame, cutter_of
from isocenter.core.deid.samples.sample_lengths import (
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    OFFSET_TABLES,
    PIXEL_DATA,
    VALUE_TOTAL_LENGTH,
    ImageShape,
    samples_length,
)
from isocenter.core.deid.standard.actions import Action
from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.pixels import NATIVE
from isocenter.core.errors import DataSetError

_LONGEST = 0xFFFFFFFE
_ITEM_HEAD = 8  # bytes
_LAST_DESCRIPTION = 0x7FE0000F  # nothing behind it says how long samples are


class _Frame(NamedTuple):
    """What stays of a frame; ranges are of the data set."""

    pieces: list[Piece]
    changed: bool

    @property
    def size(self) -> int:
        return size_of(self.pieces)


class _Fragments(NamedTuple):
    table: tuple[int, int]  # of the Basic Offset Table's value
    places: list[tuple[int, int]]  # of the fragments' values
    end: int  # behind the delimiter


class SampleElements:
    """Those of one data set."""

    def __init__(
        self, data: Buffer, writer: ElementWriter, transfer_syntax_uid: str, bounds: Bounds
    ) -> None:
        self._data = data
        self._writer = writer
        self._syntax = transfer_syntax_uid
        self._bounds = bounds
        self._tables: dict[str, dict[int, tuple[int, int]]] = {}  # by path: held back

    def element(
        self, head: Head, position: int, decision: Decision, around: Surroundings
    ) -> Walked:
        """One element that is kept.

        Raises:
            ObjectRefused: nobody can say what belongs to the samples and what does not.
        """
        if head.tag in OFFSET_TABLES:
            if head.length == UNDEFINED:
                raise DataSetError("an offset table of undefined length")
            end = head.start + head.length
            self._tables.setdefault(around.path, {})[head.tag] = (position, end)
            return Walked(end, [])
        tables = self._tables.pop(around.path, {}) if head.tag == PIXEL_DATA else {}
        if decision.rule.startswith("site"):
            return self._as_it_is(head, decision, tables, position, around)
        if head.length == UNDEFINED:
            return self._encapsulated(head, decision, tables, position, around)
        if around.depth == 0 and head.tag == PIXEL_DATA and self._syntax not in NATIVE:
            raise ObjectRefused("pixels that are not encapsulated as their transfer syntax wants")
        return self._native(head, position, decision, around)

    def _as_it_is(
        self,
        head: Head,
        decision: Decision,
        tables: dict[int, tuple[int, int]],
        position: int,
        around: Surroundings,
    ) -> Walked:
        """What a site's own rule keeps."""
        self._writer.record(head, decision, Action.KEEP, b"", "", around)
        end = head.start + head.length
        if head.length == UNDEFINED:
            end = self._fragments(head, around).end
        return Walked(end, [*tables.values(), (position, end)])

    def _native(
        self, head: Head, position: int, decision: Decision, around: Surroundings
    ) -> Walked:
        end = head.start + head.length
        if not head.length:
            return Walked(end, None)
        length = samples_length(self._view(around), head.tag, head.length)
        last = head.start + length
        if end <= last or (end - last == length % 2 and self._data[last] == 0):
            return Walked(end, None)
        self._cut(head, decision, self._data[last : min(end, last + 4096)], around)
        vr = head.vr.decode("ascii") or decision.vr
        first = write_head(head.tag, vr, length + length % 2, around.implicit)
        return Walked(end, [first, (head.start, last), bytes(length % 2)])

    def _cut(self, head: Head, decision: Decision, old: bytes, around: Surroundings) -> None:
        said = replace(decision, rule="beside the samples")
        self._writer.record(head, said, Action.CLEAN, old, "", around)

    def _view(self, around: Surroundings) -> ItemView:
        return ItemView(
            self._data,
            around.start,
            around.end,
            around.implicit,
            around.character_set.decoder,
            self._bounds.max_depth,
            _LAST_DESCRIPTION,
        )

    def _encapsulated(
        self,
        head: Head,
        decision: Decision,
        tables: dict[int, tuple[int, int]],
        position: int,
        around: Surroundings,
    ) -> Walked:
        if head.tag != PIXEL_DATA or head.vr not in (b"OB", b"OW"):
            raise ObjectRefused("encapsulated frames where none belong")
        fragments = self._fragments(head, around)
        cutter = cutter_of(self._syntax)
        shape = ImageShape.of(self._view(around), head.tag)
        groups = self._groups(fragments, shape.frames)
        frames = [self._frame(group, cutter, shape) for group in groups]
        offsets = _offsets(groups)
        if not any(frame.changed for frame in frames) and self._is_right(fragments, offsets):
            if not tables:
                return Walked(fragments.end, None)
            pieces: list[Piece] = [(position, fragments.end)]
        else:
            self._cut(head, decision, b"", around)
            offsets = _offsets_of_sizes([frame.size for frame in frames])
            wants_table = fragments.table[1] > fragments.table[0] and not tables
            pieces = self._written(head, frames, offsets if wants_table else [], around.implicit)
        sizes = [frame.size for frame in frames]
        return Walked(
            fragments.end, [*_new_tables(tables, offsets, sizes, around.implicit), *pieces]
        )

    def _fragments(self, head: Head, around: Surroundings) -> _Fragments:
        """Where the items of the value are (PS3.5 A.4)."""
        position, places = head.start, []
        while True:
            item = read_head(self._data, position, around.end, implicit=True)
            if item.tag == SEQUENCE_END:
                break
            if item.tag != ITEM or item.length == UNDEFINED:
                raise DataSetError(f"no fragment where one belongs, at byte {position}")
            position = item.start + item.length
            places.append((item.start, position))
        if len(places) < 2:
            raise ObjectRefused("encapsulated pixels without a fragment")
        return _Fragments(places[0], places[1:], item.start)

    def _groups(self, fragments: _Fragments, frames: int) -> list[list[tuple[int, int]]]:
        """The fragments of each frame."""
        places = fragments.places
        if frames == 1:
            return [places]
        if frames == len(places):
            return [[place] for place in places]
        groups: list[list[tuple[int, int]]] = []
        for place in places:
            if begins_frame(self._data, place[0]) or not groups:
                groups.append([])
            groups[-1].append(place)
        if len(groups) != frames:
            raise ObjectRefused("encapsulated pixels with another number of frames than is said")
        return groups

    def _frame(self, group: list[tuple[int, int]], cutter: Cutter, shape: ImageShape) -> _Frame:
        if len(group) == 1:
            start, end = group[0]
            pieces = cutter(self._data, start, end, shape)
            return _Frame(pieces, not is_whole(pieces, self._data, start, end))
        whole = b"".join(self._data[start:end] for start, end in group)
        pieces = cutter(whole, 0, len(whole), shape)
        changed = not is_whole(pieces, whole, 0, len(whole))
        return _Frame([joined(pieces, whole)], changed)

    def _is_right(self, fragments: _Fragments, offsets: list[int]) -> bool:
        """Whether the Basic Offset Table is empty, or has the frames' offsets and nothing else."""
        start, end = fragments.table
        if start == end:
            return True
        fits = offsets[-1] <= _LONGEST
        return fits and self._data[start:end] == struct.pack(f"<{len(offsets)}L", *offsets)

    @staticmethod
    def _written(
        head: Head, frames: list[_Frame], offsets: list[int], implicit: bool
    ) -> list[Piece]:
        """The whole element, one fragment for each frame."""
        table = b""
        if offsets and offsets[-1] <= _LONGEST:
            table = struct.pack(f"<{len(offsets)}L", *offsets)
        vr = head.vr.decode("ascii")
        first = write_head(head.tag, vr, UNDEFINED, implicit) + write_item_head(len(table)) + table
        pieces: list[Piece] = [first]
        for frame in frames:
            size = frame.size + frame.size % 2
            if size > _LONGEST:
                raise ObjectRefused("a frame longer than a fragment may be")
            pieces += [write_item_head(size), *frame.pieces, bytes(size - frame.size)]
        pieces.append(SEQUENCE_END_BYTES)
        return pieces


def _offsets(groups: list[list[tuple[int, int]]]) -> list[int]:
    """Of each frame's first item, from the first item of all, as they are."""
    first = groups[0][0][0]
    return [group[0][0] - first for group in groups]


def _offsets_of_sizes(sizes: list[int]) -> list[int]:
    """The same where every frame is one fragment."""
    offsets, at = [], 0
    for size in sizes:
        offsets.append(at)
        at += _ITEM_HEAD + size + size % 2
    return offsets


def _new_tables(
    tables: dict[int, tuple[int, int]], offsets: list[int], sizes: list[int], implicit: bool
) -> list[Piece]:
    """Extended Offset Table, its lengths and the total (PS3.3 C.7.6.3.1.8), where they were."""
    values = {
        EXTENDED_OFFSET_TABLE: ("OV", offsets),
        EXTENDED_OFFSET_TABLE_LENGTHS: ("OV", sizes),
        VALUE_TOTAL_LENGTH: ("UV", [sum(sizes)]),
    }
    return [
        write_head(tag, vr, 8 * len(numbers), implicit) + struct.pack(f"<{len(numbers)}Q", *numbers)
        for tag, (vr, numbers) in values.items()
        if tag in tables
    ]
