"""HTTP/1.1 by httptools, with bounds on what stands before and between bodies.

httptools is several times as fast as h11, but takes heads, trailers and chunk extensions of any
length, from anybody: they would fill the memory before it is asked who sends them.
"""

from __future__ import annotations

import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from isocenter.apps.dicomweb.files_sent import STRAIGHT
from isocenter.runtime.web.straight import StraightSender

#: Bytes of a request's line and headers. Lists of UIDs stand in addresses.
MAX_HEAD_BYTES = 64 << 10
MAX_HEADERS = 200
# One read from a socket is at most 256 KB, and may end a body before it begins a head.
_MAX_FRUITLESS_BYTES = 512 << 10


#: So long a peer may acknowledge nothing of what was sent to it; then the kernel ends the
#: connection, whatever waits there. Longer than any reader is waited for (`streaming.STALL_S`).
MOST_UNACKNOWLEDGED_S = 660.0


class _TooLong(Exception):
    """A head that is too long; httptools makes an error of it, and uvicorn a 400."""


class BoundedHttp(HttpToolsProtocol):
    """Answers 400 and closes where a head is too long, or where bytes come to nothing."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._fruits = 0  # heads, pieces of bodies and ends of messages so far
        self._fruitless_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        most = round(MOST_UNACKNOWLEDGED_S * 1000)
        connection = transport.get_extra_info("socket")
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, most)

    def data_received(self, data: bytes) -> None:
        before = self._fruits
        super().data_received(data)
        self._fruitless_bytes = 0 if self._fruits != before else self._fruitless_bytes + len(data)
        if self._fruitless_bytes > _MAX_FRUITLESS_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            raise _TooLong

    def on_headers_complete(self) -> None:
        self._fruits += 1
        length = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if length > MAX_HEAD_BYTES:
            raise _TooLong
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and self.scheme == "http":
            # The application runs when this is done.
            extensions: dict[str, Any] = {STRAIGHT: StraightSender(self.cycle)}
            self.cycle.scope["extensions"] = extensions

    def on_body(self, body: bytes) -> None:
        self._fruits += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._fruits += 1
        super().on_message_complete()
