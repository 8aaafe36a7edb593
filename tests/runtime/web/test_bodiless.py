"""Requests without a body: which they are, and that one whose sender left is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse

from isocenter.runtime.web import bodiless

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "query_string": b"",
    "headers": [(b"host", b"localhost")],
}


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("GET", [], True),
        ("HEAD", [(b"content-length", b"0")], True),
        ("POST", [], False),
        ("GET", [(b"content-length", b"5")], False),
        ("GET", [(b"transfer-encoding", b"chunked")], False),
    ],
)
def test_which_have_none(method, headers, expected):
    assert bodiless.has_no_body({"method": method, "headers": headers}) is expected


class Handler(ASGIHandler):
    """Answers with one response, without middleware."""

    def __init__(self, response: HttpResponseBase) -> None:
        self.response = response

    def get_response(self, request: Any) -> HttpResponseBase:
        return self.response


def asked(response: HttpResponseBase, *, leaves: bool) -> list[dict[str, Any]]:
    """What was sent to somebody who stays, or who leaves when the answer begins."""
    sent: list[dict[str, Any]] = []

    async def ask() -> None:
        begun = asyncio.Event()
        arriving = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            if arriving:
                return arriving.pop()
            await (begun.wait() if leaves else asyncio.Event().wait())
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
            begun.set()

        answered = bodiless.answer(Handler(response), SCOPE, receive, send)
        await asyncio.wait_for(answered, timeout=10)

    asyncio.run(ask())
    return sent


def test_a_short_answer_comes_whole():
    start, body = asked(HttpResponse(b"all of it", status=201), leaves=False)
    assert (start["status"], body["body"]) == (201, b"all of it")


def test_what_is_made_while_it_is_sent_comes_to_its_end():
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"a", b"b"):
            await asyncio.sleep(0)
            yield piece

    sent = asked(StreamingHttpResponse(pieces()), leaves=False)
    assert b"".join(each.get("body", b"") for each in sent) == b"ab"
    assert not sent[-1].get("more_body")


def test_whoever_leaves_is_sent_no_more():
    ended = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                await asyncio.sleep(0.001)
                yield b"more"
        finally:
            ended.append(True)

    asked(StreamingHttpResponse(pieces()), leaves=True)
    assert ended


def test_an_error_while_it_is_sent_is_told_to_the_server():
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        asked(StreamingHttpResponse(pieces()), leaves=False)
