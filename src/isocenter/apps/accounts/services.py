"""What can be done with people, groups and tokens."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from isocenter.apps.accounts.models import Token, User
from isocenter.apps.accounts.queries import principal_of_user
from isocenter.apps.accounts.rights import SCOPES, Principal
from isocenter.core.errors import ConfigurationError

_USED_EVERY = timedelta(minutes=1)  # how exactly the last use is kept
_PREFIX = 12


@dataclass(frozen=True)
class NewToken:
    """A token as its owner sees it once."""

    row: Token
    text: str


def create_token(
    user: User, scopes: Sequence[str], *, name: str = "", expires_at: datetime | None = None
) -> NewToken:
    """Make a token.

    Raises:
        ConfigurationError: a scope that does not exist, or none.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise ConfigurationError(
            f"no scope {', '.join(unknown)}" if unknown else "a token needs a scope",
            hint=f"scopes are {', '.join(SCOPES)}",
        )
    text = f"iso_{secrets.token_urlsafe(32)}"
    row = Token.objects.create(
        user=user,
        name=name,
        prefix=text[:_PREFIX],
        digest=_digest(text),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    return NewToken(row, text)


def principal_of_token(text: str) -> Principal | None:
    """Who shows this token; None when it is not valid (any more)."""
    now = timezone.now()
    found = (
        Token.objects.select_related("user")
        .filter(prefix=text[:_PREFIX], revoked_at__isnull=True)
        .first()
    )
    if found is None or not secrets.compare_digest(found.digest, _digest(text)):
        return None
    if (found.expires_at and found.expires_at <= now) or not found.user.is_active:
        return None
    if found.last_used_at is None or now - found.last_used_at > _USED_EVERY:
        Token.objects.filter(pk=found.pk).update(last_used_at=now)
    return principal_of_user(found.user, scopes=_scopes(found.scopes), token=found.prefix)


def _scopes(names: Iterable[str]) -> list[str]:
    return [name for name in names if name in SCOPES]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
