"""Who showed a token a moment ago: a viewer shows the same one with hundreds of requests.

What is kept is the answer to a token's digest, for a second at most. A change of people, groups,
their nodes or tokens that is made in this process forgets all of it, again when the change is
committed; one of another process (the command line) counts within that second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Any

from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save

from isocenter.apps.accounts.models import Group, NodeGrant, Token, User
from isocenter.apps.accounts.rights import Principal

#: How long a token that was revoked elsewhere may still be taken.
KNOWN_FOR_S = 1.0
_MOST = 1024

_lock = Lock()
_known: dict[str, tuple[float, Principal]] = {}
_changes = 0


def known(digest: str, read: Callable[[], tuple[Principal, float] | None]) -> Principal | None:
    """Whose token this is.

    Args:
        read: asks the database: who, and how many seconds the token is still good for; None:
            it is not valid.
    """
    began = time.monotonic()
    found = _known.get(digest)
    if found is not None and began < found[0]:
        return found[1]
    changes = _changes
    answer = read()
    if answer is None:
        return None
    principal, left_s = answer
    with _lock:
        if changes == _changes:
            if len(_known) >= _MOST:
                _known.clear()
            _known[digest] = (began + min(KNOWN_FOR_S, left_s), principal)
    return principal


def forget() -> None:
    """Ask the database for every token anew."""
    global _changes  # noqa: PLW0603 (a process has one)
    with _lock:
        _changes += 1
        _known.clear()


def _changed(**_: Any) -> None:
    forget()
    transaction.on_commit(forget)


for _model in (User, Group, NodeGrant, Token):
    for _signal in (post_save, post_delete):
        _signal.connect(_changed, sender=_model, dispatch_uid="known-tokens")
m2m_changed.connect(_changed, sender=Group.members.through, dispatch_uid="known-tokens")
