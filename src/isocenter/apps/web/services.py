"""What can be done with the pages' own rows."""

from __future__ import annotations

from typing import Any

from isocenter.apps.accounts.models import Group
from isocenter.apps.accounts.rights import Principal
from isocenter.apps.web.models import SavedFilter
from isocenter.core.errors import ConfigurationError, NotFound

NAME_LENGTH = 64
_MOST = 100


def save_filter(
    principal: Principal, name: str, values: dict[str, Any], *, group: str = ""
) -> SavedFilter:
    """Keep a search; one of the same name is written over.

    Args:
        group: name of a group of this person that sees it too; empty: nobody else does.

    Raises:
        ConfigurationError: no name, too many, or a group that they are not in.
    """
    name = " ".join(name.split())
    if not name or len(name) > NAME_LENGTH:
        raise ConfigurationError(f"a search needs a name of 1 to {NAME_LENGTH} characters")
    kept = SavedFilter.objects.filter(owner=principal.user_id)
    if kept.exclude(name=name).count() >= _MOST:
        raise ConfigurationError(f"{_MOST} searches are kept already", hint="delete one first")
    shared = None
    if group:
        shared = Group.objects.filter(name=group, members=principal.user_id).first()
        if shared is None:
            raise ConfigurationError(f"you are not in a group {group!r}")
    row, _ = SavedFilter.objects.update_or_create(
        owner_id=principal.user_id, name=name, defaults={"values": values, "group": shared}
    )
    return row


def delete_filter(principal: Principal, key: int) -> None:
    """Forget a search.

    Raises:
        NotFound: this person has none of that number.
    """
    deleted, _ = SavedFilter.objects.filter(owner=principal.user_id, pk=key).delete()
    if not deleted:
        raise NotFound("there is no such saved search of yours")
