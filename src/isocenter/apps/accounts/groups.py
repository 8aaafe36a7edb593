"""Making and changing groups: members, rights, nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from isocenter.apps.accounts.models import Group, NodeGrant
from isocenter.apps.accounts.queries import group as find_group
from isocenter.apps.accounts.queries import person
from isocenter.apps.accounts.rights import (
    Principal,
    Right,
    require_to_give,
    require_to_give_nodes,
)
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.transfers.queries import node as find_node
from isocenter.core.errors import ConfigurationError


def create_group(
    name: str, *, by: Principal, description: str = "", rights: Sequence[str] = ()
) -> Group:
    """Make a group.

    Raises:
        NotAllowed: ``by`` may not, or lacks one of the rights.
        ConfigurationError: the name is taken or no name; no such right.
    """
    by.require(Right.MANAGE_PEOPLE)
    group = Group(name=_checked_name(name), description=description.strip())
    given = _checked_rights(rights)
    require_to_give(by, given)
    group.rights = [str(right) for right in given]
    with transaction.atomic():
        try:
            with transaction.atomic():
                group.save(force_insert=True)
        except IntegrityError:
            raise ConfigurationError(f"there is a group {group.name} already") from None
        _record(by, group, made=True, rights=group.rights)
    return group


def change_group(
    name: str,
    *,
    by: Principal,
    new_name: str | None = None,
    description: str | None = None,
    rights: Sequence[str] | None = None,
) -> Group:
    """Change a group; None leaves things as they are.

    Raises:
        NotAllowed: ``by`` may not, or lacks a right that the group has or would get.
        ConfigurationError: the new name is taken or no name; no such right.
        NotFound: no such group.
    """
    with transaction.atomic():
        group = _locked(name, by)
        if new_name is not None:
            group.name = _checked_name(new_name)
        if description is not None:
            group.description = description.strip()
        detail: dict[str, Any] = {}
        if rights is not None:
            given = _checked_rights(rights)
            require_to_give(by, given)
            detail = {"rights_before": group.rights, "rights": [str(right) for right in given]}
            group.rights = detail["rights"]
        try:
            with transaction.atomic():
                group.save()
        except IntegrityError:
            raise ConfigurationError(f"there is a group {group.name} already") from None
        if group.name != name:
            detail["name_before"] = name
        _record(by, group, **detail)
    return group


def remove_group(name: str, *, by: Principal) -> None:
    """Remove a group; its members stay people, and lose what it gave.

    Raises:
        NotAllowed: ``by`` may not, or has less than the group.
        NotFound: no such group.
    """
    with transaction.atomic():
        group = _locked(name, by)
        _record(by, group, removed=True)
        group.delete()


def add_member(name: str, username: str, *, by: Principal) -> Group:
    """Take somebody into a group.

    Raises:
        NotAllowed: ``by`` may not, or has less than the group.
        NotFound: no such group or person.
    """
    with transaction.atomic():
        group, user = _locked(name, by), person(username)
        _require_nodes(group, by)
        if not group.members.filter(pk=user.pk).exists():
            group.members.add(user)
            _record(by, group, added=user.username)
    return group


def remove_member(name: str, username: str, *, by: Principal) -> Group:
    """Take somebody out of a group.

    Raises:
        NotAllowed: ``by`` may not, or has less than the group.
        NotFound: no such group or person.
    """
    with transaction.atomic():
        group, user = _locked(name, by), person(username)
        if group.members.filter(pk=user.pk).exists():
            group.members.remove(user)
            if user.active_group_id == group.pk:
                user.active_group = None
                user.save(update_fields=["active_group"])
            _record(by, group, taken_out=user.username)
    return group


def grant_node(name: str, node: str, *, by: Principal, source: bool, destination: bool) -> Group:
    """Let members fetch from a node, send to it, both, or (both False) neither any more.

    Raises:
        NotAllowed: ``by`` may not, has less than the group, or may not use the node so.
        NotFound: no such group or node.
    """
    with transaction.atomic():
        group, found = _locked(name, by), find_node(node)
        had = NodeGrant.objects.filter(group=group, node=found).first()
        gives_source = source and not (had and had.can_be_source)
        gives_destination = destination and not (had and had.can_be_destination)
        require_to_give_nodes(
            by,
            sources=[found.name] if gives_source else (),
            destinations=[found.name] if gives_destination else (),
        )
        if source or destination:
            NodeGrant.objects.update_or_create(
                group=group,
                node=found,
                defaults={"can_be_source": source, "can_be_destination": destination},
            )
        else:
            NodeGrant.objects.filter(group=group, node=found).delete()
        _record(by, group, node=found.name, source=source, destination=destination)
    return group


def _locked(name: str, by: Principal) -> Group:
    """A group that ``by`` has power over, locked."""
    by.require(Right.MANAGE_PEOPLE)
    group = Group.objects.select_for_update().get(pk=find_group(name).pk)
    require_to_give(by, _known(group.rights))
    return group


def _require_nodes(group: Group, by: Principal) -> None:
    """That ``by`` may use the nodes that a new member gets."""
    grants = list(group.node_grants.select_related("node"))
    require_to_give_nodes(
        by,
        sources=[grant.node.name for grant in grants if grant.can_be_source],
        destinations=[grant.node.name for grant in grants if grant.can_be_destination],
    )


def _checked_name(name: str) -> str:
    """A name that can stand in the address of a page; of dots alone browsers make other places."""
    name = name.strip()
    if name == "new":
        raise ConfigurationError("'new' cannot be the name of a group: a page has it")
    if not name.strip(".") or len(name) > 64 or not name.isprintable() or "/" in name:
        raise ConfigurationError(
            f"{name[:64]!r} cannot be the name of a group",
            hint="1 to 64 characters, no slash, and not of dots alone",
        )
    return name


def _checked_rights(names: Iterable[str]) -> list[Right]:
    wanted = sorted(set(names))
    known = {str(right) for right in Right}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigurationError(
            f"no right {', '.join(unknown)}", hint=f"rights are {', '.join(Right)}"
        )
    return [Right(name) for name in wanted]


def _known(names: Iterable[str]) -> list[Right]:
    known = {str(right) for right in Right}
    return [Right(name) for name in names if name in known]


def _record(by: Principal, group: Group, **detail: Any) -> None:
    record(Kind.GROUP_CHANGED, actor=by.name, group=group.name, **detail)
