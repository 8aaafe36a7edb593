"""Answers that are made while they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse

#: Whoever takes nothing for so long has gone; a connection says so only when it breaks.
STALL_S = 600.0


def streamed(
    request: HttpRequest, pieces: Iterator[bytes], *, content_type: str
) -> StreamingHttpResponse:
    """A response of pieces that are made one after the other.

    Django would gather what a plain iterator gives before it sends the first byte; so each piece
    is made in a thread, when the one before it was taken: a slow reader slows the producer. The
    pieces must not ask the database: their connection is given back. A reader that takes nothing
    for `STALL_S` is given up, and what the pieces hold is freed.
    """
    is_asynchronous = isinstance(request, ASGIRequest)
    content = _threaded(pieces) if is_asynchronous else pieces
    return StreamingHttpResponse(content, content_type=content_type)


async def _threaded(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    await sync_to_async(_give_back)()
    following = sync_to_async(lambda: next(pieces, None))
    task = asyncio.current_task()
    try:
        while (piece := await following()) is not None:
            # The wait is where this generator is not: in whoever sends the piece.
            given_up = asyncio.get_running_loop().call_later(STALL_S, _give_up, task)
            try:
                yield piece
            finally:
                given_up.cancel()
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            await asyncio.shield(sync_to_async(close)())


def _give_up(task: asyncio.Task[object] | None) -> None:
    if task is not None:
        task.cancel()


def _give_back() -> None:
    if not connection.in_atomic_block:
        connection.close()
