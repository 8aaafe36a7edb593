"""Bodies that a view reads while they come: nothing of them is kept, and a slow view slows the
sender.

The view reads in its thread. Each step into the event loop and back brings about a megabyte, and
the next one is gathered meanwhile. Before the view has asked for the first byte, nothing is read:
it can refuse by the headers alone, and a client that waits for ``100 Continue`` sends nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

_BATCH_BYTES = 1 << 20
_BATCH_S = 5.0  # a slow sender's megabyte takes long
_IDLE_S = 60.0
# A body that comes slower holds a place of others. A hospital's line of 50 KB/s passes, even when
# it stands still for 50 s of 60; who wants to keep others out has to send as much as they.
_LEAST_BYTES_PER_S = 8 << 10
_PACE_S = 60.0
_LINGER_BYTES = 64 << 20
_LINGER_S = 5.0
_LINGER_IDLE_S = 1.0


class BodyCutOff(ConnectionError):
    """The sender has gone; or, where ``is_late``, sends nothing any more, or too slowly.

    Attributes:
        hint: what the sender can do about it.
    """

    def __init__(self, text: str, *, is_late: bool, hint: str) -> None:
        super().__init__(text)
        self.is_late = is_late
        self.hint = hint


class _Pace:
    """Bytes against the seconds that were waited for them: a slow view is no slow sender."""

    def __init__(self) -> None:
        self._waited_s = 0.0
        self._length = 0

    def is_too_slow(self, waited_s: float, length: int) -> bool:
        """Count further bytes; judged once for each `_PACE_S` of waiting."""
        self._waited_s += waited_s
        self._length += length
        if self._waited_s < _PACE_S:
            return False
        is_too_slow = self._length < _LEAST_BYTES_PER_S * self._waited_s
        self._waited_s, self._length = 0.0, 0
        return is_too_slow


class StreamedBody:
    """The body of one request, as the file that Django reads.

    Made in the event loop; `read` is for one thread, which is not the loop's.

    Args:
        receive: of ASGI.
        idle_s: longest wait for further bytes.
    """

    def __init__(self, receive: Any, *, idle_s: float = _IDLE_S) -> None:
        self._receive = receive
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._pace = _Pace()
        self._ended = asyncio.Event()  # there is no more to come
        self._is_whole = False
        self._is_gone = False
        self._is_closed = False
        self._pieces: deque[bytes] = deque()
        self._coming: Future[list[bytes]] | None = None

    async def listen(self) -> dict[str, Any]:
        """``receive`` for Django, which hears by it of a sender that has gone."""
        await self._ended.wait()
        if self._is_gone:
            return {"type": "http.disconnect"}
        message: dict[str, Any] = await self._receive()
        while not self._is_whole and message["type"] != "http.disconnect":
            message = await self._receive()  # it is late, and is to hear so
        return message

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size`` (as they came, with less copying, for -1); none at the
        end.

        Raises:
            BodyCutOff: it does not come to its end.
        """
        while not self._pieces:
            if self._is_closed or (self._ended.is_set() and self._coming is None):
                return b""
            coming = self._coming or self._gather_later()
            self._coming = None
            self._pieces.extend(coming.result(2 * self._idle_s + 10))
            if not self._ended.is_set():
                self._coming = self._gather_later()
        piece = self._pieces.popleft()
        if 0 <= size < len(piece):
            self._pieces.appendleft(piece[size:])
            piece = piece[:size]
        return piece

    def close(self) -> None:
        """Nothing more is read."""
        self._is_closed = True
        self._pieces.clear()

    @property
    def is_over(self) -> bool:
        """Whether all of it came, or its sender has gone."""
        return self._ended.is_set()

    @property
    def is_whole(self) -> bool:
        """Whether all of it came."""
        return self._is_whole

    async def drain(self) -> None:
        """Read on for a while without keeping anything.

        To close a connection on which bytes arrive is to take the answer away from the sender,
        who is still sending.
        """
        deadline = time.monotonic() + _LINGER_S
        left = _LINGER_BYTES
        try:
            if self._coming is not None:
                await asyncio.wait_for(asyncio.wrap_future(self._coming), _LINGER_S)
            while left > 0 and not self._ended.is_set() and time.monotonic() < deadline:
                left -= len(await self._next(_LINGER_IDLE_S))
        except (BodyCutOff, TimeoutError):
            pass

    def _gather_later(self) -> Future[list[bytes]]:
        return asyncio.run_coroutine_threadsafe(self._gather(), self._loop)

    async def _gather(self) -> list[bytes]:
        pieces: list[bytes] = []
        length = 0
        until = time.monotonic() + _BATCH_S
        while length < _BATCH_BYTES and not self._ended.is_set() and time.monotonic() < until:
            pieces.append(await self._next(self._idle_s))
            length += len(pieces[-1])
        return [piece for piece in pieces if piece]

    async def _next(self, idle_s: float) -> bytes:
        begin = time.monotonic()
        try:
            async with asyncio.timeout(idle_s):
                message = await self._receive()
        except TimeoutError:
            self._ended.set()
            hint = "send the whole body without pauses"
            raise BodyCutOff("nothing came any more", is_late=True, hint=hint) from None
        if message["type"] == "http.disconnect":
            self._is_gone = True
            self._ended.set()
            hint = "send it again, whole"
            raise BodyCutOff("the connection ended", is_late=False, hint=hint)
        piece = bytes(message.get("body", b""))
        if not message.get("more_body", False):
            self._is_whole = True
            self._ended.set()
        elif self._pace.is_too_slow(time.monotonic() - begin, len(piece)):
            self._ended.set()
            least = _LEAST_BYTES_PER_S >> 10
            text = f"less than {least} KB came in a second"
            hint = "send less at once, or over a faster line"
            raise BodyCutOff(text, is_late=True, hint=hint)
        return piece


class Lingering:
    """``send`` for a request whose body may not be read to its end."""

    def __init__(self, send: Any, body: StreamedBody, *, waits_for_continue: bool) -> None:
        self._send = send
        self._body = body
        self._may_drain = not waits_for_continue

    async def __call__(self, message: Mapping[str, Any]) -> None:
        is_unread = not self._body.is_over
        if message["type"] == "http.response.start" and not self._body.is_whole:
            headers = [*message.get("headers", []), (b"connection", b"close")]
            message = {**message, "headers": headers}
        if message["type"] == "http.response.body" and is_unread and self._may_drain:
            if message.get("more_body", False):
                await self._send(message)
                return
            await self._send({**message, "more_body": True})
            await self._body.drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)
