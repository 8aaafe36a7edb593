"""Bodies of requests: judged by their headers, bounded while they come, never in memory."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
from isocenter.runtime.layout import Layout
from isocenter.runtime.web import bodies
from isocenter.runtime.web.bodies import BoundedHandler

UPLOAD = "/uploads/files"


@dataclass
class Answer:
    """What the application sent, and how many pieces it asked for."""

    status: int = 0
    content: bytes = b""
    asked: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str:
        return str(json.loads(self.content)["error"])


def post(
    path: str,
    pieces: Iterable[bytes] = (),
    *,
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> Answer:
    """A request whose body comes piece by piece, without a declared length unless given."""
    given = {"host": "localhost", **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    answer = Answer()
    coming: Iterator[bytes] = iter(pieces)
    has_ended = threading.Event()

    async def receive() -> dict[str, Any]:
        if has_ended.is_set():
            await asyncio.sleep(3600)  # nobody disconnects
        answer.asked += 1
        piece = next(coming, None)
        if piece is None:
            has_ended.set()
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode().lower(): v.decode() for k, v in message["headers"]}
        else:
            answer.content += message.get("body", b"")

    async_to_sync(BoundedHandler().handle)(scope, receive, send)
    return answer


@pytest.fixture(autouse=True)
def _kept_connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test's transaction outlives a request, as with Django's own test client."""
    monkeypatch.setattr(bodies, "close_old_connections", lambda: None)
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def cookie(db: None) -> str:
    """Of somebody who may upload."""
    return _cookie("researcher")


def _cookie(role: str) -> str:
    client = Client()
    client.force_login(User.objects.create(username=role, role=role))
    return "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())


def test_nobody_uploads_not_even_a_byte(db: None, installation: Layout) -> None:
    answer = post(UPLOAD, [b"x" * 100] * 5)
    assert (answer.status, answer.error, answer.asked) == (401, "sign in first", 0)


def test_who_may_not_upload_is_told_at_once(db: None, installation: Layout) -> None:
    answer = post(UPLOAD, [b"x"], headers={"cookie": _cookie("student")})
    assert (answer.status, answer.asked) == (403, 0)


def test_a_wrong_token_is_told_at_once(db: None, installation: Layout) -> None:
    answer = post("/api/v1/uploads", [b"x"], headers={"authorization": "Bearer iso_no"})
    assert (answer.status, answer.asked) == (401, 0)
    assert "token" in answer.error


def test_a_token_may_upload(db: None, installation: Layout) -> None:
    user = User.objects.create(username="u", role="staff")
    token = create_token(user, ["upload"]).text
    answer = post(UPLOAD, [b"x"], headers={"authorization": f"Bearer {token}"})
    assert (answer.status, json.loads(answer.content)["error"]) == (400, "no file came")


def test_a_password_is_chosen_first(db: None, installation: Layout) -> None:
    cookie = _cookie("staff")
    User.objects.update(must_change_password=True)
    answer = post(UPLOAD, [b"x"], headers={"cookie": cookie})
    assert (answer.status, answer.asked) == (403, 0)


def test_a_declared_length_is_refused_unread(cookie: str, installation: Layout) -> None:
    too_long = str(bodies.longest_upload() + (2 << 20))
    answer = post(UPLOAD, [b"x"], headers={"cookie": cookie, "content-length": too_long})
    assert (answer.status, answer.asked) == (413, 0)
    assert "isocenter import" in answer.error
    assert answer.headers["connection"] == "close"


def test_a_lie_about_the_length_is_found_out(
    cookie: str, installation: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_longest_upload", lambda: 3 << 20)
    answer = post(UPLOAD, [b"x" * (1 << 20)] * 100, headers={"cookie": cookie})
    assert answer.status == 413
    assert answer.asked == 4
    assert list(installation.uploads.iterdir()) == []


def test_forms_are_short(installation: Layout) -> None:
    answer = post("/sign-in/", [b"x" * (1 << 20)] * 100)
    assert answer.status == 413
    assert answer.asked == 17


def test_a_full_disk_is_told_before_the_file_comes(
    cookie: str, installation: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_has_room", lambda needed: False)
    answer = post(UPLOAD, [b"x"], headers={"cookie": cookie})
    assert (answer.status, answer.asked) == (507, 0)


def test_old_leftovers_are_removed(installation: Layout) -> None:
    old, new = installation.uploads / "old.upload", installation.uploads / "new.upload"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    bodies.clear_leftovers()
    assert list(installation.uploads.iterdir()) == [new]


def test_a_request_that_breaks_off_leaves_nothing(cookie: str, installation: Layout) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"x" * (5 << 20)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        post(UPLOAD, breaking(), headers={"cookie": cookie})
    assert list(installation.uploads.iterdir()) == []
