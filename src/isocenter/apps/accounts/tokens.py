"""Tokens: what programs sign in with. Shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from isocenter.apps.accounts import known_tokens
from isocenter.apps.accounts.models import Token, User
from isocenter.apps.accounts.queries import principal_of_user
from isocenter.apps.accounts.rights import SCOPES, Principal, Right, require_to_give
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.core.errors import ConfigurationError, NotAllowed, NotFound

_USED_EVERY = timedelta(minutes=1)  # how exactly the last use is kept
_PREFIX = 12


@dataclass(frozen=True)
class NewToken:
    """A token as its owner sees it once."""

    row: Token
    text: str


def create_token(
    user: User,
    scopes: Sequence[str],
    *,
    name: str = "",
    expires_at: datetime | None = None,
    by: Principal | None = None,
) -> NewToken:
    """Make a token.

    Args:
        expires_at: None: never; see `default_expiry`.
        by: who asks; None: its owner. Who signed in with a token gives no more than that has,
            and nothing that outlives it; for themselves they make one only with the scope
            ``all``.

    Raises:
        ConfigurationError: a scope that does not exist, or none; a person who cannot sign in.
        NotAllowed: ``by`` makes no tokens for this user, or has less than the scopes.
    """
    _check(user, scopes, name)
    maker = by or principal_of_user(user)
    _require_power(maker, user)
    require_to_give(maker, principal_of_user(user, scopes=scopes).rights)
    ends = _no_later(expires_at, maker)
    text = f"iso_{secrets.token_urlsafe(32)}"
    with transaction.atomic():
        row = Token.objects.create(
            user=user,
            name=name.strip(),
            prefix=text[:_PREFIX],
            digest=_digest(text),
            scopes=sorted(set(scopes)),
            expires_at=ends,
        )
        record(
            Kind.TOKEN_CREATED,
            actor=maker.name,
            account=user.username,
            token=row.prefix,
            scopes=row.scopes,
            expires_at=ends.isoformat() if ends else None,
        )
    return NewToken(row, text)


def _check(user: User, scopes: Sequence[str], name: str) -> None:
    """
    Raises:
        ConfigurationError: see `create_token`.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise ConfigurationError(
            f"no scope {', '.join(unknown)}" if unknown else "a token needs a scope",
            hint=f"scopes are {', '.join(SCOPES)}",
        )
    if not (user.is_active and user.is_approved):
        raise ConfigurationError(f"{user.username} is disabled or not approved")
    if len(name) > 64 or "\x00" in name:
        raise ConfigurationError("a token's name has at most 64 characters")


def default_expiry() -> datetime | None:
    """When a token ends that nobody gave another time (setting ``accounts.token_days``)."""
    days = settings.ISOCENTER.accounts.token_days
    return timezone.now() + timedelta(days=days) if days else None


def expiry_after(days: int) -> datetime | None:
    """So many days from now; 0: never."""
    return timezone.now() + timedelta(days=days) if days else None


def revoke_token(prefix: str, *, by: Principal, owner: str | None = None) -> Token:
    """End a token at once.

    Args:
        owner: name of the person it has to belong to; None: anybody.

    Raises:
        NotFound: no such token.
        NotAllowed: it is somebody else's, and ``by`` does not manage people; or ``by`` is
            another token of its owner, without the scope ``all``.
    """
    with transaction.atomic():
        found = Token.objects.select_for_update(of=("self",)).select_related("user")
        token = None if "\x00" in prefix else found.filter(prefix=prefix[:_PREFIX]).first()
        if token is None or (owner is not None and token.user.username != owner):
            raise NotFound(f"no token {prefix[:_PREFIX]}")
        if token.user_id != by.user_id:
            by.require(Right.MANAGE_PEOPLE)
        elif token.prefix != by.token:
            by.require_own_account()
        if token.revoked_at is None:
            token.revoked_at = timezone.now()
            token.save(update_fields=["revoked_at"])
            record(
                Kind.TOKEN_REVOKED,
                actor=by.name,
                account=token.user.username,
                token=token.prefix,
            )
    return token


def principal_of_token(text: str) -> Principal | None:
    """Who shows this token; None when it is not valid (any more).

    Tokens that were revoked, and people that were changed, by another process may still be taken
    as they were for `known_tokens.KNOWN_FOR_S`.
    """
    if "\x00" in text:
        return None
    digest = _digest(text)
    return known_tokens.known(digest, lambda: _read(text[:_PREFIX], digest))


def _read(prefix: str, digest: str) -> tuple[Principal, float] | None:
    """Whose token that is now, and for how many seconds."""
    now = timezone.now()
    found = (
        Token.objects.select_related("user").filter(prefix=prefix, revoked_at__isnull=True).first()
    )
    if found is None or not secrets.compare_digest(found.digest, digest):
        return None
    user = found.user
    if (found.expires_at and found.expires_at <= now) or not (user.is_active and user.is_approved):
        return None
    if found.last_used_at is None or now - found.last_used_at > _USED_EVERY:
        Token.objects.filter(pk=found.pk).update(last_used_at=now)
    left = (found.expires_at - now).total_seconds() if found.expires_at else math.inf
    return principal_of_user(user, scopes=_scopes(found.scopes), token=found.prefix), left


def _no_later(wanted: datetime | None, maker: Principal) -> datetime | None:
    """When a token made with another token ends: with that one at the latest."""
    if not maker.token:
        return wanted
    ends = Token.objects.filter(prefix=maker.token).values_list("expires_at", flat=True).first()
    return min((at for at in (wanted, ends) if at is not None), default=None)


def _require_power(maker: Principal, user: User) -> None:
    """Tokens are for oneself, and for services: nobody acts in the name of another person."""
    if maker.user_id is None:  # the command line may
        return
    if maker.user_id == user.pk:
        maker.require_own_account()
        return
    maker.require(Right.MANAGE_PEOPLE)
    if user.role != User.Role.SERVICE:
        raise NotAllowed(
            f"a token of {user.username} is made by {user.username} alone",
            hint="make a service account for a program",
        )


def _scopes(names: Iterable[str]) -> list[str]:
    return [name for name in names if name in SCOPES]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
