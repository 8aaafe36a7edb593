"""Bytes on their way out: pieces of files and of memory, read ahead by one piece.

A file is opened and checked when its turn comes. One that vanished or is shorter than the index
says breaks the transfer: the connection ends before the announced length or the last boundary,
so that nobody takes what came for the whole.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from isocenter.core.errors import IsocenterError

log = structlog.get_logger(__name__)

PIECE_BYTES = 1 << 20
#: Name of the server's extension of the ASGI scope: `runtime.web.straight.StraightSender`.
STRAIGHT = "isocenter.straight"
_reading = ThreadPoolExecutor(8, "dicomweb-read")
_making = ThreadPoolExecutor(4, "dicomweb-make")  # what takes long must not keep files waiting


class TransferBroken(IsocenterError):
    """A file is not (any more) what the index says; what was sent so far is not the whole."""


@dataclass(frozen=True)
class FileSlice:
    """Bytes of a file.

    Attributes:
        offset: where they begin.
        length: how many.
        file_size: how long the file has to be; None: not looked at.
    """

    path: Path
    offset: int
    length: int
    file_size: int | None = None

    def __len__(self) -> int:
        return self.length


Content = bytes | FileSlice


def whole_file(path: Path, size: int) -> FileSlice:
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
        for piece in _read(content) if isinstance(content, FileSlice) else (content,):
            waiting.append(piece)
            length += len(piece)
            if length >= PIECE_BYTES:
                yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
                waiting, length = [], 0
    if waiting:
        yield b"".join(waiting)


def opened(wanted: FileSlice) -> FileIO:
    """The file, which has the bytes that are wanted; to be closed by the caller.

    Raises:
        TransferBroken: it is gone or has another size.
    """
    try:
        stream = FileIO(wanted.path)
    except OSError as error:
        raise TransferBroken(f"a file cannot be read: {error.strerror}") from None
    size = os.fstat(stream.fileno()).st_size
    if wanted.file_size not in (None, size) or size < wanted.offset + wanted.length:
        stream.close()
        raise TransferBroken("a file has not the size that the index knows")
    return stream


def _read(wanted: FileSlice) -> Iterator[bytes]:
    try:
        with opened(wanted) as stream:
            stream.seek(wanted.offset)
            left = wanted.length
            while left:
                piece = stream.read(min(left, PIECE_BYTES))
                if not piece:
                    raise TransferBroken("a file became shorter while it was sent")
                left -= len(piece)
                yield piece
    except OSError as error:
        raise TransferBroken(f"a file cannot be read: {error.strerror}") from None


def streamed(
    request: HttpRequest,
    content: Sequence[Content] | Iterator[bytes],
    *,
    content_type: str,
    length: int | None = None,
    is_slow: bool = False,
) -> HttpResponseBase:
    """An answer that is made while it is sent, in pieces; each in a thread, one ahead.

    Connections of the database are given back before the first piece and after each, so that a
    slow reader keeps none: a piece may ask, but no cursor lasts from one to the next.

    Args:
        content: files and memory, which go straight to the socket where the server offers that;
            or pieces that are made one after the other.
        length: bytes in all, where that is known; None: the answer is chunked.
        is_slow: a piece takes more than reading it.
    """
    pieces = pieces_of(content) if isinstance(content, Sequence) else content
    if request.method == "HEAD":
        response: HttpResponseBase = HttpResponse(content_type=content_type)
    elif not isinstance(request, ASGIRequest):
        response = StreamingHttpResponse(pieces, content_type=content_type)
    else:
        straight = request.scope.get("extensions", {}).get(STRAIGHT)
        if straight and isinstance(content, Sequence) and (length or 0) >= PIECE_BYTES:
            coming = _straight(content, straight)
        else:
            coming = _ahead(pieces, _making if is_slow else _reading)
        response = StreamingHttpResponse(coming, content_type=content_type)
    if length is not None:
        response.headers["Content-Length"] = str(length)
    return response


async def _straight(content: Sequence[Content], straight: Any) -> AsyncIterator[bytes]:
    """Past the event loop as far as that goes, and through it what is left."""
    await sync_to_async(_give_back)()
    try:
        left = await straight(content)
    except TransferBroken as error:
        raise _broken(error) from None
    if left:
        async for piece in _ahead(pieces_of(left), _reading):
            yield piece


async def _ahead(pieces: Iterator[bytes], executor: ThreadPoolExecutor) -> AsyncIterator[bytes]:
    """While one piece is sent, the next is made. A reader that is slow is waited for."""
    await sync_to_async(_give_back)()
    loop = asyncio.get_running_loop()

    def following() -> bytes | None:
        try:
            return next(pieces, None)
        finally:
            _give_back()  # of this thread, which lasts

    coming = loop.run_in_executor(executor, following)
    try:
        # A reader who leaves cancels this wait, never the thread that is at the piece.
        while (piece := await asyncio.shield(coming)) is not None:
            coming = loop.run_in_executor(executor, following)
            yield piece
    except (IsocenterError, OSError) as error:
        raise _broken(error) from None
    finally:
        # Whoever left before the end: what is at work ends before its files are closed.
        await asyncio.shield(_ended(coming, pieces, executor))


def _broken(error: Exception) -> TransferBroken:
    log.error("transfer_broken", reason=str(error.args[0]) if error.args else "")
    return TransferBroken("the transfer ends here")


async def _ended(
    coming: asyncio.Future[bytes | None], pieces: Iterator[bytes], executor: ThreadPoolExecutor
) -> None:
    await asyncio.wait([coming])
    if not coming.cancelled():
        coming.exception()  # taken note of
    close = getattr(pieces, "close", None)
    if close is not None:
        await asyncio.get_running_loop().run_in_executor(executor, close)


def _give_back() -> None:
    if not connection.in_atomic_block:
        connection.close()


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
            else:
                found.append(content[begin:end])
        first -= size
    return found
