"""Routes and pipelines together: YAML out and in, dry run, order, history."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.content import text_of
from isocenter.apps.api.guard import actor, needs
from isocenter.apps.api.paging import newest_first, whole
from isocenter.apps.api.routes import RouteRow
from isocenter.apps.api.schemas import Command, Moment, PageOf, Paging, Row, with_problems
from isocenter.apps.archive import queries as archive
from isocenter.apps.routing import queries, rows, services
from isocenter.apps.routing.models import RouteChange
from isocenter.core.errors import NotFound

router = Router(tags=["routing"])

_YAML: dict[str, Any] = {"content": {"application/yaml": {}}}


class Names(Schema):
    """Which routes."""

    name: list[str] = Field([], description="given several times; none: all")


class ChangeRow(Row):
    """What applying a file did to one thing."""

    kind: str
    name: str
    change: str = Field(description="`made`, `changed` or `as it was`")


class MatchRow(Row):
    """What a route says of a stored study."""

    route: str
    enabled: bool
    study_uid: str
    matched: bool
    reason: str


class DryRun(Command):
    """What to ask."""

    routes: list[str] = Field([], max_length=200, description="empty: all")
    studies: list[str] = Field([], max_length=200, description="UIDs; empty: the newest")
    limit: int = Field(20, ge=1, le=200, description="how many of the newest")


class Checked(Row):
    """That a file is fine, and what it names."""

    nodes: list[str]
    pipelines: list[str]
    routes: list[str]


class Order(Command):
    """All routes, the first asked first."""

    names: list[str]


class VersionFilter(Paging):
    """Which changes."""

    kind: Literal["", "route", "pipeline"] = ""
    name: str = Field("", max_length=64)


class VersionRow(Row):
    """A change of a route or a pipeline, with the YAML before and after it."""

    number: int
    at: Moment
    kind: str = Field(description="`route` or `pipeline`")
    name: str
    change: str = Field(description="`made`, `changed` or `removed`")
    actor: str
    note: str
    before: str
    after: str


@router.get(
    "/routing/export",
    auth=needs(Right.MANAGE_ROUTES),
    response=with_problems(str),
    openapi_extra={"responses": {200: _YAML}},
)
def export_routes(request: HttpRequest, given: Query[Names]) -> Any:
    """Routes with their pipelines as YAML that `import` takes; all of them, or those named."""
    text = services.export_yaml(given.name or None)
    return HttpResponse(text, content_type="application/yaml; charset=utf-8")


@router.post(
    "/routing/import",
    response=with_problems(list[ChangeRow]),
    auth=needs(Right.MANAGE_ROUTES),
    openapi_extra={"requestBody": {**_YAML, "required": True}},
)
def import_routes(request: HttpRequest) -> Any:
    """Make and change the pipelines and routes of a YAML file: all of it or nothing. Nodes in it
    need `manage-nodes` as well."""
    text = text_of(request)
    if services.check_yaml(text, where="the file").nodes:
        principal_of(request).require(Right.MANAGE_NODES)
    changes = services.apply_yaml(text, where="the file", actor=actor(request))
    return [{"kind": item.kind, "name": item.name, "change": item.change} for item in changes]


@router.post(
    "/routing/check",
    response=with_problems(Checked),
    auth=needs(Right.MANAGE_ROUTES),
    openapi_extra={"requestBody": {**_YAML, "required": True}},
)
def check_routes(request: HttpRequest) -> Any:
    """Say everything that is wrong with a YAML file; nothing is changed."""
    file = services.check_yaml(text_of(request), where="the file")
    return {
        kind: [item.name for item in getattr(file, kind)]
        for kind in ("nodes", "pipelines", "routes")
    }


@router.post(
    "/routing/test", response=with_problems(list[MatchRow]), auth=needs(Right.MANAGE_ROUTES)
)
def test_routes(request: HttpRequest, test: DryRun) -> Any:
    """Which stored studies routes would match, and why or why not. Nothing is started."""
    if test.studies:
        studies = [archive.study(uid) for uid in test.studies]
    else:
        studies = archive.studies(limit=test.limit)
    return queries.test_routes(test.routes, studies)


@router.put(
    "/routing/order", response=with_problems(PageOf[RouteRow]), auth=needs(Right.MANAGE_ROUTES)
)
def order_routes(request: HttpRequest, order: Order) -> Any:
    """Have routes asked in this order, by priorities that change as little as they can."""
    services.reorder(order.names, actor=actor(request))
    return whole([rows.route_row(item) for item in queries.routes()])


@router.get(
    "/routing/changes",
    response=with_problems(PageOf[VersionRow]),
    auth=needs(Right.MANAGE_ROUTES),
)
def list_changes(request: HttpRequest, given: Query[VersionFilter]) -> Any:
    """What became of routes and pipelines, the newest first."""
    found = RouteChange.objects.all()
    if given.kind:
        found = found.filter(kind=given.kind)
    if given.name:
        found = found.filter(name=given.name)
    return newest_first(found, "at", given, _version_row)


@router.post(
    "/routing/changes/{number}/restore",
    response=with_problems(ChangeRow),
    auth=needs(Right.MANAGE_ROUTES),
)
def restore_change(request: HttpRequest, number: str) -> Any:
    """Bring a route or pipeline back to what it was after a change, or before its removal."""
    if not (number.isdecimal() and len(number) < 19):
        raise NotFound(f"there is no change {number[:32]}")
    item = services.restore(int(number), actor=actor(request))
    return {"kind": item.kind, "name": item.name, "change": item.change}


def _version_row(row: RouteChange) -> dict[str, Any]:
    return {
        "number": row.pk,
        "at": row.at.isoformat(),
        "kind": row.kind,
        "name": row.name,
        "change": row.change,
        "actor": row.actor,
        "note": row.note,
        "before": row.before,
        "after": row.after,
    }
