"""What stays of an encoded frame: the image, and nothing that its syntax lets one hide beside it.

Nothing is decoded to samples. A syntax whose frames can hold text that is not found here (MPEG,
H.264, H.265, JPEG XL, whatever is new) is refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from isocenter.core.deid.dataset.byte_ranges import Kept, Piece
from isocenter.core.deid.dataset.elements import Buffer
from isocenter.core.deid.dataset.replacing import ObjectRefused
from isocenter.core.deid.samples import jpeg2000_segments, jpeg_segments
from isocenter.core.deid.samples.sample_lengths import ImageShape
from isocenter.core.dicom.pixels import RLE_LOSSLESS

Cutter = Callable[[Buffer, int, int, ImageShape], list[Piece]]

_JPEG = "1.2.840.10008.1.2.4."
#: JPEG, JPEG-LS, JPEG 2000 and HTJ2K (PS3.6 A), the retired ones too.
_JPEG_FAMILY = frozenset(_JPEG + str(n) for n in (*range(50, 67), 70, *range(80, 82), 90, 91, 92,
                                                  93, 201, 202, 203))  # fmt: skip
_ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
_DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_STEP = 1 << 20  # bytes that are inflated at once
_RLE_HEADER, _RLE_SEGMENTS = 64, 15


def cutter_of(transfer_syntax_uid: str) -> Cutter:
    """Cuts frames of a transfer syntax: (data, start, end, shape) → what stays.

    Raises:
        ObjectRefused: nobody here knows what such frames can hold.
    """
    if transfer_syntax_uid in _JPEG_FAMILY:
        return _jpeg
    known: dict[str, Cutter] = {
        RLE_LOSSLESS: _rle,
        _ENCAPSULATED_UNCOMPRESSED: _uncompressed,
        _DEFLATED_FRAMES: _deflated,
    }
    if transfer_syntax_uid not in known:
        raise ObjectRefused("encapsulated frames of a kind that can hold text unseen")
    return known[transfer_syntax_uid]


def begins_frame(data: Buffer, start: int) -> bool:
    """Whether a codestream of the JPEG family begins here."""
    first = data[start : start + 4]
    return first[:3] == jpeg_segments.START + b"\xff" or first == jpeg2000_segments.START


def _jpeg(data: Buffer, start: int, end: int, _: ImageShape) -> list[Piece]:
    if data[start : start + 4] == jpeg2000_segments.START:
        return jpeg2000_segments.cut_jpeg2000(data, start, end)
    if data[start : start + 2] == jpeg_segments.START:
        return jpeg_segments.cut_jpeg(data, start, end)
    raise ObjectRefused("a frame is no codestream of the JPEG family")


def _uncompressed(data: Buffer, start: int, end: int, shape: ImageShape) -> list[Piece]:
    return [(start, min(end, start + shape.frame_bytes))]


def _deflated(data: Buffer, start: int, end: int, shape: ImageShape) -> list[Piece]:
    """PS3.5 A.4.13: a raw deflate stream (RFC 1951) that holds a frame's samples and no more."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data_left, inflated = data[start:end], 0
    try:
        while data_left and not inflater.eof and inflated <= shape.frame_bytes + 1:
            inflated += len(inflater.decompress(data_left, _STEP))
            data_left = inflater.unconsumed_tail
    except zlib.error:
        raise ObjectRefused("a deflated frame is broken") from None
    if not inflater.eof or inflated > shape.frame_bytes + 1:
        raise ObjectRefused("a deflated frame is cut off, or has more than its samples")
    return [(start, end - len(inflater.unused_data))]


def _rle(data: Buffer, start: int, end: int, shape: ImageShape) -> list[Piece]:
    """PS3.5 G: a header of offsets and segments of one byte plane each, without what is between."""
    header = data[start : start + _RLE_HEADER]
    if len(header) < _RLE_HEADER:
        raise ObjectRefused("an RLE frame is cut off")
    numbers = [int.from_bytes(header[at : at + 4], "little") for at in range(0, _RLE_HEADER, 4)]
    count, offsets = numbers[0], numbers[1:]
    places = [start + offset for offset in offsets[:count]]
    if not 1 <= count <= _RLE_SEGMENTS or sorted(places) != places or places[-1] > end:
        raise ObjectRefused("an RLE frame has a broken header")
    stops = [*places[1:], end]
    ends = [
        _rle_end(data, place, stop, shape.rows * shape.columns)
        for place, stop in zip(places, stops, strict=True)
    ]
    is_clean = places[0] == start + _RLE_HEADER and not any(offsets[count:])
    is_clean = is_clean and not any(
        data[last:stop].strip(b"\0") for last, stop in zip(ends, stops, strict=True)
    )
    if is_clean:
        return [(start, end)]
    kept = Kept()
    at, new_offsets = _RLE_HEADER, []
    for place, last in zip(places, ends, strict=True):
        new_offsets.append(at)
        at += last - place + (last - place) % 2
    new_offsets += [0] * (_RLE_SEGMENTS - count)
    kept.write(b"".join(number.to_bytes(4, "little") for number in (count, *new_offsets)))
    for place, last in zip(places, ends, strict=True):
        kept.keep(place, last)
        kept.write(bytes((last - place) % 2))
    return kept.pieces


def _rle_end(data: Buffer, position: int, stop: int, samples: int) -> int:
    """Where the bytes of a segment's last sample end (PS3.5 G.3.2)."""
    made = 0
    while made < samples:
        if position >= stop:
            raise ObjectRefused("an RLE segment is cut off")
        number = data[position]
        if number < 128:
            made += number + 1
            position += number + 2
        else:
            made += (257 - number) % 129  # 128 means nothing
            position += 2 if number > 128 else 1
    if position > stop:
        raise ObjectRefused("an RLE segment is cut off")
    return position
