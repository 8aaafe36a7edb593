"""The ASGI application. `boot()` has to run before it is imported."""

from __future__ import annotations

from typing import Any

from isocenter.runtime.web.bodies import BoundedHandler

_LIVE = b'{"status": "live"}'
_django = BoundedHandler()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Django, but for ``/health/live``.

    That is answered by the event loop itself: it has to come while every thread is at work, and
    under whatever name or address a probe calls this machine.
    """
    is_asked = scope["type"] == "http" and scope["path"] == "/health/live"
    if is_asked and scope["method"] in ("GET", "HEAD"):
        await _say_live(send, with_body=scope["method"] == "GET")
        return
    await _django(scope, receive, send)


async def _say_live(send: Any, *, with_body: bool) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(_LIVE)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _LIVE if with_body else b""})
