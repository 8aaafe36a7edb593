"""Bytes on their way out: pieces of files and of memory, read ahead by one piece.

A file is opened and checked when its turn comes. One that vanished or is shorter than the index
says breaks the transfer: the connection ends before the announced length or the last boundary,
so that nobody takes what came for the whole.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from isocenter.core.errors import DicomError
from isocenter.runtime.web.streaming import (
    TransferBroken,
    Work,
    ahead,
    broken,
    give_back_later,
)

PIECE_BYTES = 1 << 20
#: Name of the server's extension of the ASGI scope: `runtime.web.straight.StraightSender`.
STRAIGHT = "isocenter.straight"


@dataclass(frozen=True)
class FileSlice:
    """Bytes of a file.

    Attributes:
        offset: where they begin.
        length: how many.
        file_size: how long the file has to be; None: not looked at.
    """

    path: Path | str
    offset: int
    length: int
    file_size: int | None = None

    def __len__(self) -> int:
        return self.length


@dataclass(frozen=True)
class Made:
    """Bytes that are made of a file while they are sent, a piece at a time.

    Attributes:
        make: gives the bytes from a place on, so many, in pieces of about a megabyte.
        length: how many.
        offset: where they begin.
    """

    make: Callable[[int, int], Iterator[bytes]]
    length: int
    offset: int = 0

    def __len__(self) -> int:
        return self.length

    def pieces(self) -> Iterator[bytes]:
        """
        Raises:
            TransferBroken: what they are made of is not what it was.
        """
        made = 0
        try:
            for piece in self.make(self.offset, self.length):
                made += len(piece)
                yield piece
        except (DicomError, OSError) as error:
            text = f"a value cannot be made: {type(error).__name__}"
            raise TransferBroken(text, file=getattr(error, "filename", None) or "") from None
        if made != self.length:
            raise TransferBroken("a value has not the length that was announced")


Content = bytes | FileSlice | Made


def whole_file(path: Path | str, size: int) -> FileSlice:
    """A file from end to end, whose size the index knows."""
    return FileSlice(path, 0, size, size)


def length_of(contents: Iterable[Content]) -> int:
    """Bytes in all."""
    return sum(len(each) for each in contents)


def pieces_of(contents: Iterable[Content]) -> Iterator[bytes]:
    """The bytes, about a megabyte at a time; little ones are put together.

    Raises:
        TransferBroken: a file is gone or has another size.
    """
    waiting: list[bytes] = []
    length = 0
    for content in contents:
        for piece in _pieces(content):
            waiting.append(piece)
            length += len(piece)
            if length >= PIECE_BYTES:
                yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
                waiting, length = [], 0
    if waiting:
        yield b"".join(waiting)


def _pieces(content: Content) -> Iterable[bytes]:
    if isinstance(content, FileSlice):
        return _read(content)
    return content.pieces() if isinstance(content, Made) else (content,)


def opened(wanted: FileSlice) -> int:
    """Descriptor of the file, which has the bytes that are wanted; to be closed by the caller.

    Raises:
        TransferBroken: it is gone or has another size.
    """
    try:
        descriptor = os.open(wanted.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(wanted, error) from None
    size = os.fstat(descriptor).st_size
    if wanted.file_size not in (None, size) or size < wanted.offset + wanted.length:
        os.close(descriptor)
        text = "a file has not the size that the index knows"
        raise TransferBroken(text, file=wanted.path)
    return descriptor


def read_into(room: memoryview, descriptor: int, wanted: FileSlice, at: int) -> int:
    """Bytes of an `opened` file from a place of the slice on; how many there were.

    Raises:
        TransferBroken: none, or it cannot be read.
    """
    try:
        count = os.preadv(descriptor, [room], wanted.offset + at)
    except OSError as error:
        raise _unreadable(wanted, error) from None
    if not count:
        raise _cut_short(wanted)
    return count


def _read(wanted: FileSlice) -> Iterator[bytes]:
    descriptor = opened(wanted)
    place, end = wanted.offset, wanted.offset + wanted.length
    try:
        while place < end:
            piece = os.pread(descriptor, min(end - place, PIECE_BYTES), place)
            if not piece:
                raise _cut_short(wanted)
            place += len(piece)
            yield piece
    except OSError as error:
        raise _unreadable(wanted, error) from None
    finally:
        os.close(descriptor)


def _unreadable(wanted: FileSlice, error: OSError) -> TransferBroken:
    return TransferBroken(f"a file cannot be read: {error.strerror}", file=wanted.path)


def _cut_short(wanted: FileSlice) -> TransferBroken:
    return TransferBroken("a file became shorter while it was sent", file=wanted.path)


def streamed(
    request: HttpRequest,
    content: Sequence[Content] | Iterator[bytes],
    *,
    content_type: str,
    length: int | None = None,
    work: Work = Work.READING,
) -> HttpResponseBase:
    """An answer that is made while it is sent; in pieces as `runtime.web.streaming.ahead` says.

    Args:
        content: files and memory, which go straight to the socket where the server offers that,
            and what is made meanwhile; or pieces that are made one after the other.
        length: bytes in all, where that is known; None: the answer is chunked.
        work: what making a piece is.
    """
    files = content if isinstance(content, Sequence) else None
    pieces = pieces_of(content) if isinstance(content, Sequence) else content
    is_made = any(isinstance(each, Made) for each in files or ())
    if request.method == "HEAD":
        response: HttpResponseBase = HttpResponse(content_type=content_type)
    elif not isinstance(request, ASGIRequest):
        response = StreamingHttpResponse(pieces, content_type=content_type)
    else:
        straight = request.scope.get("extensions", {}).get(STRAIGHT)
        if straight and files is not None and not is_made and (length or 0) >= PIECE_BYTES:
            coming = _straight(files, straight)
        else:
            coming = ahead(pieces, work=Work.DRAWING if is_made else work)
        response = StreamingHttpResponse(coming, content_type=content_type)
    if length is not None:
        response.headers["Content-Length"] = str(length)
    return response


async def _straight(content: Sequence[Content], straight: Any) -> AsyncIterator[bytes]:
    """Past the event loop as far as that goes, and through it what is left."""
    await give_back_later()
    try:
        left = await straight(content)
    except TransferBroken as error:
        raise broken(error) from None
    if left:
        async for piece in ahead(pieces_of(left)):
            yield piece


def cut(contents: Sequence[Content], first: int, length: int) -> list[Content]:
    """A range of the bytes of several contents."""
    found: list[Content] = []
    for content in contents:
        size = len(content)
        begin, end = max(0, first), min(size, first + length)
        if begin < end:
            if isinstance(content, FileSlice):
                found.append(
                    FileSlice(content.path, content.offset + begin, end - begin, content.file_size)
                )
            elif isinstance(content, Made):
                found.append(Made(content.make, end - begin, content.offset + begin))
            else:
                found.append(content[begin:end])
        first -= size
    return found
