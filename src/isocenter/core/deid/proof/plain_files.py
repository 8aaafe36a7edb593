"""Searches files that are no DICOM for what identifies a study: pictures, volumes, meshes, texts.

Looked at are the name and everything that is text: headers of NIfTI, NRRD and STL, the chunks and
segments of PNG and JPEG beside their samples, and JSON and plain text in full. Voxels, pixels and
triangles are not text. A file of another kind cannot be searched, and is told of as unreadable.
"""

from __future__ import annotations

import gzip
import json
import re
import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from isocenter.core.deid.policy import DEFAULT_POLICY, Policy
from isocenter.core.deid.proof.identifiers import Identifiers
from isocenter.core.deid.proof.searching import Search, normalized
from isocenter.core.deid.text.lexicon import Lexicon

_PNG = b"\x89PNG\r\n\x1a\n"
_GZIP = b"\x1f\x8b"
_JPEG = b"\xff\xd8\xff"
_NRRD = b"NRRD000"
_NIFTI = {348: (b"n+1\0", b"ni1\0"), 540: (b"n+2\0", b"ni2\0")}  # size of header: magic
_STL_HEADER, _TRIANGLE = 80, 50  # bytes
_MOST_TEXT = 1 << 28  # bytes; what is larger is no text that a step makes
_LONG_NUMBER = 7  # digits
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")


class PlainFinding(NamedTuple):
    """Where something was found: ``file name``, ``header``, ``text``, ``file``; and its kind."""

    where: str
    kind: str


class _Unreadable(Exception):
    """The file is of no kind that can be searched, or broken."""


class PlainSearch:
    """Searches the files of one study."""

    def __init__(self, identifiers: Identifiers, policy: Policy = DEFAULT_POLICY) -> None:
        self._matcher = identifiers.matcher(policy)
        self._search = Search(self._matcher, Lexicon.load())
        self._encoded = sorted(identifiers.encoded)

    def check(self, path: Path, name: str) -> list[PlainFinding]:
        """What is found in a file and in the name that it leaves by.

        Raises:
            OSError: it cannot be read.
        """
        found = {
            PlainFinding("file name", span.kind) for span in self._matcher.find(normalized(name))
        }
        try:
            found.update(self._in_file(path))
        except (_Unreadable, EOFError, zlib.error, struct.error, gzip.BadGzipFile):
            found.add(PlainFinding("file", "unreadable"))
        return sorted(found)

    def _in_file(self, path: Path) -> Iterator[PlainFinding]:
        with path.open("rb") as file:
            head = file.read(1024)
        if head.startswith(_GZIP):
            yield from self._in_header(_gzip_header(head))
            with gzip.open(path) as unpacked:
                inner = unpacked.read(1024)
                if _nifti_size(inner) is None:
                    raise _Unreadable
                yield from self._in_header(inner + unpacked.read(_rest_of_nifti(inner)))
            return
        for is_kind, pieces in _KINDS:
            if is_kind(head, path):
                for piece in pieces(path):
                    yield from self._in_header(piece)
                return
        yield from self._in_text_file(path)

    def _in_text_file(self, path: Path) -> Iterator[PlainFinding]:
        if path.stat().st_size > _MOST_TEXT:
            raise _Unreadable
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise _Unreadable from None
        if _CONTROL.search(text):
            raise _Unreadable
        texts = _strings(text)
        if texts is None:
            kinds = {span.kind for span in self._matcher.find(normalized(text), six_digits=False)}
        else:
            kinds = {s.kind for value in texts for s in self._search.spans(value, "", "LT")}
        yield from (PlainFinding("text", kind) for kind in kinds)

    def _in_header(self, raw: bytes) -> Iterator[PlainFinding]:
        """Bytes with texts in them, in whatever coding."""
        kinds = {"name" for piece in self._encoded if piece in raw}
        readings = [raw.decode("latin-1"), raw.decode("utf-8", "ignore")]
        if b"\0" in raw:
            readings.append(raw.replace(b"\0", b"").decode("latin-1"))  # two bytes a letter
        for text in dict.fromkeys(readings):
            spans = self._matcher.find(unicodedata.normalize("NFC", text), six_digits=False)
            kinds |= {span.kind for span in spans}
        yield from (PlainFinding("header", kind) for kind in kinds)


