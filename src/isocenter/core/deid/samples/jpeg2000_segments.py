"""Cuts comments out of JPEG 2000 and HTJ2K codestreams, without decoding them (ISO 15444-1 A).

Comment segments (COM) go from the main header and from the headers of tile-parts; the lengths of
the tile-parts (SOT, TLM) are put right. What stands behind the end of the codestream goes as well.
"""

from __future__ import annotations

from typing import NamedTuple

from isocenter.core.deid.dataset.byte_ranges import Kept, Piece
from isocenter.core.deid.dataset.elements import Buffer
from isocenter.core.deid.dataset.replacing import ObjectRefused

START = b"\xff\x4f\xff\x51"  # SOC, SIZ
_SOT, _SOD, _COM, _TLM = 0xFF90, 0xFF93, 0xFF64, 0xFF55
_EOC = b"\xff\xd9"
_SOT_LENGTH = 12  # bytes with its marker
#: Segments of a header that describe the image, those of Part 2 (extensions) and 15 (HTJ2K) too.
_CODING = frozenset(
    (
        *range(0xFF50, 0xFF54), *range(0xFF55, 0xFF5A), *range(0xFF5C, 0xFF62), 0xFF63,
        *range(0xFF70, 0xFF7A),
    )
)  # fmt: skip


class _Segment(NamedTuple):
    marker: int
    start: int
    end: int


class _TilePart(NamedTuple):
    pieces: list[Piece]
    removed: int
    end: int


def cut_jpeg2000(data: Buffer, start: int, end: int) -> list[Piece]:
    """What stays of the codestream between two positions.

    Raises:
        ObjectRefused: it is none, is cut off, or has segments that nobody knows.
    """
    segments, position = _header(data, start + 2, end, _SOT)
    parts: list[_TilePart] = []
    while data[position : position + 2] == b"\xff\x90":
        parts.append(_tile_part(data, position, end))
        position = parts[-1].end
    if not parts:
        raise ObjectRefused("a JPEG 2000 frame has no tile")
    has_end = data[position : position + 2] == _EOC
    if not has_end and data[position:end].strip(b"\0"):
        raise ObjectRefused("a JPEG 2000 frame has no end")
    kept = Kept()
    kept.keep(start, start + 2)
    lengths = _lengths(data, segments, [part.removed for part in parts])
    for segment in segments:
        if segment.start in lengths:
            kept.write(lengths[segment.start])
        elif segment.marker != _COM:
            kept.keep(segment.start, segment.end)
    for part in parts:
        for piece in part.pieces:
            if isinstance(piece, bytes):
                kept.write(piece)
            else:
                kept.keep(*piece)
    if has_end:
        kept.keep(position, position + 2)
    return kept.pieces


def _header(data: Buffer, position: int, end: int, last: int) -> tuple[list[_Segment], int]:
    """Segments up to a marker, and where that is."""
    segments: list[_Segment] = []
    while position + 4 <= end:
        marker = int.from_bytes(data[position : position + 2], "big")
        if marker == last:
            return segments, position
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        after = position + 2 + length
        if marker not in _CODING and marker != _COM:
            raise ObjectRefused("a JPEG 2000 frame has a segment of an unknown kind")
        if length < 2 or after > end:
            break
        segments.append(_Segment(marker, position, after))
        position = after
    raise ObjectRefused("a JPEG 2000 frame is cut off")


def _tile_part(data: Buffer, position: int, end: int) -> _TilePart:
    """ISO 15444-1 A.4.2."""
    first = data[position : position + _SOT_LENGTH]
    if first[2:4] != b"\0\x0a":
        raise ObjectRefused("a JPEG 2000 frame has a broken tile-part")
    length = int.from_bytes(first[6:10], "big")
    if length:
        stop = position + length
    else:  # the last one: up to the end of the codestream, whose marker no packet can hold
        found = data.find(_EOC, position, end)
        if found < 0:
            raise ObjectRefused("a JPEG 2000 frame has no end")
        stop = found
    if stop > end or (length and length < _SOT_LENGTH + 2):
        raise ObjectRefused("a JPEG 2000 frame is cut off")
    segments, begin = _header(data, position + _SOT_LENGTH, stop, _SOD)
    removed = sum(s.end - s.start for s in segments if s.marker == _COM)
    kept = Kept()
    if removed and length:
        kept.write(first[:6] + (length - removed).to_bytes(4, "big") + first[10:])
    else:
        kept.keep(position, position + _SOT_LENGTH)
    for segment in segments:
        if segment.marker != _COM:
            kept.keep(segment.start, segment.end)
    kept.keep(begin, stop)
    return _TilePart(kept.pieces, removed, stop)


def _lengths(data: Buffer, segments: list[_Segment], removed: list[int]) -> dict[int, bytes]:
    """New TLM segments by the place of the old (ISO 15444-1 A.7.1); none where none changes."""
    if not any(removed):
        return {}
    new: dict[int, bytes] = {}
    left = list(removed)
    for segment in segments:
        if segment.marker != _TLM:
            continue
        first = data[segment.start : segment.start + 6]
        size_of_index = first[5] >> 4 & 3
        size = 4 if first[5] & 0x40 else 2
        step = size_of_index + size
        body = bytearray(data[segment.start + 6 : segment.end])
        count = len(body) // step
        if size_of_index == 3 or len(body) % step or count > len(left):
            raise ObjectRefused("a JPEG 2000 frame has lengths that fit no tile-parts")
        for number in range(count):
            at = number * step + size_of_index
            length = int.from_bytes(body[at : at + size], "big") - left.pop(0)
            if length < 0:
                raise ObjectRefused("a JPEG 2000 frame has lengths that fit no tile-parts")
            body[at : at + size] = length.to_bytes(size, "big")
        new[segment.start] = first + bytes(body)
    if new and left:
        raise ObjectRefused("a JPEG 2000 frame has lengths that fit no tile-parts")
    return new
