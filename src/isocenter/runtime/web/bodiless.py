"""Requests without a body: all of the answer is made in one thread, in one go.

Django goes into a thread and back four times for a request (a signal, the view, another signal,
closing the answer), and into a new thread each time: for a small answer that is most of its time.
Here lasting threads do everything between the request's head and the answer's bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import io
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core import signals
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import close_old_connections
from django.http import HttpResponseBase
from django.urls import set_script_prefix

# As many as wait for something slow; a thread that is free is taken before another is made.
_threads = ThreadPoolExecutor(256, "web")


def has_no_body(scope: dict[str, Any]) -> bool:
    """Whether a request is a question alone."""
    if scope["method"] not in ("GET", "HEAD"):
        return False
    return not any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


async def answer(handler: ASGIHandler, scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a request that has no body, as Django's handler does."""
    if (await receive())["type"] == "http.disconnect":
        return
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    response = await loop.run_in_executor(_threads, context.run, _made, handler, scope)
    if not response.streaming:
        await handler.send_response(response, send)
        return
    try:
        await _until_gone(handler.send_response(response, send), receive)
    finally:
        await asyncio.shield(loop.run_in_executor(_threads, response.close))


def _made(handler: ASGIHandler, scope: dict[str, Any]) -> HttpResponseBase:
    """The answer; nothing of it is left to be done in this thread."""
    set_script_prefix(get_script_prefix(scope))
    signals.request_started.send(sender=handler.__class__, scope=scope)
    request, refusal = handler.create_request(scope, io.BytesIO())
    response: Any = refusal if request is None else handler.get_response(request)
    response._handler_class = handler.__class__
    if response.streaming:
        close_old_connections()  # whatever sends it asks in threads of its own
    else:
        response.close()  # ends the request: its connection of the database is given back
    found: HttpResponseBase = response
    return found


async def _until_gone(sending: Coroutine[Any, Any, None], receive: Any) -> None:
    """Send, unless whoever asked leaves first."""
    sent, gone = asyncio.ensure_future(sending), asyncio.ensure_future(receive())
    try:
        await asyncio.wait((sent, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        sent.cancel()  # does nothing where it is done
        with contextlib.suppress(asyncio.CancelledError):
            await sent
