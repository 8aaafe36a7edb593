"""The bounds on what stands before and between bodies, on a real socket."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from isocenter.runtime.web.protocol import MAX_HEAD_BYTES, MAX_HEADERS
from stand.http_server import served


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    length = 0
    while True:
        message = await receive()
        length += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = str(length).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(echo) as found:
        yield found


def answered(port: int, *pieces: bytes) -> bytes:
    """The first line of what comes back; empty where the server closes without a word."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        with contextlib.suppress(OSError):  # it closes in the middle of what is too long
            for piece in pieces:
                connection.sendall(piece)
        found = b""
        try:
            while b"\r\n\r\n" not in found and (piece := connection.recv(65536)):
                found += piece
        except TimeoutError:
            return b"nothing, and the connection stays"
        except ConnectionError:  # closed while more was on its way
            return found
    return found.split(b"\r\n", 1)[0]


GET = b"GET /dicom-web/studies?x=%s HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
MEGABYTE = b"a" * (1 << 20)


def test_ordinary_requests_pass(port):
    assert b"200" in answered(port, GET % (b"1" * 60_000), b"\r\n")
    many = b"".join(b"X-%d: y\r\n" % number for number in range(MAX_HEADERS - 1))
    assert b"200" in answered(port, GET % b"", many, b"\r\n")
    chunk = b"%x\r\n%s\r\n" % (len(MEGABYTE), MEGABYTE)
    assert b"200" in answered(port, POST, chunk, chunk, b"0\r\n\r\n")


@pytest.mark.parametrize(
    "pieces",
    [
        (GET % (b"1" * MAX_HEAD_BYTES), b"\r\n"),
        (GET % b"", b"".join(b"X-%d: y\r\n" % number for number in range(300)), b"\r\n"),
        (GET % b"", b"X: ", *[MEGABYTE] * 3),
        (b"GET /", *[MEGABYTE] * 3),
        (POST, b"1;x=", *[MEGABYTE] * 3),
        (POST, b"1\r\na\r\n0\r\nX: ", *[MEGABYTE] * 3),
    ],
    ids=["address", "headers", "one header", "endless address", "chunk extension", "trailer"],
)
def test_what_is_too_long_is_refused_and_closed(port, pieces):
    assert answered(port, *pieces) in (b"HTTP/1.1 400 Bad Request", b"")
