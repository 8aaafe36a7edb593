"""A bounded scanner that reads the indexed attributes of a data set and nothing else.

It walks the top level of the data set from element to element (PS3.5 7), skips what it does not
want without reading it, and stops after the last indexed tag. Ten times faster than building a
data set, and there is nothing in it that a hostile file could make grow.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.bytesource import BufferSource, ByteSource, FileSource, InflatingSource
from isocenter.core.dicom.charsets import text_decoder
from isocenter.core.dicom.header import INDEXED, LAST_NEEDED, REQUEST_ITEMS, Header
from isocenter.core.dicom.header_values import decoded
from isocenter.core.dicom.part10 import (
    DEFLATED_LITTLE,
    EXPLICIT_BIG,
    IMPLICIT_LITTLE,
    LONG_VRS,
    VRS,
)
from isocenter.core.errors import BoundsError, DataSetError

_WINDOW = 1 << 14
_UNDEFINED = 0xFFFFFFFF
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_NEEDED = {tag: kind for tag, kind in INDEXED.items() if tag <= LAST_NEEDED}
_BEHIND = {tag: kind for tag, kind in INDEXED.items() if tag > LAST_NEEDED}
_LAST = max(INDEXED)
_MOST_BEHIND = 2_000  # elements that are passed in search of what is only taken along
_REQUEST_ATTRIBUTES = 0x00400275
_MAX_ITEMS = 64  # of the Request Attributes Sequence
_MAX_SEQUENCE_BYTES = 1 << 16
_REQUIRED = frozenset((0x00080016, 0x00080018, 0x0020000D, 0x0020000E))
_SHORT_VRS = VRS - LONG_VRS
_BEYOND = 2  # elements behind the last wanted one in a row: a single one may be out of order


def scan_header(
    source: bytes | bytearray | memoryview | BinaryIO | int,
    *,
    offset: int,
    transfer_syntax_uid: str,
    length: int | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
) -> Header:
    """Read the indexed attributes of a data set.

    Elements are expected in ascending order (PS3.5 7.1). The scan ends after ``LAST_NEEDED``;
    where SOP class, SOP instance, study or series UID is missing by then, it goes on to the end
    in search of it. Indexed tags behind ``LAST_NEEDED`` are taken along as far as the data set can
    be read there.

    Args:
        source: bytes in memory, or an open file (or its descriptor), whose position is not moved.
        offset: of the data set's first byte (group 0008), after the file meta information.
        transfer_syntax_uid: says byte order, VR and deflation; encapsulated ones and unknown ones
            count as explicit little endian (PS3.5 A.4).
        length: of the data set; None means to the end of the source.
        bounds: depth, number of elements, inflated size, size of a single value.

    Raises:
        DataSetError: the structure makes no sense, or the data set ends too early.
        BoundsError: it is deeper or larger than the bounds.
    """
    data = open_source(source, offset=offset, length=length)
    if transfer_syntax_uid == DEFLATED_LITTLE:
        data = InflatingSource(data, bounds.max_instance_bytes)
    walker = Walker(data, encoding_of(transfer_syntax_uid), bounds)
    raw = walker.top_level(_NEEDED, LAST_NEEDED, _REQUIRED)
    # All of it, when it was there already: a needed tag may stand far behind.
    walker.take_along(_BEHIND, _LAST, raw)
    return _decode(raw, walker.encoding, bounds)


def open_source(
    source: bytes | bytearray | memoryview | BinaryIO | int, *, offset: int, length: int | None
) -> ByteSource:
    """A :class:`ByteSource` over memory, a file or a descriptor."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        view = memoryview(source)
        return BufferSource(view if length is None else view[: offset + length], offset)
    descriptor = source if isinstance(source, int) else source.fileno()
    return FileSource(descriptor, offset, length)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How data elements are written (PS3.5 7.1)."""

    implicit: bool = False
    big_endian: bool = False


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """The encoding that a transfer syntax prescribes."""
    return Encoding(
        implicit=transfer_syntax_uid == IMPLICIT_LITTLE,
        big_endian=transfer_syntax_uid == EXPLICIT_BIG,
    )


class Walker:
    """Walks from data element to data element without interpreting values.

    Attributes:
        encoding: as prescribed, then as found: some files are written in the other VR.
        elements: data elements and items seen so far.
    """

    def __init__(self, source: ByteSource, encoding: Encoding, bounds: Bounds) -> None:
        self._source = source
        self._bounds = bounds
        self.elements = 0
        self._base = 0
        self._behind = -1  # where the first element behind the last wanted one is
        self._window = source.read(0, _WINDOW)
        if is_explicit_start(self._window) == encoding.implicit and len(self._window) >= 8:
            encoding = Encoding(not encoding.implicit, encoding.big_endian)
        self.read_as(encoding)

    def read_as(self, encoding: Encoding) -> None:
        """From here on; for sources that begin with an item, which has no VR."""
        self.encoding = encoding
        order = ">" if encoding.big_endian else "<"
        self._tag_length = struct.Struct(f"{order}HHL").unpack_from
        self._tag_vr_length = struct.Struct(f"{order}HH2sH").unpack_from
        self._length = struct.Struct(f"{order}L").unpack_from

    def top_level(
        self, wanted: dict[int, Any], last: int, required: frozenset[int]
    ) -> dict[int, bytes]:
        """Raw values of the wanted tags of the top level.

        Ends after ``last``, but not before every required tag was seen; then at the end.
        """
        found: dict[int, bytes] = {}
        read_head = self._implicit_head if self.encoding.implicit else self._explicit_head
        max_elements = self._bounds.max_elements
        max_value = self._bounds.max_value_bytes
        position = tag = beyond = 0
        is_explicit = not self.encoding.implicit
        while True:
            if is_explicit:
                position = self._skip_unwanted(position, wanted, last)
            head = read_head(position)
            if head is None:
                break
            tag, _, length, start = head
            beyond = beyond + 1 if tag > last else 0
            if beyond == 1:
                self._behind = position
            if beyond >= _BEYOND and required <= found.keys():
                break
            self.elements += 1
            if self.elements > max_elements:
                raise BoundsError(f"more than {max_elements} data elements")
            if length == _UNDEFINED:
                position = self._skip_undefined(tag, start)
            elif tag in wanted:
                if length > max_value:
                    raise BoundsError(
                        f"{tag_text(tag)} at byte {position} has {length} bytes; "
                        f"at most {max_value} are read"
                    )
                found[tag] = self._value(tag, start, length)
                position = start + length
            elif tag >> 16 == 0xFFFE:
                raise DataSetError(f"{tag_text(tag)} at byte {position}, outside a sequence")
            else:
                position = start + length
        if head is None and position and not self._source.read(position - 1, 1):
            raise DataSetError(f"the data set ends inside {tag_text(tag)}")
        return found

    def take_along(self, wanted: dict[int, Any], last: int, found: dict[int, bytes]) -> None:
        """Add raw values behind what `top_level` read, as far as they can be read."""
        position, most = self._behind, self.elements + _MOST_BEHIND
        if position < 0:
            return
        read_head = self._implicit_head if self.encoding.implicit else self._explicit_head
        try:
            while self.elements < most:
                if not self.encoding.implicit:
                    position = self._skip_unwanted(position, wanted, last)
                head = read_head(position)
                if head is None or head[0] > last or head[0] >> 16 == 0xFFFE:
                    return
                tag, _, length, start = head
                self.elements += 1
                is_open = length == _UNDEFINED
                position = self._skip_undefined(tag, start) if is_open else start + length
                if tag in wanted and position - start <= _MAX_SEQUENCE_BYTES:
                    found[tag] = self._value(tag, start, position - start)
        except (DataSetError, BoundsError):
            return

    def items(self) -> list[bytes]:
        """Data sets of the items of a sequence, whose value is all of the source.

        Raises:
            DataSetError: it is no sequence.
        """
        found: list[bytes] = []
        position = 0
        while len(found) < _MAX_ITEMS:
            head = self._implicit_head(position)
            if head is None or head[0] != _ITEM:
                return found
            _, _, length, start = head
            end = start + length
            if length == _UNDEFINED:
                end = self._end_of_item(start)
            found.append(self._value(_ITEM, start, end - start))
            position = end + 8 if length == _UNDEFINED else end
        return found

    def _end_of_item(self, start: int) -> int:
        """Where the delimiter of an item of undefined length is."""
        read_head = self._implicit_head if self.encoding.implicit else self._explicit_head
        position = start
        for _ in range(_MOST_BEHIND):
            head = read_head(position)
            if head is None:
                break
            tag, _, length, after = head
            if tag == _ITEM_END:
                return position
            undefined = length == _UNDEFINED
            position = self._skip_undefined(tag, after) if undefined else after + length
        raise DataSetError("an item of a sequence does not end")

    def _skip_unwanted(self, position: int, wanted: dict[int, Any], last: int) -> int:
        """Past elements of the window with short explicit VR that nobody asked for.

        Most of a header is that, so this loop does nothing else. Whatever is not plain is left
        to the caller's.
        """
        window, unpack = self._window, self._tag_vr_length
        index = position - self._base
        size = len(window)
        count = 0
        while 0 <= index <= size - 8:
            group, element, vr, length = unpack(window, index)
            tag = group << 16 | element
            after = index + 8 + length
            if vr not in _SHORT_VRS or tag in wanted or tag > last or after > size:
                break
            index = after
            count += 1
        self.elements += count
        if self.elements > self._bounds.max_elements:
            raise BoundsError(f"more than {self._bounds.max_elements} data elements")
        return self._base + index

    def _at(self, position: int, length: int) -> int:
        """Have ``length`` bytes at ``position`` in the window; index there, -1 at the end."""
        index = position - self._base
        if index < 0 or index + length > len(self._window):
            self._window = self._source.read(position, max(_WINDOW, length))
            self._base = position
            index = 0
            if len(self._window) < length:
                return -1
        return index

    def _explicit_head(self, position: int) -> tuple[int, bytes, int, int] | None:
        """Tag, VR, value length and value position; None at the end."""
        index = position - self._base
        window = self._window
        if index < 0 or index + 12 > len(window):
            index = self._at(position, 12)
            if index < 0:  # the last element may be short
                index = self._at(position, 8)
                if index < 0:
                    return None
            window = self._window
        group, element, vr, length = self._tag_vr_length(window, index)
        tag = group << 16 | element
        if vr in LONG_VRS:
            if index + 12 > len(window):
                raise DataSetError(f"the data set ends inside {tag_text(tag)} at byte {position}")
            return tag, vr, self._length(window, index + 8)[0], position + 12
        if vr in VRS or b"AA" <= vr <= b"ZZ":  # an unknown VR counts as a short one
            return tag, vr, length, position + 8
        return tag, b"", self._length(window, index + 4)[0], position + 8

    def _implicit_head(self, position: int) -> tuple[int, bytes, int, int] | None:
        index = position - self._base
        if index < 0 or index + 8 > len(self._window):
            index = self._at(position, 8)
            if index < 0:
                return None
        group, element, length = self._tag_length(self._window, index)
        return group << 16 | element, b"", length, position + 8

    def _value(self, tag: int, start: int, length: int) -> bytes:
        index = start - self._base
        if index < 0 or index + length > len(self._window):
            index = self._at(start, length)
            if index < 0:
                raise DataSetError(f"the data set ends inside {tag_text(tag)}")
        return self._window[index : index + length]

    def _skip_undefined(self, tag: int, start: int) -> int:
        """Position after a value of undefined length: a sequence or encapsulated frames.

        An own stack in place of recursion: each entry is what has to end, an item's data set
        (True, read as explicit or implicit) or a sequence (False).
        """
        stack: list[tuple[bool, bool]] = [(False, self.encoding.implicit)]
        position = start
        while stack:
            in_item, implicit = stack[-1]
            read_head = self._implicit_head if implicit or not in_item else self._explicit_head
            head = read_head(position)
            if head is None:
                raise DataSetError(
                    f"the data set ends inside {tag_text(tag)}, which began at byte {start}"
                )
            found, _, length, after = head
            self.elements += 1
            if self.elements > self._bounds.max_elements:
                raise BoundsError(f"more than {self._bounds.max_elements} data elements")
            position = after
            if found == (_ITEM_END if in_item else _SEQUENCE_END):
                stack.pop()
            elif in_item and found >> 16 != 0xFFFE:
                if length == _UNDEFINED:
                    self._push(stack, (False, implicit), tag)
                else:
                    position += length
            elif not in_item and found == _ITEM:
                if length == _UNDEFINED:
                    stack.append((True, implicit or not self._is_explicit_at(after)))
                else:
                    position += length
            else:
                raise DataSetError(
                    f"{tag_text(found)} at byte {after - 8} does not belong there, "
                    f"inside {tag_text(tag)}"
                )
        return position

    def _push(self, stack: list[tuple[bool, bool]], entry: tuple[bool, bool], tag: int) -> None:
        stack.append(entry)
        if len(stack) > 2 * self._bounds.max_depth:
            raise BoundsError(
                f"sequences nest deeper than {self._bounds.max_depth} inside {tag_text(tag)}"
            )

    def _is_explicit_at(self, position: int) -> bool:
        index = self._at(position, 8)
        return index >= 0 and is_explicit_start(self._window[index : index + 8])


def is_explicit_start(start: bytes) -> bool:
    """Whether a data set that begins with these bytes has explicit VR: two capital letters."""
    return len(start) >= 6 and 0x41 <= start[4] <= 0x5A and 0x41 <= start[5] <= 0x5A


def tag_text(tag: int) -> str:
    """``(0008,0018)``."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _decode(raw: dict[int, bytes], encoding: Encoding, bounds: Bounds) -> Header:
    sequence = raw.pop(_REQUEST_ATTRIBUTES, b"")
    values = decoded(raw, is_big_endian=encoding.big_endian)
    if sequence:
        charset = raw.get(0x00080005, b"")
        values["request_attributes"] = _requests(sequence, encoding, bounds, charset)
    return Header(**values)


def _requests(
    value: bytes, encoding: Encoding, bounds: Bounds, charset: bytes
) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Items of the Request Attributes Sequence; none where it cannot be read."""
    wanted = {0x00080005: "", **REQUEST_ITEMS}
    found = []
    sequence = Walker(BufferSource(memoryview(value), 0), encoding, bounds)
    sequence.read_as(encoding)
    try:
        for item in sequence.items():
            walker = Walker(BufferSource(memoryview(item), 0), encoding, bounds)
            raw = walker.top_level(wanted, max(wanted), frozenset())
            decode = text_decoder(raw.get(0x00080005, charset)).decode
            texts = ((word, decode(raw.get(tag, b""))) for tag, word in REQUEST_ITEMS.items())
            found.append(tuple((word, text) for word, text in texts if text))
    except (DataSetError, BoundsError):
        return ()
    return tuple(item for item in found if item)
