"""Answers that are made while they are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async


async def threaded(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each piece made in a thread: the server would gather all of them first otherwise."""
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece
