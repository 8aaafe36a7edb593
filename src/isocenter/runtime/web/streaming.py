"""Answers that are made while they are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse


def streamed(
    request: HttpRequest, pieces: Iterator[bytes], *, content_type: str
) -> StreamingHttpResponse:
    """A response of pieces that are made one after the other.

    Django would gather what a plain iterator gives before it sends the first byte; so each piece
    is made in a thread. The pieces must not ask the database: their connection is given back.
    """
    is_asynchronous = isinstance(request, ASGIRequest)
    content = _threaded(pieces) if is_asynchronous else pieces
    return StreamingHttpResponse(content, content_type=content_type)


async def _threaded(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    await sync_to_async(_give_back)()
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece


def _give_back() -> None:
    if not connection.in_atomic_block:
        connection.close()
