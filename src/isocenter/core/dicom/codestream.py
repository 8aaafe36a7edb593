"""What an encoded frame says of its own size, read before any codec sees it.

Codecs allocate what the codestream says, whatever the data set says; so the two are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

from isocenter.core.errors import PixelError

_J2K_START = b"\xff\x4f\xff\x51"  # SOC, SIZ
_NO_FRAME_HEADER = frozenset((0xC4, 0xC8, 0xCC))  # DHT, JPG, DAC
_STANDALONE = frozenset((0x01, 0xFF, *range(0xD0, 0xD9)))  # TEM, fill, RST, SOI
_JPEG_LS_FRAME = 0xF7
_SEARCH = 4096


@dataclass(frozen=True, slots=True)
class FrameSize:
    """Size of a frame in its codestream: pixels, components, bits per sample.

    Attributes:
        process: marker of the JPEG frame header, which names the coding process (SOF0 is 0xC0);
            0 of JPEG 2000.
    """

    rows: int
    columns: int
    components: int
    precision: int
    process: int = 0


def frame_size(codestream: bytes) -> FrameSize:
    """Size from the frame header of a JPEG, JPEG-LS, JPEG 2000 or HTJ2K codestream.

    Raises:
        PixelError: there is none, or it is cut off.
    """
    if codestream[:2] == b"\xff\xd8":
        return _jpeg_size(codestream)
    start = codestream.find(_J2K_START, 0, _SEARCH)  # at 0, or inside JP2 boxes
    if start < 0:
        raise PixelError("an encoded frame is no JPEG, JPEG-LS or JPEG 2000 codestream")
    return _jpeg2000_size(codestream[start : start + 64])


def _jpeg_size(data: bytes) -> FrameSize:
    """ISO 10918-1 B.2.2, ISO 14495-1 C.2.2."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise PixelError("an encoded frame has a broken JPEG header")
        marker = data[position + 1]
        if marker in _STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        is_frame = 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME_HEADER
        if is_frame or marker == _JPEG_LS_FRAME:
            header = data[position + 4 : position + 10]
            if len(header) < 6:
                break
            return FrameSize(
                rows=int.from_bytes(header[1:3], "big"),
                columns=int.from_bytes(header[3:5], "big"),
                components=header[5],
                precision=header[0],
                process=marker,
            )
        position += 2 + max(2, length)
    raise PixelError("an encoded frame has no JPEG frame header")


def _jpeg2000_size(data: bytes) -> FrameSize:
    """ISO 15444-1 A.5.1."""
    if len(data) < 43:
        raise PixelError("an encoded frame has a JPEG 2000 header that is cut off")
    x_size, y_size, x_offset, y_offset = (
        int.from_bytes(data[at : at + 4], "big") for at in (8, 12, 16, 20)
    )
    return FrameSize(
        rows=y_size - y_offset,
        columns=x_size - x_offset,
        components=int.from_bytes(data[40:42], "big"),
        precision=(data[42] & 0x7F) + 1,
    )
