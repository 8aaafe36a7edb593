"""What is answered before Django."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from isocenter.runtime.web.asgi import application


def ask(method: str, path: str, host: bytes = b"10.1.2.3:8042") -> tuple[int, bytes]:
    """Status and body of an answer, as the server would get it."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"host", host)],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "http_version": "1.1",
    }
    arriving = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not arriving:
            await asyncio.Event().wait()  # nobody hangs up; cancelled when the answer is out
        return arriving.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async_to_sync(application)(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_live_answers_to_any_name_without_the_database():
    status, body = ask("GET", "/health/live", host=b"a-name-nobody-knows")
    assert status == 200
    assert json.loads(body) == {"status": "live"}
    assert ask("HEAD", "/health/live") == (200, b"")


@pytest.mark.django_db(transaction=True)
def test_everything_else_goes_to_django():
    assert ask("POST", "/health/live", host=b"localhost")[0] == 403  # no token of a form
    assert ask("GET", "/health/live/more", host=b"localhost")[0] in (302, 404)
