"""What can be asked about people, groups, tokens and sessions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from isocenter.apps.accounts.limits import locked_until
from isocenter.apps.accounts.models import Group, NodeGrant, Session, Token, User
from isocenter.apps.accounts.rights import Principal, is_free_of_node_grants, rights_for
from isocenter.core.errors import NotFound

__all__ = [
    "group",
    "group_row",
    "groups",
    "locked_until",
    "people",
    "person",
    "person_row",
    "principal_of_user",
    "session_row",
    "sessions_of",
    "state_of",
    "token_row",
    "tokens",
    "waiting_for_approval",
]


def principal_of_user(
    user: User,
    *,
    scopes: Iterable[str] | None = None,
    token: str = "",
    as_if_active: bool = False,
) -> Principal:
    """Who a person is to the rest of the platform.

    In a session somebody may work for one of their groups alone; tokens have all of them, so
    that what a program may does not change with a click.

    Args:
        scopes: of the token that was shown; None for a session.
        token: its prefix.
        as_if_active: what a disabled person would be.
    """
    if not as_if_active and not (user.is_active and user.is_approved):
        return Principal()
    scopes = None if scopes is None else tuple(scopes)
    groups = list(user.groups.all())
    if user.active_group_id and not token and not as_if_active:
        groups = [item for item in groups if item.pk == user.active_group_id] or groups
    given = [right for item in groups for right in item.rights]
    rights = rights_for(user.role, given, scopes)
    sources: frozenset[str] | None = None
    destinations: frozenset[str] | None = None
    if not is_free_of_node_grants(user.role):
        grants = NodeGrant.objects.filter(group__in=groups).select_related("node")
        found = list(grants)
        sources = frozenset(grant.node.name for grant in found if grant.can_be_source)
        destinations = frozenset(grant.node.name for grant in found if grant.can_be_destination)
    return Principal(
        name=user.username,
        role=user.role,
        user_id=user.pk,
        rights=rights,
        sources=sources,
        destinations=destinations,
        token=token,
        is_narrow=bool(token) and "all" not in (scopes or ()),
        withheld=frozenset() if scopes is None else rights_for(user.role, given) - rights,
    )


def people(text: str = "", *, state: str = "", role: str = "") -> QuerySet[User]:
    """People by name; those that wait for approval first.

    Args:
        text: part of name, full name or mail address.
        state: ``active``, ``disabled`` or ``waiting``.
    """
    found = User.objects.prefetch_related("groups").order_by("is_approved", "username")
    if text:
        found = found.filter(
            Q(username__icontains=text) | Q(full_name__icontains=text) | Q(email__icontains=text)
        )
    if role:
        found = found.filter(role=role)
    if state == "waiting":
        found = found.filter(is_approved=False)
    elif state in ("active", "disabled"):
        found = found.filter(is_approved=True, is_active=state == "active")
    return found


def person(username: str) -> User:
    """
    Raises:
        NotFound: nobody has this name.
    """
    is_clean = "\x00" not in username
    found = User.objects.filter(username__iexact=username).first() if is_clean else None
    if found is None:
        raise NotFound(f"there is nobody with the name {username[:64]}")
    return found


def waiting_for_approval() -> int:
    """How many registered and wait."""
    return User.objects.filter(is_approved=False).count()


def state_of(user: User) -> str:
    """``waiting``, ``disabled`` or ``active``."""
    if not user.is_approved:
        return "waiting"
    return "active" if user.is_active else "disabled"


def person_row(user: User) -> dict[str, Any]:
    """A person for the API and the command line."""
    return {
        "name": user.username,
        "full_name": user.full_name,
        "email": user.email,
        "role": user.role,
        "state": state_of(user),
        "groups": sorted(item.name for item in user.groups.all()),
        "active_group": user.active_group.name if user.active_group else None,
        "must_change_password": user.must_change_password,
        "password_changed_at": user.password_changed_at,
        "locked_until": locked_until(user.username),
        "last_sign_in": user.last_login,
        "created_at": user.created_at,
    }


def groups() -> QuerySet[Group]:
    """All groups by name, with ``people`` (how many are in it)."""
    return Group.objects.annotate(people=Count("members")).order_by("name")


def group(name: str) -> Group:
    """
    Raises:
        NotFound: no such group.
    """
    found = Group.objects.filter(name=name).first() if "\x00" not in name else None
    if found is None:
        raise NotFound(f"there is no group {name[:64]}")
    return found


def group_row(item: Group) -> dict[str, Any]:
    """A group for the API and the command line."""
    grants = item.node_grants.select_related("node").order_by("node__name")
    return {
        "name": item.name,
        "description": item.description,
        "rights": list(item.rights),
        "members": sorted(item.members.values_list("username", flat=True)),
        "nodes": [
            {
                "node": grant.node.name,
                "source": grant.can_be_source,
                "destination": grant.can_be_destination,
            }
            for grant in grants
        ],
        "created_at": item.created_at,
    }


def tokens(user: User | None = None) -> QuerySet[Token]:
    """Tokens of a person or of all, the newest first; revoked ones too."""
    found = Token.objects.select_related("user").order_by("-created_at")
    return found.filter(user=user) if user is not None else found


def token_row(token: Token) -> dict[str, Any]:
    """A token for the API and the command line; never its text."""
    return {
        "prefix": token.prefix,
        "user": token.user.username,
        "name": token.name,
        "scopes": list(token.scopes),
        "state": _token_state(token),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "revoked_at": token.revoked_at,
    }


def sessions_of(user: User) -> QuerySet[Session]:
    """The sessions a person is signed in with, the one used last first."""
    return Session.objects.filter(user=user, expire_date__gt=timezone.now()).order_by(
        "-last_seen_at"
    )


def session_row(session: Session, own_key: str | None = None) -> dict[str, Any]:
    """A session for pages and the API; ``id`` ends it and opens nothing."""
    return {
        "id": session_id(session),
        "browser": session.browser,
        "address": session.address,
        "started_at": session.started_at,
        "last_seen_at": session.last_seen_at,
        "ends_at": session.expire_date,
        "is_this": session.session_key == own_key,
    }


def session_id(session: Session) -> str:
    """A name for a session that is not its key."""
    return hashlib.sha256(session.session_key.encode()).hexdigest()[:16]


def _token_state(token: Token) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= timezone.now():
        return "expired"
    return "active"
