"""One's own account."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from isocenter.apps.accounts import queries, services
from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.models import User
from isocenter.apps.api.guard import own_account, signed_in
from isocenter.apps.api.paging import whole
from isocenter.apps.api.people import NewToken, PersonRow, TokenMade, TokenRow, new_token
from isocenter.apps.api.schemas import Command, PageOf, Row, with_problems
from isocenter.core.errors import NotFound

router = Router(tags=["account"])


class Account(PersonRow):
    """Who asks."""

    rights: list[str] = Field(description="what is left after the token's scopes")
    sources: list[str] | None = Field(description="nodes to fetch from; null: all")
    destinations: list[str] | None = Field(description="nodes to send to; null: all")
    token: str = Field(description="prefix of the token that was sent; empty in a session")


class OwnPassword(Command):
    """The present password, and the one to come."""

    old: str
    new: str


class OwnGroup(Command):
    """The group to work for in the browser; empty: all of them."""

    group: str = Field("", max_length=64)


class SessionRow(Row):
    """A browser in which one is signed in."""

    id: str
    browser: str
    address: str
    started_at: datetime
    last_seen_at: datetime
    ends_at: datetime
    is_this: bool


@router.get("/account", response=with_problems(Account), auth=signed_in())
def account(request: HttpRequest) -> Any:
    """Who asks, and what they may."""
    return _account(request)


@router.post("/account/password", response=with_problems(None, 204), auth=own_account())
def change_password(request: HttpRequest, given: OwnPassword) -> Any:
    """Choose another password; one's other sessions end. Wrong ones count as at sign-in (429)."""
    services.change_own_password(
        _own(request),
        given.old,
        given.new,
        by=principal_of(request),
        address=services.address_of(request),
        session_key=request.session.session_key,
    )
    return Status(204, None)


@router.put("/account/group", response=with_problems(Account), auth=own_account())
def choose_group(request: HttpRequest, chosen: OwnGroup) -> Any:
    """Work for one of one's groups alone. Tokens always have all of them."""
    services.choose_group(_own(request), chosen.group, by=principal_of(request))
    return _account(request)


@router.get("/account/tokens", response=with_problems(PageOf[TokenRow]), auth=signed_in())
def own_tokens(request: HttpRequest) -> Any:
    """One's tokens, the newest first; revoked ones too."""
    return whole([queries.token_row(item) for item in queries.tokens(_own(request))])


@router.post("/account/tokens", response=with_problems(TokenMade, 201), auth=own_account())
def make_own_token(request: HttpRequest, token: NewToken) -> Any:
    """Make a token for oneself; its text is shown this once. A token makes none that may more."""
    return Status(201, new_token(request, _own(request), token))


@router.delete("/account/tokens/{prefix}", response=with_problems(TokenRow), auth=signed_in())
def revoke_own_token(request: HttpRequest, prefix: str) -> Any:
    """End one of one's tokens at once. A token without the scope `all` ends itself alone."""
    principal = principal_of(request)
    token = services.revoke_token(prefix, by=principal, owner=principal.name)
    return queries.token_row(token)


@router.get("/account/sessions", response=with_problems(PageOf[SessionRow]), auth=signed_in())
def own_sessions(request: HttpRequest) -> Any:
    """Where one is signed in."""
    key = request.session.session_key
    return whole([queries.session_row(item, key) for item in queries.sessions_of(_own(request))])


@router.delete(
    "/account/sessions/{session_id}", response=with_problems(None, 204), auth=own_account()
)
def end_own_session(request: HttpRequest, session_id: str) -> Any:
    """Sign out in one of one's browsers."""
    if not services.end_own_session(_own(request), session_id, by=principal_of(request)):
        raise NotFound("there is no such session of yours")
    return Status(204, None)


def _own(request: HttpRequest) -> User:
    return queries.person(principal_of(request).name)


def _account(request: HttpRequest) -> dict[str, Any]:
    principal = principal_of(request)
    return queries.person_row(_own(request)) | {
        "rights": sorted(str(right) for right in principal.rights),
        "sources": _names(principal.sources),
        "destinations": _names(principal.destinations),
        "token": principal.token,
    }


def _names(found: frozenset[str] | None) -> list[str] | None:
    return None if found is None else sorted(found)
