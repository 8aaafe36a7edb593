"""Answers that are made while they are sent: one piece ahead, and at the reader's pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import structlog
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse

from isocenter.core.errors import IsocenterError

log = structlog.get_logger(__name__)

#: Whoever takes nothing for so long has gone; a connection says so only when it breaks.
STALL_S = 600.0
_reading = ThreadPoolExecutor(8, "stream-read")
_making = ThreadPoolExecutor(4, "stream-make")  # what takes long must not keep files waiting


class TransferBroken(IsocenterError):
    """What is sent is not (any more) what was announced; what went so far is not the whole."""


def streamed(
    request: HttpRequest, pieces: Iterator[bytes], *, content_type: str, is_slow: bool = False
) -> StreamingHttpResponse:
    """A response of pieces that are made one after the other; see `ahead`.

    Django would gather what a plain iterator gives before it sends the first byte.

    Args:
        is_slow: a piece takes more than reading it.
    """
    is_asynchronous = isinstance(request, ASGIRequest)
    content = ahead(pieces, is_slow=is_slow) if is_asynchronous else pieces
    return StreamingHttpResponse(content, content_type=content_type)


async def ahead(pieces: Iterator[bytes], *, is_slow: bool = False) -> AsyncIterator[bytes]:
    """While one piece is sent, the next is made, in a thread; a slow reader slows the producer.

    Connections of the database are given back before the first piece and after each, so that a
    slow reader keeps none: a piece may ask, but no cursor lasts from one to the next. A reader
    that takes nothing for `STALL_S` is given up, and what the pieces hold is freed.

    Raises:
        TransferBroken: a piece cannot be made.
    """
    await give_back_later()
    loop = asyncio.get_running_loop()
    executor = _making if is_slow else _reading
    task = asyncio.current_task()

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
            # The wait is where this generator is not: in whoever sends the piece.
            given_up = loop.call_later(STALL_S, _give_up, task)
            try:
                yield piece
            finally:
                given_up.cancel()
    except (IsocenterError, OSError) as error:
        raise broken(error) from None
    finally:
        # Whoever left before the end: what is at work ends before its files are closed.
        await asyncio.shield(_ended(coming, pieces, executor))


def broken(error: Exception) -> TransferBroken:
    """What is raised in place of an error in the middle of an answer, which is logged."""
    log.error("transfer_broken", reason=str(error.args[0]) if error.args else "")
    return TransferBroken("the transfer ends here")


async def give_back_later() -> None:
    """Give back the connection of the request's thread."""
    await sync_to_async(_give_back)()


async def _ended(
    coming: asyncio.Future[bytes | None], pieces: Iterator[bytes], executor: ThreadPoolExecutor
) -> None:
    await asyncio.wait([coming])
    if not coming.cancelled():
        coming.exception()  # taken note of
    close = getattr(pieces, "close", None)
    if close is not None:
        await asyncio.get_running_loop().run_in_executor(executor, close)


def _give_up(task: asyncio.Task[object] | None) -> None:
    if task is not None:
        task.cancel()


def _give_back() -> None:
    if not connection.in_atomic_block:
        connection.close()
