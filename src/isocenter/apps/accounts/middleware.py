"""Finds out who asks: a token in the request, else a session."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase, JsonResponse

from isocenter.apps.accounts.queries import principal_of_user
from isocenter.apps.accounts.rights import Principal
from isocenter.apps.accounts.services import principal_of_token


class Authentication:
    """Sets ``request.principal``. A token that is wrong is an error, never nobody.

    Stands behind Django's sessions and before everything that asks for rights.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        token = token_in(request)
        if token is None:
            request.principal = _of_session(request)  # type: ignore[attr-defined]
            return self.get_response(request)
        principal = principal_of_token(token)
        if principal is None:
            return JsonResponse(
                {"error": "this token is not valid, has expired or was revoked"},
                status=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        request.principal = principal  # type: ignore[attr-defined]
        # Nothing but the header proves who asks, and no browser adds it by itself.
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        return self.get_response(request)


def token_in(request: HttpRequest) -> str | None:
    """The token of ``Authorization: Bearer …`` or ``Token …``; None where there is neither."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if kind.lower() in ("bearer", "token") else None


def _of_session(request: HttpRequest) -> Principal:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return Principal()
    return principal_of_user(user)
