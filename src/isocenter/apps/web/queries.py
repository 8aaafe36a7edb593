"""What can be asked of the pages' own rows."""

from __future__ import annotations

from django.db.models import Q

from isocenter.apps.accounts.models import Group
from isocenter.apps.accounts.rights import Principal
from isocenter.apps.web.models import SavedFilter


def saved_filters(principal: Principal) -> list[SavedFilter]:
    """Those of this person, and those shared with a group of theirs."""
    if principal.user_id is None:
        return []
    mine = Q(owner=principal.user_id) | Q(group__members=principal.user_id)
    return list(SavedFilter.objects.filter(mine).select_related("owner", "group").distinct())


def groups_of(principal: Principal) -> list[Group]:
    """Groups that a search can be shared with."""
    return list(Group.objects.filter(members=principal.user_id).order_by("name"))