def _strings(text: str) -> list[str] | None:
    """Names, texts and long whole numbers of JSON; None where it is none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found: list[str] = []
    waiting: list[Any] = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            found.append(normalized(value))
        elif isinstance(value, int) and len(str(abs(value))) >= _LONG_NUMBER:
            found.append(str(abs(value)))
    return found


def _gzip_header(head: bytes) -> bytes:
    """Name and comment of a gzip member (RFC 1952 2.3)."""
    flags, place = head[3], 10
    if flags & 4:
        place += 2 + int(struct.unpack_from("<H", head, place)[0])
    start = place
    for flag in (8, 16):
        if flags & flag:
            end = head.find(b"\0", place)
            if end < 0:
                raise _Unreadable
            place = end + 1
    return head[start:place]


def _nifti_size(head: bytes) -> tuple[str, int] | None:
    """Byte order and size of the header of a NIfTI file; None where it is none."""
    for order in "<>":
        size = struct.unpack_from(f"{order}i", head)[0] if len(head) >= 4 else 0
        magic = head[344:348] if size == 348 else head[4:8]
        if magic in _NIFTI.get(size, ()):
            return order, size
    return None


def _rest_of_nifti(head: bytes) -> int:
    """Bytes between what was read and the voxels: extensions."""
    found = _nifti_size(head)
    if found is None:
        raise _Unreadable
    order, size = found
    if size == 348:
        offset = int(struct.unpack_from(f"{order}f", head, 108)[0])
    else:
        offset = int(struct.unpack_from(f"{order}q", head, 168)[0])
    return max(0, min(offset, _MOST_TEXT) - len(head))


def _nifti(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        head = file.read(1024)
        found = _nifti_size(head)
        if found is None:
            raise _Unreadable
        rest = file.read(_rest_of_nifti(head))
        yield head[: found[1]] if not rest else head + rest


def _nrrd(path: Path) -> Iterator[bytes]:
    """The header: lines to the first empty one; the data after it are voxels."""
    with path.open("rb") as file:
        head = file.read(1 << 20)
    end = head.find(b"\n\n")
    if end < 0 or b"\ndata file:" in head[:end] or b"\ndatafile:" in head[:end]:
        raise _Unreadable
    yield head[:end]
    data = head[end + 2 : end + 1024]
    if data.startswith(_GZIP):
        yield _gzip_header(data)


def _stl(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield file.read(_STL_HEADER)


def _is_stl(head: bytes, path: Path) -> bool:
    if len(head) < _STL_HEADER + 4:
        return False
    count = int(struct.unpack_from("<L", head, _STL_HEADER)[0])
    return path.stat().st_size == _STL_HEADER + 4 + _TRIANGLE * count


def _png(path: Path) -> Iterator[bytes]:
    """Every chunk but the samples; compressed text unpacked (PNG 11.3.3)."""
    with path.open("rb") as file:
        file.read(len(_PNG))
        while head := file.read(8):
            length, kind = struct.unpack(">L4s", head)
            if kind in (b"IDAT", b"fdAT"):
                file.seek(length + 4, 1)
                continue
            data = file.read(length)
            file.seek(4, 1)
            yield data
            if kind in (b"zTXt", b"iTXt", b"iCCP"):
                yield from _unpacked(data, kind)


def _unpacked(data: bytes, kind: bytes) -> Iterator[bytes]:
    _, _, rest = data.partition(b"\0")
    if kind == b"iTXt":
        if rest[:1] != b"\1":
            return
        rest = rest[2:].split(b"\0", 2)[-1]
    else:
        rest = rest[1:]
    yield zlib.decompressobj().decompress(rest, _MOST_TEXT)


def _jpeg(path: Path) -> Iterator[bytes]:
    """Comments and application segments up to the samples, and what stands behind them."""
    data = path.read_bytes()
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        length = int(struct.unpack_from(">H", data, place + 2)[0])
        if data[place + 1] == 0xFE or 0xE0 <= data[place + 1] <= 0xEF:
            yield data[place + 4 : place + 2 + length]
        place += 2 + length
    end = data.rfind(b"\xff\xd9")
    if end < 0:
        raise _Unreadable
    yield data[end + 2 :]


_Kind = tuple[Callable[[bytes, Path], bool], Callable[[Path], Iterator[bytes]]]
_KINDS: tuple[_Kind, ...] = (
    (lambda head, path: head.startswith(_PNG), _png),
    (lambda head, path: head.startswith(_JPEG), _jpeg),
    (lambda head, path: head.startswith(_NRRD), _nrrd),
    (lambda head, path: _nifti_size(head) is not None, _nifti),
    (_is_stl, _stl),
)
