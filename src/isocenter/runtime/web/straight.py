"""Files straight from the disk to the socket, for answers whose length is known.

A series goes out faster than the event loop can copy it: here one thread reads files into a few
buffers, and another one sends them as long as the reader keeps up. What a slow reader leaves is
given back, for the event loop to send at the reader's pace: one who takes nothing for a moment, or
less than the least pace in two seconds of waiting. So threads wait for nobody for long.

``sendfile`` would copy less and is slower where it was measured: 300 CT slices took a reader on
the same machine 78 ms instead of 48, because the pages of the files come to him one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any

from isocenter.apps.dicomweb.files_sent import (
    Content,
    FileSlice,
    cut,
    length_of,
    opened,
    read_into,
)
from isocenter.runtime.web.streaming import forgive

#: Answers at once; others go by the event loop.
AT_ONCE = 8
_BUFFERS = 3  # one is sent, one is filled, one is ready
_BUFFER_BYTES = 512 << 10
#: How long a thread waits for a reader.
PATIENCE_S = 0.5
#: What it has sent for each so many seconds of waiting, or the reader is slow.
PACE_S = 2.0
LEAST_BYTES_PER_S = 4 << 20

_threads = ThreadPoolExecutor(AT_ONCE, "straight")
_readers = ThreadPoolExecutor(AT_ONCE, "straight-read")


class _ReaderIsSlow(Exception):
    """Nothing could be sent for a while, or little."""


class _ReaderIsGone(Exception):
    """The connection is over, whatever the system calls it: broken, timed out, no way there."""


class StraightSender:
    """The way past the event loop for one answer.

    Args:
        cycle: uvicorn's state of this request and its answer.
    """

    _at_work = 0

    def __init__(self, cycle: Any) -> None:
        self._cycle = cycle

    async def __call__(self, contents: Sequence[Content]) -> Sequence[Content]:
        """Send, and return what is left; all of it where this way is closed now.

        To be called in the event loop, when the head of the answer was sent.

        Raises:
            TransferBroken: a file is not what the index says.
        """
        transport = self._cycle.transport
        is_open = self._cycle.chunked_encoding is False and self._cycle.scope["method"] != "HEAD"
        is_ready = not (transport.get_write_buffer_size() or transport.is_closing())
        if not (is_open and is_ready) or StraightSender._at_work >= AT_ONCE:
            return contents
        StraightSender._at_work += 1
        try:
            return await self._send(contents)
        finally:
            StraightSender._at_work -= 1

    async def _send(self, contents: Sequence[Content]) -> Sequence[Content]:
        cycle = self._cycle
        # The transport may close its descriptor meanwhile; this one stays.
        descriptor = os.dup(cycle.transport.get_extra_info("socket").fileno())
        sending = _Sending(descriptor, contents, lambda: cycle.disconnected)
        work = asyncio.get_running_loop().run_in_executor(_threads, sending.run)
        work.add_done_callback(forgive)  # whoever left is not asked what became of it
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            sending.must_stop = True
            await asyncio.wait([work])
            raise
        except _ReaderIsGone:
            cycle.transport.abort()
            cycle.disconnected = True
            return ()
        cycle.expected_content_length -= sending.sent
        return sending.rest()


class _Sending:
    """What one thread does."""

    def __init__(
        self, descriptor: int, contents: Sequence[Content], is_gone: Callable[[], bool]
    ) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._contents = contents
        self._is_gone = is_gone
        self.sent = 0
        self.must_stop = False
        self._waited_s = 0.0
        self._judged = 0  # of what was sent

    def run(self) -> None:
        """
        Raises:
            _ReaderIsGone: before the end.
            TransferBroken: see `StraightSender`.
        """
        pieces = _Ahead(self._contents).pieces()
        try:
            with self._socket, contextlib.closing(pieces):
                for piece in pieces:
                    self._send(piece)
        except _ReaderIsSlow:
            return

    def rest(self) -> Sequence[Content]:
        """What was not sent."""
        left = length_of(self._contents) - self.sent
        return cut(self._contents, self.sent, left) if left else ()

    def _send(self, waiting: memoryview) -> None:
        while waiting:
            count = self._send_some(waiting)
            self.sent += count
            waiting = waiting[count:]

    def _send_some(self, waiting: memoryview) -> int:
        """Send what the socket takes; wait for the reader once where it takes nothing."""
        if self.must_stop:
            raise _ReaderIsSlow
        if count := self._send_now(waiting):
            return count
        if self._is_gone():
            raise _ReaderIsGone
        self._wait()
        if count := self._send_now(waiting):
            return count
        raise _ReaderIsSlow

    def _send_now(self, waiting: memoryview) -> int:
        try:
            return self._socket.send(waiting)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise _ReaderIsGone from error

    def _wait(self) -> None:
        """Until the socket takes something. What is counted is this alone: a slow disk is no slow
        reader."""
        ready = select.poll()
        ready.register(self._socket, select.POLLOUT)
        begin = time.monotonic()
        if not ready.poll(PATIENCE_S * 1000):
            raise _ReaderIsSlow
        self._waited_s += time.monotonic() - begin
        if self._waited_s < PACE_S:
            return
        if self.sent - self._judged < LEAST_BYTES_PER_S * self._waited_s:
            raise _ReaderIsSlow
        self._waited_s, self._judged = 0.0, self.sent


class _NobodyWaits(Exception):
    """What is read is not sent any more."""


class _Ahead:
    """Bytes of contents, read by a thread of its own while those before them are sent."""

    def __init__(self, contents: Sequence[Content]) -> None:
        self._contents = contents
        self._free: SimpleQueue[memoryview | None] = SimpleQueue()
        self._full: SimpleQueue[memoryview | None] = SimpleQueue()
        self._buffer = memoryview(b"")
        self._used = 0

    def pieces(self) -> Generator[memoryview]:
        """One after the other; a piece is valid until the next is asked for.

        Raises:
            TransferBroken: a file is not what the index says.
        """
        for _ in range(_BUFFERS):
            self._free.put(memoryview(bytearray(_BUFFER_BYTES)))
        work = _readers.submit(self._read)
        try:
            while (piece := self._full.get()) is not None:
                yield piece
                self._free.put(memoryview(piece.obj))
            work.result()
        finally:
            self._free.put(None)

    def _read(self) -> None:
        try:
            self._buffer = self._empty()
            for content in self._contents:
                self._take(content)
            self._full.put(self._buffer[: self._used])
        except _NobodyWaits:
            return
        finally:
            self._full.put(None)

    def _empty(self) -> memoryview:
        buffer = self._free.get()
        if buffer is None:
            raise _NobodyWaits
        return buffer

    def _take(self, content: Content) -> None:
        if isinstance(content, bytes):
            self._fill(len(content), partial(_copied, content))
            return
        assert isinstance(content, FileSlice)  # what is made does not come this way
        descriptor = opened(content)
        try:
            self._fill(content.length, lambda room, at: read_into(room, descriptor, content, at))
        finally:
            os.close(descriptor)

    def _fill(self, length: int, fill: Callable[[memoryview, int], int]) -> None:
        done = 0
        while done < length:
            count = fill(self._buffer[self._used : self._used + length - done], done)
            done += count
            self._used += count
            if self._used == _BUFFER_BYTES:
                self._full.put(self._buffer)
                self._buffer, self._used = self._empty(), 0


def _copied(content: bytes, room: memoryview, at: int) -> int:
    count = len(room)
    room[:] = content[at : at + count]
    return count
