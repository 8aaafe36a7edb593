"""Who looks at the page that is being made; template filters ask here."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponseBase

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Principal

_viewer: ContextVar[Principal | None] = ContextVar("viewer", default=None)


def viewer() -> Principal:
    """Who looks; nobody where no request is being answered."""
    return _viewer.get() or Principal()


class Viewer:
    """Middleware behind that which finds out who asks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        token = _viewer.set(principal_of(request))
        try:
            return self.get_response(request)
        finally:
            _viewer.reset(token)
