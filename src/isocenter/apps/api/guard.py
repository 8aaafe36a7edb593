"""Who may call an operation: asked before anything of the request is read.

Each operation is given one of these as its ``auth``; `urls` marks the views with what they need,
for the test that walks every address with every role.
"""

from __future__ import annotations

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
        right: what is needed; None: to be signed in.
    """

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_description = "Made by `isocenter token create` or on the page of your account."

    def __init__(self, right: Right | None) -> None:
        super().__init__()
        self.right = right

    def __call__(self, request: HttpRequest) -> Principal:
        """
        Raises:
            NotSignedIn: nobody asks.
            NotAllowed: they lack the right, or a session's unsafe request proves no origin.
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
        if self.right is not None and not principal.may(self.right):
            record(
                Kind.ACCESS_REFUSED,
                actor=principal.name,
                right=str(self.right),
                method=request.method,
                path=request.path[:200],
            )
            principal.require(self.right)
        return principal


def needs(right: Right) -> Token:
    """For those who have a right."""
    return Token(right)


def signed_in() -> Token:
    """For everybody who is known."""
    return Token(None)


def actor(request: HttpRequest) -> str:
    """Who is written into the audit."""
    return principal_of(request).name
