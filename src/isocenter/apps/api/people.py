"""People, groups and tokens, for those who manage people."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from isocenter.apps.accounts import queries, services
from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import needs
from isocenter.apps.api.paging import by_number
from isocenter.apps.api.schemas import Command, PageOf, Paging, Row, with_problems

router = Router(tags=["people"])

Role = Literal["administrator", "staff", "physician", "researcher", "student", "service"]
_MANAGE = needs(Right.MANAGE_PEOPLE)


class PersonRow(Row):
    """A person, or a service."""

    name: str
    full_name: str
    email: str
    role: str
    state: str = Field(description="`active`, `disabled`, or `waiting` for approval")
    groups: list[str]
    active_group: str | None
    must_change_password: bool
    password_changed_at: datetime | None
    locked_until: datetime | None
    last_sign_in: datetime | None
    created_at: datetime


class PersonMade(PersonRow):
    """A new person."""

    password: str = Field(description="made up, told once; empty where one was given, or none is")


class PersonFilter(Paging):
    """Which people."""

    text: str = Field("", max_length=100, description="part of name, full name or mail address")
    state: Literal["", "active", "disabled", "waiting"] = ""
    role: Literal["", "administrator", "staff", "physician", "researcher", "student", "service"] = (
        ""
    )


class NewPerson(Command):
    """A person to be made."""

    name: str = Field(max_length=64)
    role: Role = "student"
    full_name: str = Field("", max_length=255)
    email: str = Field("", max_length=254)
    password: str | None = Field(None, description="null: one is made up")


class PersonChange(Command):
    """What changes; what is left out stays."""

    full_name: str | None = Field(None, max_length=255)
    email: str | None = Field(None, max_length=254)
    role: Role | None = None


class Approval(Command):
    """With which role; null: the one asked for."""

    role: Role | None = None


class NewPassword(Command):
    """Null: one is made up."""

    password: str | None = None


class Password(Row):
    """Told once."""

    password: str


class TokenRow(Row):
    """A token; never its text."""

    prefix: str
    user: str
    name: str
    scopes: list[str]
    state: str = Field(description="`active`, `expired` or `revoked`")
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class TokenMade(TokenRow):
    """A new token, with its text, shown once."""

    token: str


class TokenFilter(Paging):
    """Whose tokens."""

    user: str = Field("", max_length=64)


class NewToken(Command):
    """A token to be made."""

    name: str = Field("", max_length=64, description="what it is for")
    scopes: list[str] = Field(description="`all`, `read`, or names of rights")
    expires_at: datetime | None = Field(None, description="null: after the time in the settings")


class NewTokenFor(NewToken):
    """A token for a service."""

    user: str = Field(max_length=64)


@router.get("/people", response=with_problems(PageOf[PersonRow]), auth=_MANAGE)
def list_people(request: HttpRequest, given: Query[PersonFilter]) -> Any:
    """People, in the order in which they were made."""
    found = queries.people(given.text, state=given.state, role=given.role)
    return by_number(found, given, queries.person_row)


@router.post("/people", response=with_problems(PersonMade, 201), auth=_MANAGE)
def make_person(request: HttpRequest, person: NewPerson) -> Any:
    """Make a person. Their password has to be changed at the first sign-in; a service has none."""
    made = services.create_user(
        person.name,
        by=principal_of(request),
        role=person.role,
        full_name=person.full_name,
        email=person.email,
        password=person.password,
    )
    return Status(201, queries.person_row(made.user) | {"password": made.password})


@router.get("/people/{name}", response=with_problems(PersonRow), auth=_MANAGE)
def get_person(request: HttpRequest, name: str) -> Any:
    """One person."""
    return queries.person_row(queries.person(name))


@router.patch("/people/{name}", response=with_problems(PersonRow), auth=_MANAGE)
def change_person(request: HttpRequest, name: str, change: PersonChange) -> Any:
    """Change full name, mail address or role."""
    values = change.model_dump(exclude_none=True)
    return _row(services.change_user(name, by=principal_of(request), **values))


@router.post("/people/{name}/approve", response=with_problems(PersonRow), auth=_MANAGE)
def approve_person(request: HttpRequest, name: str, approval: Approval | None = None) -> Any:
    """Say yes to somebody who registered."""
    role = approval.role if approval else None
    return _row(services.approve(name, by=principal_of(request), role=role))


@router.post("/people/{name}/refuse", response=with_problems(None, 204), auth=_MANAGE)
def refuse_person(request: HttpRequest, name: str) -> Any:
    """Say no to somebody who registered: the account goes."""
    services.refuse_registration(name, by=principal_of(request))
    return Status(204, None)


@router.post("/people/{name}/enable", response=with_problems(PersonRow), auth=_MANAGE)
def enable_person(request: HttpRequest, name: str) -> Any:
    """Let a disabled person in again."""
    return _row(services.set_active(name, True, by=principal_of(request)))


@router.post("/people/{name}/disable", response=with_problems(PersonRow), auth=_MANAGE)
def disable_person(request: HttpRequest, name: str) -> Any:
    """Disable a person: they are signed out at once, and their tokens rest."""
    return _row(services.set_active(name, False, by=principal_of(request)))


@router.post("/people/{name}/unlock", response=with_problems(PersonRow), auth=_MANAGE)
def unlock_person(request: HttpRequest, name: str) -> Any:
    """Let somebody sign in again at once who typed wrong passwords."""
    return _row(services.unlock(name, by=principal_of(request)))


@router.post("/people/{name}/password", response=with_problems(Password), auth=_MANAGE)
def set_password(request: HttpRequest, name: str, given: NewPassword | None = None) -> Any:
    """Give a person a new password, which they change when they return."""
    password = given.password if given else None
    return {"password": services.set_password(name, password, by=principal_of(request))}


@router.get("/tokens", response=with_problems(PageOf[TokenRow]), auth=_MANAGE, tags=["tokens"])
def list_tokens(request: HttpRequest, given: Query[TokenFilter]) -> Any:
    """Tokens of one person or of all, in the order in which they were made."""
    user = queries.person(given.user) if given.user else None
    return by_number(queries.tokens(user), given, queries.token_row)


@router.post("/tokens", response=with_problems(TokenMade, 201), auth=_MANAGE, tags=["tokens"])
def make_token(request: HttpRequest, token: NewTokenFor) -> Any:
    """Make a token for a service. Nobody makes one for another person."""
    return Status(201, new_token(request, queries.person(token.user), token))


@router.delete("/tokens/{prefix}", response=with_problems(TokenRow), auth=_MANAGE, tags=["tokens"])
def revoke_token(request: HttpRequest, prefix: str) -> Any:
    """End a token at once, whoever has it."""
    return queries.token_row(services.revoke_token(prefix, by=principal_of(request)))


def new_token(request: HttpRequest, user: User, token: NewToken) -> dict[str, Any]:
    """Make a token; its row with its text."""
    made = services.create_token(
        user,
        token.scopes,
        name=token.name,
        expires_at=token.expires_at or services.default_expiry(),
        by=principal_of(request),
    )
    return queries.token_row(made.row) | {"token": made.text}


def _row(user: User) -> dict[str, Any]:
    return queries.person_row(user)
