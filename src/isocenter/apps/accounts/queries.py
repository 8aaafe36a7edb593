"""What can be asked about people."""

from __future__ import annotations

from collections.abc import Iterable

from isocenter.apps.accounts.models import NodeGrant, User
from isocenter.apps.accounts.rights import Principal, is_free_of_node_grants, rights_for


def principal_of_user(
    user: User, *, scopes: Iterable[str] | None = None, token: str = ""
) -> Principal:
    """Who a person is to the rest of the platform.

    Args:
        scopes: of the token that was shown; None for a session.
        token: its prefix.
    """
    if not (user.is_active and user.is_approved):
        return Principal()
    groups = list(user.groups.all())
    rights = rights_for(
        user.role, (right for group in groups for right in group.rights), scopes=scopes
    )
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
    )
