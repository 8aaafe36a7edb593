"""Whether an image can be decoded, told by its transfer syntax and the start of its first frame.

The syntax alone does not tell: JPEG Extended may have 8 bits per sample, or 12.
"""

from __future__ import annotations

from isocenter.core.dicom.codestream import FrameSize, frame_size
from isocenter.core.dicom.frames import FramePlace, Frames, frame_bytes
from isocenter.core.dicom.pixels import (
    DECODABLE,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    RLE_LOSSLESS,
    check_codestream,
)
from isocenter.core.errors import PixelError

#: Syntaxes that are decoded, but not every image in them.
DOUBTFUL = frozenset((JPEG_BASELINE, JPEG_EXTENDED))

# A frame header comes behind tables and application data: nearly always in the first of these.
_START_BYTES = (64 << 10, 4 << 20)


def check_decodable(found: Frames) -> None:
    """See whether there is a decoder for an image; nothing is decoded.

    Raises:
        PixelError: there is none, or its first frame is not there, or contradicts the data set.
        OSError: the file cannot be read.
    """
    header = found.header
    if header.syntax not in DECODABLE:
        raise PixelError(f"no decoder for transfer syntax {header.syntax}")
    if not found.in_file:
        return
    (place,) = found.places((0,))
    if found.is_native or header.syntax == RLE_LOSSLESS:
        return
    check_codestream(
        _size(found, place),
        header.syntax,
        rows=header.rows,
        columns=header.columns,
        samples=header.samples,
        bits_allocated=header.bits_allocated,
    )


def _size(found: Frames, place: FramePlace) -> FrameSize:
    short, long = _START_BYTES
    try:
        return frame_size(frame_bytes(found.header.path, _first(place, short)))
    except PixelError:
        if place.size <= short:
            raise
        return frame_size(frame_bytes(found.header.path, _first(place, long)))


def _first(place: FramePlace, most: int) -> FramePlace:
    ranges = []
    for offset, length in place.ranges:
        ranges.append((offset, min(length, most)))
        most -= ranges[-1][1]
        if not most:
            break
    return FramePlace(tuple(ranges))
