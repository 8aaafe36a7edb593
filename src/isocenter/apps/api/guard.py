"""Who may call an operation: asked before anything of the request is read.

Each operation is given one of these as its ``auth``; `urls` marks the views with what they need,
for the test that walks every address with every role.
"""

from __future__ import annotations

from django.http import HttpRequest
from ninja.security.base import AuthBase

from isocenter.apps.accounts.access import principal_of, require, require_own_account
from isocenter.apps.accounts.rights import Principal, Right


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
        principal = require(request, *self.rights)
        if self.is_own_account:
            require_own_account(request)
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
