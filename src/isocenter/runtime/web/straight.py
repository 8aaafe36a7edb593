"""Files straight from the disk to the socket, for answers whose length is known.

A series goes out faster than the event loop can copy it: here a thread hands files to the kernel
(``sendfile``) as long as the reader keeps up. What a slow reader leaves is given back, for the
event loop to send at the reader's pace; so a thread is never kept waiting for long.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from isocenter.apps.dicomweb.files_sent import Content, FileSlice, TransferBroken, cut, opened

#: Answers at once; others go by the event loop.
AT_ONCE = 8
#: How long a thread waits for a reader.
PATIENCE_S = 0.5

_threads = ThreadPoolExecutor(AT_ONCE, "straight")


class _ReaderIsSlow(Exception):
    """Nothing could be sent for a while."""


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
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            sending.must_stop = True
            await asyncio.wait([work])
            raise
        except (BrokenPipeError, ConnectionError):
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
        self._number = 0  # of the content that is being sent
        self._within = 0  # bytes of it that are gone
        self.sent = 0
        self.must_stop = False

    def run(self) -> None:
        """
        Raises:
            OSError: the reader is gone.
            TransferBroken: see `StraightSender`.
        """
        try:
            with self._socket:
                while self._number < len(self._contents):
                    self._one(self._contents[self._number])
                    self._number, self._within = self._number + 1, 0
        except _ReaderIsSlow:
            return

    def rest(self) -> Sequence[Content]:
        """What was not sent."""
        left = self._contents[self._number :]
        if not left or not self._within:
            return left
        return [*cut(left[:1], self._within, len(left[0])), *left[1:]]

    def _one(self, content: Content) -> None:
        if isinstance(content, FileSlice):
            self._file(content)
            return
        if not isinstance(content, bytes):
            raise _ReaderIsSlow  # what has yet to be made goes out piece by piece
        is_last = self._number + 1 == len(self._contents)
        flags = 0 if is_last else socket.MSG_MORE
        view = memoryview(content)
        while self._within < len(view):
            self._note(self._when_ready(lambda: self._socket.send(view[self._within :], flags)))

    def _file(self, wanted: FileSlice) -> None:
        out = self._socket.fileno()
        with opened(wanted) as stream:
            source = stream.fileno()
            while left := wanted.length - self._within:
                at = wanted.offset + self._within
                count = self._when_ready(lambda: os.sendfile(out, source, at, left))  # noqa: B023
                if not count:
                    raise TransferBroken("a file became shorter while it was sent")
                self._note(count)

    def _note(self, count: int) -> None:
        self._within += count
        self.sent += count

    def _when_ready(self, send: Callable[[], int]) -> int:
        """Send; wait for the reader once where the socket is full."""
        if self.must_stop:
            raise _ReaderIsSlow
        try:
            return send()
        except BlockingIOError:
            pass
        if self._is_gone():
            raise BrokenPipeError("the reader is gone")
        waiting = select.poll()
        waiting.register(self._socket, select.POLLOUT)
        if not waiting.poll(PATIENCE_S * 1000):
            raise _ReaderIsSlow
        try:
            return send()
        except BlockingIOError:
            raise _ReaderIsSlow from None
