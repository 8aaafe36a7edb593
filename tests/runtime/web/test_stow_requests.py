"""STOW-RS through the ASGI application: judged first, then read while it comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
from isocenter.apps.archive.spool import SpoolReader
from isocenter.core.dicom.writing import write_part10
from isocenter.core.network.multipart import encode
from isocenter.core.phantoms import head_phantom
from isocenter.runtime.layout import Layout
from isocenter.runtime.web.bodies import BoundedHandler

TYPE = 'multipart/related; type="application/dicom"; boundary=limit'


@pytest.fixture(autouse=True)
def _kept_connection() -> Iterator[None]:
    """The test's transaction outlives a request, as with Django's own test client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def post(pieces: list[bytes], *, is_cut_off: bool = False, **headers: str) -> tuple[int, Any, int]:
    """Status, answer, and how many pieces were asked for; status 0: no answer."""
    given = {"host": "localhost", "content-type": TYPE} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/dicom-web/studies",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    sent: list[dict[str, Any]] = []
    left = list(pieces)
    asked = 0
    asked_before_answer = -1

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        if left:
            more = len(left) > 1 or is_cut_off
            return {"type": "http.request", "body": left.pop(0), "more_body": more}
        if not is_cut_off:
            await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal asked_before_answer
        if message["type"] == "http.response.start":
            asked_before_answer = asked
        sent.append(message)

    async_to_sync(BoundedHandler().handle)(scope, receive, send)
    if not sent:
        return 0, None, asked
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], json.loads(content or b"null"), asked_before_answer


@pytest.fixture
def token(db: None) -> str:
    user = User.objects.create(username="u", role="researcher")
    return f"Bearer {create_token(user, ['upload']).text}"


@pytest.fixture
def body(tmp_path: Any) -> bytes:
    image = head_phantom("asgi", slices=1, rows=16, columns=16, spacing_mm=9.0).images[0]
    write_part10(image, tmp_path / "a.dcm")
    part = (tmp_path / "a.dcm").read_bytes()
    return encode([({"Content-Type": "application/dicom"}, part)], "limit")


def stored(layout: Layout) -> int:
    reader = SpoolReader(layout.spool)
    return sum(1 for segment in reader.segments() for _ in reader.records(segment))


def test_nobody_sends_a_byte(db: None, installation: Layout, body: bytes) -> None:
    status, answer, asked = post([body])
    assert (status, asked) == (401, 0)
    assert answer["hint"]


def test_a_body_in_pieces(token: str, installation: Layout, body: bytes) -> None:
    pieces = [body[start : start + 100] for start in range(0, len(body), 100)]
    status, answer, _ = post(pieces, authorization=token)
    assert status == 200, answer
    assert stored(installation) == 1


def test_a_sender_that_goes_leaves_nothing(token: str, installation: Layout, body: bytes) -> None:
    status, _, _ = post([body[:-30]], is_cut_off=True, authorization=token)
    assert status in (0, 400)
    assert stored(installation) == 0


def test_a_declared_length_is_refused_unread(token: str, installation: Layout, body: bytes) -> None:
    length = str(1 << 60)
    status, _, asked = post([body], authorization=token, content_length=length)
    assert (status, asked) == (413, 0)


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data; boundary=limit", "application/x-www-form-urlencoded"],
)
def test_a_form_in_a_session_is_refused_unread(
    db: None, installation: Layout, content_type: str
) -> None:
    """The CSRF token is never looked for in a body that only the view may read."""
    client = Client()
    client.force_login(User.objects.create(username="s", role="staff"))
    secret = "a" * 32
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    cookies = f"{settings.SESSION_COOKIE_NAME}={session}; isocenter_csrf={secret}"
    form = b"csrfmiddlewaretoken=" + secret.encode()
    status, answer, asked = post([form], cookie=cookies, content_type=content_type)
    assert (status, asked) == (403, 0)
    assert "X-CSRFToken" in answer["hint"]
    status, _, asked = post([form], cookie=cookies, content_type=content_type, x_csrftoken=secret)
    assert (status, asked) == (415, 0)
