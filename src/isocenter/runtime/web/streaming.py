"""Answers that are made while they are sent: one piece ahead, and at the reader's pace."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse

from isocenter.core.errors import IsocenterError

log = structlog.get_logger(__name__)

#: Whoever takes nothing for so long has gone; a connection says so only when it breaks.
STALL_S = 600.0
#: The same for what is transcoded: its reader holds a place of others.
PLACE_STALL_S = 60.0
# Of that, so much has to be taken within each of these times, as of bodies that are sent to us: a
# hospital's line of 50 KB/s passes, even when it stands still for 50 s of 60.
_LEAST_BYTES_PER_S = 8 << 10
#: Files transcoded at once for answers; each takes a processor.
TRANSCODERS = min(4, len(os.sched_getaffinity(0)))


class Work(Enum):
    """What making a piece of an answer is. Each kind has threads of its own: what takes seconds
    must not keep waiting what takes milliseconds."""

    READING = "read"
    PACKING = "pack"  # ZIPs, exports
    DRAWING = "draw"  # pictures, decoded frames
    TRANSCODING = "transcode"


_AT_ONCE = {
    Work.READING: 8,
    Work.PACKING: 4,
    Work.DRAWING: 4,
    Work.TRANSCODING: TRANSCODERS,
}
_threads = {
    work: ThreadPoolExecutor(most, f"stream-{work.value}") for work, most in _AT_ONCE.items()
}
_closing = ThreadPoolExecutor(2, "stream-close")  # waits for nobody's pieces
_answer = threading.local()


class TransferBroken(IsocenterError):
    """What is sent is not (any more) what was announced; what went so far is not the whole.

    Attributes:
        file: path of the one that is not as it should be; for the log alone.
    """

    def __init__(self, message: str, *, file: Path | str = "") -> None:
        super().__init__(message)
        self.file = file


def streamed(
    request: HttpRequest, pieces: Iterator[bytes], *, content_type: str, work: Work = Work.READING
) -> StreamingHttpResponse:
    """A response of pieces that are made one after the other; see `ahead`.

    Django would gather what a plain iterator gives before it sends the first byte.
    """
    is_asynchronous = isinstance(request, ASGIRequest)
    content = ahead(pieces, work=work) if is_asynchronous else pieces
    return StreamingHttpResponse(content, content_type=content_type)


def reader_is_gone() -> bool:
    """Whether nobody waits any more for the piece that this thread makes.

    To be asked where a piece takes long: its thread is free for others the sooner.
    """
    gone: threading.Event | None = getattr(_answer, "gone", None)
    return gone is not None and gone.is_set()


async def ahead(pieces: Iterator[bytes], *, work: Work = Work.READING) -> AsyncIterator[bytes]:
    """While one piece is sent, the next is made, in a thread; a slow reader slows the producer.

    Connections of the database are given back before the first piece and after each, so that a
    slow reader keeps none: a piece may ask, but no cursor lasts from one to the next. A reader
    that takes no piece for `STALL_S` is given up, and what the pieces hold is freed; one of what
    is transcoded, who takes less than 8 KB/s for `PLACE_STALL_S`. Of a reader who leaves, no
    piece is begun any more, and one that is being made can ask `reader_is_gone`.

    Raises:
        TransferBroken: a piece cannot be made.
    """
    await give_back_later()
    gone = threading.Event()

    def following() -> bytes | None:
        _answer.gone = gone
        try:
            return next(pieces, None)
        finally:
            _answer.gone = None
            _give_back()  # of this thread, which lasts

    coming = _threads[work].submit(following)
    try:
        # A reader who leaves cancels this wait, never the thread that is at the piece.
        while (piece := await asyncio.shield(_watched(coming))) is not None:
            coming = _threads[work].submit(following)
            for part in _parts(piece, work):
                with _patience(work):
                    yield part
        with _patience(work):
            yield b""  # is sent when what was sent before has gone
    except (IsocenterError, OSError) as error:
        raise broken(error) from None
    finally:
        # Whoever left before the end: what is at work ends before its files are closed.
        gone.set()
        await asyncio.shield(_ended(coming, pieces))


def _parts(piece: bytes, work: Work) -> Iterator[bytes]:
    """What a reader has to take while we have patience."""
    most = int(PLACE_STALL_S * _LEAST_BYTES_PER_S) if work is Work.TRANSCODING else len(piece)
    for begin in range(0, len(piece), most or 1):
        yield piece[begin : begin + most]


@contextmanager
def _patience(work: Work) -> Iterator[None]:
    """Give the reader up when this lasts too long.

    For the time in which a generator is left: the wait is in whoever sends what it gave.
    """
    most = PLACE_STALL_S if work is Work.TRANSCODING else STALL_S
    given_up = asyncio.get_running_loop().call_later(most, _give_up, asyncio.current_task())
    try:
        yield
    finally:
        given_up.cancel()


def broken(error: Exception) -> TransferBroken:
    """What is raised in place of an error in the middle of an answer, which is logged."""
    reason, file = str(error.args[0]) if error.args else "", getattr(error, "file", "")
    if isinstance(error, OSError):
        reason, file = error.strerror or type(error).__name__, error.filename
    log.error("transfer_broken", reason=reason, file=_in_archive(file))
    return TransferBroken("the transfer ends here")


def _in_archive(file: object) -> str:
    """Path as `isocenter fsck` has it: of UIDs. Other names are not ours, and may say anything."""
    archive: Path = settings.LAYOUT.archive
    path = Path(file) if isinstance(file, str | Path) else Path()
    return str(path.relative_to(archive)) if path.is_relative_to(archive) else ""


async def give_back_later() -> None:
    """Give back the connection of the request's thread."""
    await sync_to_async(_give_back)()


async def _ended(coming: Future[bytes | None], pieces: Iterator[bytes]) -> None:
    if not coming.cancel():  # it has begun
        await asyncio.wait([_watched(coming)])
    close = getattr(pieces, "close", None)
    if close is not None:
        await asyncio.get_running_loop().run_in_executor(_closing, _closed, close)


def _watched(coming: Future[bytes | None]) -> asyncio.Future[bytes | None]:
    found = asyncio.wrap_future(coming)
    found.add_done_callback(forgive)
    return found


def forgive(work: asyncio.Future[Any]) -> None:
    """Take note of what went wrong: who asked may have left, and nobody else wants to know."""
    if not work.cancelled():
        work.exception()


def _closed(close: Callable[[], None]) -> None:
    try:
        close()
    finally:
        _give_back()


def _give_up(task: asyncio.Task[object] | None) -> None:
    if task is not None:
        task.cancel()


def _give_back() -> None:
    if not connection.in_atomic_block:
        connection.close()
