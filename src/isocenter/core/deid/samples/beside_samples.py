"""What stands beside samples where only samples belong, as the verifier reads it.

It shares nothing with what cuts such bytes away, so that a mistake there is seen here.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator, Mapping

Buffer = bytes | mmap.mmap

_JPEG_SEGMENT = re.compile(rb"\xff[\xe0-\xef\xfe](..)", re.DOTALL)
_J2K_COMMENT = re.compile(rb"\xff\x64(..)", re.DOTALL)
_J2K_DATA = b"\xff\x93"
_J2K_TILE_PART = re.compile(rb"\xff\x90\0\x0a")
_END = b"\xff\xd9"
_RLE_HEADER = 64
_JPEG, _J2K = b"\xff\xd8", b"\xff\x4f"
_ROWS, _COLUMNS, _FRAMES = 0x00280010, 0x00280011, 0x00280008
_SAMPLES, _BITS = 0x00280002, 0x00280100
_FLOAT_BITS = {0x7FE00008: 32, 0x7FE00009: 64}


def behind_native(
    level: Mapping[int, bytes], tag: int, data: Buffer, start: int, end: int
) -> bytes:
    """What is behind the samples of a native value (PS3.5 8.1.1) and is not zero.

    Args:
        level: values of the same data set or item, by tag, in little endian.
        tag: Pixel Data, or one of its float variants.
        data: in which the value is, from ``start`` to ``end``.
    """
    numbers = [int.from_bytes(level.get(one, b"")[:4], "little") for one in (_ROWS, _COLUMNS)]
    numbers.append(int.from_bytes(level.get(_SAMPLES, b"\1")[:2], "little") or 1)
    bits = _FLOAT_BITS.get(tag) or int.from_bytes(level.get(_BITS, b"")[:2], "little")
    frames = level.get(_FRAMES, b"1").strip(b" \0") or b"1"
    size = bits * (int(frames) if frames.isdigit() else 0)
    for number in numbers:
        size *= number
    return data[min(start + (size + 7) // 8, end) : end].strip(b"\0")


def beside_encoded(data: Buffer, fragments: Iterable[tuple[int, int]]) -> bytes:
    """Comments, application segments and what is behind the end of encoded frames; each once."""
    kind = b""
    found: dict[bytes, None] = {}
    for start, end in fragments:
        first = data[start : start + 3]
        if first[:2] in (_JPEG, _J2K) and first[2:] == b"\xff":
            kind = first[:2]
        parts = _of_rle(data, start) if not kind else _of_codestream(data, start, end, kind)
        found.update(dict.fromkeys(part for part in parts if part.strip(b"\0")))
    return b"\0\0".join(found)


def _of_rle(data: Buffer, start: int) -> Iterator[bytes]:
    """The part of the header that no segment needs (PS3.5 G.5)."""
    count = data[start] if data[start : start + 1] else 0
    yield data[start + 4 + 4 * min(count, 15) : start + _RLE_HEADER]


def _of_codestream(data: Buffer, start: int, end: int, kind: bytes) -> Iterator[bytes]:
    if kind == _JPEG:
        yield from _payloads(_JPEG_SEGMENT, data, start, end)
    else:
        stop = data.find(_J2K_DATA, start, end)
        yield from _payloads(_J2K_COMMENT, data, start, end if stop < 0 else stop)
        for part in _J2K_TILE_PART.finditer(data, start, end):
            stop = data.find(_J2K_DATA, part.end(), end)
            yield from _payloads(_J2K_COMMENT, data, part.end(), end if stop < 0 else stop)
    last = data.rfind(_END, start, end)
    if last >= 0:
        yield data[last + 2 : end]


def _payloads(pattern: re.Pattern[bytes], data: Buffer, start: int, end: int) -> Iterator[bytes]:
    for found in pattern.finditer(data, start, end):
        stop = found.start() + 2 + int.from_bytes(found[1], "big")
        yield data[found.end() : min(stop, end)]
