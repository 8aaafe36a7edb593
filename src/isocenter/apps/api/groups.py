"""Groups: people who may do something together."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from isocenter.apps.accounts import queries, services
from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import needs
from isocenter.apps.api.paging import by_number
from isocenter.apps.api.schemas import Command, PageOf, Paging, Row, with_problems

router = Router(tags=["groups"])

_MANAGE = needs(Right.MANAGE_PEOPLE)


class Grant(Row):
    """A node that a group may use."""

    node: str
    source: bool = Field(description="fetch from it")
    destination: bool = Field(description="send to it")


class GroupRow(Row):
    """A group."""

    name: str
    description: str
    rights: list[str] = Field(description="what its members may besides what their role says")
    members: list[str]
    nodes: list[Grant]
    created_at: datetime


class NewGroup(Command):
    """A group to be made."""

    name: str = Field(max_length=64)
    description: str = Field("", max_length=2000)
    rights: list[str] = []


class GroupChange(Command):
    """What changes; what is left out stays."""

    name: str | None = Field(None, max_length=64)
    description: str | None = Field(None, max_length=2000)
    rights: list[str] | None = None


class Use(Command):
    """What members may do with a node; neither takes it away."""

    source: bool = False
    destination: bool = False


@router.get("/groups", response=with_problems(PageOf[GroupRow]), auth=_MANAGE)
def list_groups(request: HttpRequest, given: Query[Paging]) -> Any:
    """Groups, in the order in which they were made."""
    return by_number(queries.groups(), given, queries.group_row)


@router.post("/groups", response=with_problems(GroupRow, 201), auth=_MANAGE)
def make_group(request: HttpRequest, group: NewGroup) -> Any:
    """Make a group. Nobody gives a right that they lack themselves."""
    made = services.create_group(
        group.name, by=principal_of(request), description=group.description, rights=group.rights
    )
    return Status(201, queries.group_row(made))


@router.get("/groups/{name}", response=with_problems(GroupRow), auth=_MANAGE)
def get_group(request: HttpRequest, name: str) -> Any:
    """One group with members and nodes."""
    return queries.group_row(queries.group(name))


@router.patch("/groups/{name}", response=with_problems(GroupRow), auth=_MANAGE)
def change_group(request: HttpRequest, name: str, change: GroupChange) -> Any:
    """Change name, description or rights."""
    changed = services.change_group(
        name,
        by=principal_of(request),
        new_name=change.name,
        description=change.description,
        rights=change.rights,
    )
    return queries.group_row(changed)


@router.delete("/groups/{name}", response=with_problems(None, 204), auth=_MANAGE)
def remove_group(request: HttpRequest, name: str) -> Any:
    """Remove a group; its members stay people, and lose what it gave."""
    services.remove_group(name, by=principal_of(request))
    return Status(204, None)


@router.put("/groups/{name}/members/{person}", response=with_problems(GroupRow), auth=_MANAGE)
def add_member(request: HttpRequest, name: str, person: str) -> Any:
    """Take somebody into a group."""
    return queries.group_row(services.add_member(name, person, by=principal_of(request)))


@router.delete("/groups/{name}/members/{person}", response=with_problems(GroupRow), auth=_MANAGE)
def remove_member(request: HttpRequest, name: str, person: str) -> Any:
    """Take somebody out of a group."""
    return queries.group_row(services.remove_member(name, person, by=principal_of(request)))


@router.put("/groups/{name}/nodes/{node}", response=with_problems(GroupRow), auth=_MANAGE)
def grant_node(request: HttpRequest, name: str, node: str, use: Use) -> Any:
    """Let members fetch from a node, send to it, both, or neither any more."""
    changed = services.grant_node(
        name, node, by=principal_of(request), source=use.source, destination=use.destination
    )
    return queries.group_row(changed)
