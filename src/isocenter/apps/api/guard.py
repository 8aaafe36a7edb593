"""Who may call an operation: asked before anything of the request is read.

Each operation is given one of these as its ``auth``; `urls` marks the views with what they need,
for the test that walks every address with every role.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Principal, Right
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.core.errors import NotAllowed


class NotSignedIn(NotAllowed):
    """Nobody is signed in, and no token was sent."""


class Token(AuthBase):
    """A session, or a token in ``Authorization: Bearer …`` (``Token …`` is taken too).

    Args:
        rights: what is needed, the first of them for its mark; none: to be signed in.
        is_own_account: it changes the account of who asks, so a token needs the scope ``all``.
    """

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_description = "Made by `isocenter token create` or on the page of your account."

    def __init__(self, *rights: Right, is_own_account: bool = False) -> None:
        super().__init__()
        self.rights = rights
        self.is_own_account = is_own_account

    def __call__(self, request: HttpRequest) -> Principal:
        """
        Raises:
            NotSignedIn: nobody asks.
            NotAllowed: they lack the right or their token the scope, or a session's unsafe
                request proves no origin.
        """
        principal = principal_of(request)
        if not principal.is_known:
            raise NotSignedIn("this needs a token", hint="send Authorization: Bearer TOKEN")
        # Requests with a token are marked as free of this: no browser adds a token by itself.
        if check_csrf(request) is not None:
            raise NotAllowed(
                "this request of a session has no CSRF token",
                hint="send X-CSRFToken, or use a token instead of the session",
            )
        if self.is_own_account and principal.is_narrow:
            _record(request, scope="all")
            principal.require_own_account()
        for right in self.rights:
            if not principal.may(right):
                _record(request, right=str(right))
                principal.require(right)
        return principal

    @property
    def right(self) -> Right | None:
        """What is needed first."""
        return self.rights[0] if self.rights else None


def needs(right: Right, *besides: Right) -> Token:
    """For those who have a right, or all of several."""
    return Token(right, *besides)


def signed_in() -> Token:
    """For everybody who is known."""
    return Token()


def own_account() -> Token:
    """For sessions, and tokens with the scope ``all``: it changes the account of who asks."""
    return Token(is_own_account=True)


def actor(request: HttpRequest) -> str:
    """Who is written into the audit."""
    return principal_of(request).name


def _record(request: HttpRequest, **lacking: Any) -> None:
    record(
        Kind.ACCESS_REFUSED,
        actor=actor(request),
        method=request.method,
        path=request.path[:200],
        **lacking,
    )
