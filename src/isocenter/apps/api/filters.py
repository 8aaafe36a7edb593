"""Searches of the worklist that people keep."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import needs
from isocenter.apps.api.identity import may_identify
from isocenter.apps.api.paging import whole
from isocenter.apps.api.schemas import Command, PageOf, Row, with_problems
from isocenter.apps.archive.queries import IDENTIFYING
from isocenter.apps.web import queries, services
from isocenter.apps.web.models import SavedFilter

router = Router(tags=["studies"])

Values = dict[str, str | list[str]]


class FilterRow(Row):
    """A search that somebody keeps."""

    id: int
    name: str
    owner: str
    is_mine: bool
    group: str = Field(description="which sees it too; empty: nobody else does")
    values: Values = Field(description="fields of the search form; identity only for those who may")
    created_at: datetime


class NewFilter(Command):
    """A search to be kept; one of the same name is written over."""

    name: str = Field(max_length=64)
    values: Values = Field(description='fields of the worklist\'s search, `{"modalities": "CT"}`')
    group: str = Field("", max_length=64, description="a group of one's own that shall see it")


@router.get("/filters", response=with_problems(PageOf[FilterRow]), auth=needs(Right.VIEW))
def list_filters(request: HttpRequest) -> Any:
    """One's own searches, and those that others share with one's groups."""
    return whole([_row(request, item) for item in queries.saved_filters(principal_of(request))])


@router.post("/filters", response=with_problems(FilterRow, 201), auth=needs(Right.VIEW))
def save_filter(request: HttpRequest, given: NewFilter) -> Any:
    """Keep a search."""
    values = services.search_values(given.values)
    principal = principal_of(request)
    return Status(
        201,
        _row(request, services.save_filter(principal, given.name, values, group=given.group)),
    )


@router.delete("/filters/{filter_id}", response=with_problems(None, 204), auth=needs(Right.VIEW))
def delete_filter(request: HttpRequest, filter_id: str) -> Any:
    """Forget one of one's own searches."""
    number = int(filter_id) if filter_id.isdecimal() and len(filter_id) < 19 else 0
    services.delete_filter(principal_of(request), number)
    return Status(204, None)


def _row(request: HttpRequest, item: SavedFilter) -> dict[str, Any]:
    hidden = frozenset() if may_identify(request) else IDENTIFYING
    return {
        "id": item.pk,
        "name": item.name,
        "owner": item.owner.get_username(),
        "is_mine": item.owner_id == principal_of(request).user_id,
        "group": item.group.name if item.group else "",
        "values": {key: value for key, value in item.values.items() if key not in hidden},
        "created_at": item.created_at,
    }
