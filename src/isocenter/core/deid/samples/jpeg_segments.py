"""Cuts what is no image out of JPEG and JPEG-LS codestreams, without decoding them.

Comments and application segments go: they hold free text, Exif, thumbnails, profiles (ISO 10918-1
B.2.4.5, B.2.4.6; ISO 14495-1 C.2.4). A few of them say how the samples are to be read, and stay
with the bytes that say it and no other: JFIF and Adobe (colours), and in JPEG-LS SPIFF's header
and HP's colour transform. What stands behind the end of the image goes as well.
"""

from __future__ import annotations

import re

from isocenter.core.deid.dataset.byte_ranges import Kept, Piece
from isocenter.core.deid.dataset.elements import Buffer
from isocenter.core.deid.dataset.replacing import ObjectRefused

START = b"\xff\xd8"
_END, _SCAN, _COMMENT, _JPEG_LS_FRAME, _JPEG_LS_PRESET = 0xD9, 0xDA, 0xFE, 0xF7, 0xF8
_APPLICATION = range(0xE0, 0xF0)
#: Frame headers, tables, scans, restart interval, number of lines, hierarchical ones.
_CODING = frozenset((*range(0xC0, 0xC8), *range(0xC9, 0xD0), *range(0xDA, 0xE0)))
# What ends a scan: in JPEG a byte FF of the data has 00 behind it, in JPEG-LS a bit 0.
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_AFTER_LS_SCAN = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
#: (marker, first bytes, least length, what stays of the payload in bytes, what is put behind it).
_NEEDED = (
    (0xE0, b"JFIF\0", 16, 12, b"\0\0"),  # without its thumbnail
    (0xEE, b"Adobe", 14, 12, b""),
    (0xE8, b"mrfx", 7, 5, b""),  # HP's colour transform
    (0xE8, b"SPIFF\0", 32, 30, b""),
    (0xE8, b"\0\0\0\1\xff\xd8", 8, 6, b""),  # end of SPIFF's directory
)


def cut_jpeg(data: Buffer, start: int, end: int) -> list[Piece]:
    """What stays of the codestream between two positions.

    Raises:
        ObjectRefused: it is none, is cut off, or has segments that nobody knows.
    """
    kept = Kept()
    kept.keep(start, start + 2)
    position, after_scan = start + 2, _AFTER_SCAN
    while True:
        marker, position = _marker(data, position, end)
        if marker == _END:
            kept.keep(position, position + 2)
            return kept.pieces
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        after = position + 2 + length
        if length < 2 or after > end:
            raise ObjectRefused("a JPEG frame is cut off")
        if marker in _APPLICATION or marker == _COMMENT:
            _application(kept, marker, data, position, after)
        elif marker in _CODING or marker in (_JPEG_LS_FRAME, _JPEG_LS_PRESET):
            kept.keep(position, after)
        else:
            raise ObjectRefused("a JPEG frame has a segment of an unknown kind")
        position = after
        if marker == _JPEG_LS_FRAME:
            after_scan = _AFTER_LS_SCAN
        elif marker == _SCAN:
            found = after_scan.search(data, position, end)
            if found is None:
                raise ObjectRefused("a JPEG frame has no end")
            kept.keep(position, found.start())
            position = found.start()


def _marker(data: Buffer, position: int, end: int) -> tuple[int, int]:
    """The next marker and where it is; bytes to fill before it are left out."""
    while position + 2 <= end and data[position : position + 2] == b"\xff\xff":
        position += 1
    if position + 2 > end or data[position] != 0xFF:
        raise ObjectRefused("a JPEG frame is broken")
    return data[position + 1], position


def _application(kept: Kept, marker: int, data: Buffer, position: int, after: int) -> None:
    payload = data[position + 4 : after]
    for known, first, least, size, behind in _NEEDED:
        if marker == known and payload.startswith(first) and len(payload) + 2 >= least:
            new = payload[:size] + behind
            if new == payload:
                kept.keep(position, after)
            else:
                length = (len(new) + 2).to_bytes(2, "big")
                kept.write(bytes((0xFF, marker)) + length + new)
            return
