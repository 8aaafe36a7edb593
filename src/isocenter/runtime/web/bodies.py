"""What comes with a request: refused before it is read where it is too long or from nobody.

Django keeps a request's body in a temporary file before anybody asks who sent it, and writes it
in the event loop. Here a body that is longer than its address allows is refused at its first
byte too many, an upload only begins when its sender may upload, and long bodies go to the data
disk, in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import shutil
import tempfile
import time
from typing import IO, Any, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.middleware import Authentication, token_in
from isocenter.apps.accounts.rights import Principal, Right
from isocenter.runtime.web import bodiless
from isocenter.runtime.web.streamed_bodies import Lingering, StreamedBody

#: Beginnings of the addresses that take files.
UPLOADS = ("/uploads/files", "/api/v1/uploads")
#: Where the view reads the body while it comes, and judges by itself: STOW-RS.
STREAMED = re.compile(r"/dicom-web/studies(?:/[^/]{1,255})?/?")
#: Everything else is forms, JSON and YAML.
MAX_FORM_BYTES = 16 << 20
_ENVELOPE_BYTES = 1 << 20  # a multipart body is a little longer than its file
_IN_MEMORY_BYTES = 2 << 20
_LEFTOVER_S = 86_400.0


class _TooLong(Exception):
    """The body is longer than allowed."""


class BoundedHandler(ASGIHandler):
    """Django's ASGI application with bounds on bodies, and one way into a thread and back.

    All middleware and views are synchronous; Django would still come back to the event loop
    between them. What is made while it is sent comes in pieces of a good size already.
    """

    chunk_size = 4 << 20

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)

    async def handle(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["method"] == "POST" and STREAMED.fullmatch(scope["path"]):
            await self._stream(scope, receive, send)
            return
        if bodiless.has_no_body(scope):
            await bodiless.answer(self, scope, receive, send)
            return
        is_upload = scope["method"] == "POST" and scope["path"].startswith(UPLOADS)
        most = _longest_upload() if is_upload else MAX_FORM_BYTES
        if _declared(scope) > most:
            await _refuse(send, 413, _too_long(most))
            return
        if is_upload:
            status, reason = await sync_to_async(_judge)(scope)
            if status == 200 and not _has_room(2 * _declared(scope)):
                status, reason = 507, "the disk has no room for this file"
            if status != 200:
                await _refuse(send, status, reason)
                return
        try:
            await super().handle(scope, _Bounded(receive, most), send)
        except _TooLong:
            await _refuse(send, 413, _too_long(most))

    async def _stream(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        most = longest_request()
        if _declared(scope) > most:
            await _refuse(send, 413, f"a request has at most {most >> 20} MB; send several")
            return
        body = StreamedBody(receive)
        waits = any(name == b"expect" for name, _ in scope["headers"])
        await super().handle(scope, body.listen, Lingering(send, body, waits_for_continue=waits))

    def create_request(self, scope: Any, body_file: IO[bytes]) -> Any:
        request, answer = super().create_request(scope, body_file)
        if request is not None and isinstance(body_file, StreamedBody):
            # It is no form, whatever its Content-Type: who looks for a field, as for a CSRF
            # token, must not read the body. The token comes in X-CSRFToken.
            request.POST = QueryDict()
        return request, answer

    async def read_body(self, receive: Any) -> IO[bytes]:
        streamed = getattr(receive, "__self__", None)
        if isinstance(streamed, StreamedBody):
            return cast(IO[bytes], streamed)
        body = tempfile.SpooledTemporaryFile(  # noqa: SIM115 (Django closes it)
            max_size=_IN_MEMORY_BYTES, mode="w+b", dir=str(settings.LAYOUT.uploads)
        )
        length = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestAborted
                piece = message.get("body", b"")
                length += len(piece)
                if length > _IN_MEMORY_BYTES:
                    await asyncio.to_thread(body.write, piece)
                else:
                    body.write(piece)
                if not message.get("more_body", False):
                    break
        except BaseException:
            body.close()
            raise
        body.seek(0)
        return body


class _Bounded:
    """Receives, and counts what came."""

    def __init__(self, receive: Any, most: int) -> None:
        self._receive = receive
        self._left = most

    async def __call__(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _TooLong
        return message


def clear_leftovers() -> None:
    """Remove what uploads left whose process was killed; another host may be at younger ones."""
    oldest = time.time() - _LEFTOVER_S
    for path in settings.LAYOUT.uploads.iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def longest_upload() -> int:
    """Bytes of the longest file that can be uploaded."""
    return int(settings.ISOCENTER.limits.max_instance_mb) << 20


def longest_request() -> int:
    """Bytes of the longest body that a view reads while it comes."""
    return int(settings.ISOCENTER.limits.max_request_mb) << 20


def _longest_upload() -> int:
    return longest_upload() + _ENVELOPE_BYTES


def _has_room(needed: int) -> bool:
    """Whether that much can come, twice over, and the reserve is still free."""
    free = shutil.disk_usage(settings.LAYOUT.uploads).free
    return free - needed > int(settings.ISOCENTER.storage.reserve_mb) << 20


def _declared(scope: dict[str, Any]) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _judge(scope: dict[str, Any]) -> tuple[int, str]:
    """Whether the sender may upload: the middleware's word on the headers alone."""
    seen: list[Principal] = []

    def note(request: HttpRequest) -> HttpResponseBase:
        seen.append(principal_of(request))
        return HttpResponse()

    chain = SessionMiddleware(AuthenticationMiddleware(Authentication(note)))
    request = ASGIRequest(scope, io.BytesIO())
    try:
        chain(request)
    finally:
        close_old_connections()
    if not seen and token_in(request) is None:
        return 403, "choose your password first"
    if not seen:
        return 401, "this token is not valid, has expired or was revoked"
    if not seen[0].is_known:
        return 401, "sign in first"
    if not seen[0].may(Right.UPLOAD):
        return 403, "you lack the right upload"
    return 200, ""


def _too_long(most: int) -> str:
    return f"more than {most >> 20} MB; import large files with: isocenter import PATH"


async def _refuse(send: Any, status: int, reason: str) -> None:
    """The body is not read: the server closes the connection behind this."""
    body = json.dumps({"error": reason, "hint": ""}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
