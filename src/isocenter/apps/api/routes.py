"""Routes: which studies go through which pipeline, and where to."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.content import text_of
from isocenter.apps.api.definitions import apply_one
from isocenter.apps.api.errors import Conflict
from isocenter.apps.api.guard import needs
from isocenter.apps.api.paging import whole
from isocenter.apps.api.schemas import Command, PageOf, Row, with_problems
from isocenter.apps.archive import queries as archive
from isocenter.apps.routing import queries, rows, services

router = Router(tags=["routes"])

YAML = "application/yaml; charset=utf-8"


class RouteRow(Row):
    """A route in a list."""

    name: str
    enabled: bool
    disabled_reason: str
    priority: int = Field(description="higher is asked first")
    condition: str = Field(description="empty: every study")
    pipeline: str
    destinations: list[str]


class RouteDetail(RouteRow):
    """A route as it was written."""

    description: str
    deidentified_only: bool
    completion: dict[str, Any]
    steps: list[dict[str, Any]] = Field(description="of its pipeline")


class Completion(Command):
    """When a study counts as complete for this route; null: as everywhere."""

    debounce_s: float | None = None
    min_instances: int | None = None
    force_complete_s: float | None = None
    on_timeout: str | None = Field(None, description="`process` or `hold`")


class RouteChange(Command):
    """A route as it shall be; what is left out gets its default."""

    description: str = ""
    enabled: bool = True
    disabled_reason: str = ""
    priority: int = 0
    condition: str = ""
    pipeline: str
    destinations: list[str] = []
    deidentified_only: bool = False
    completion: Completion = Completion()


class NewRoute(RouteChange):
    """A route that is not there yet."""

    name: str


class Off(Command):
    """Why, for whoever sees it."""

    reason: str = Field("", max_length=1000)


class Order(Command):
    """Names of all routes, the first asked first."""

    names: list[str]


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


class TestRoutes(Command):
    """What to ask."""

    routes: list[str] = Field([], max_length=200, description="empty: all")
    studies: list[str] = Field([], max_length=200, description="UIDs; empty: the newest")
    limit: int = Field(20, ge=1, le=200, description="how many of the newest")


class Checked(Row):
    """That a file is fine, and what it names."""

    nodes: list[str]
    pipelines: list[str]
    routes: list[str]


@router.get("/routes", response=with_problems(PageOf[RouteRow]), auth=needs(Right.VIEW))
def list_routes(request: HttpRequest) -> Any:
    """Routes in the order in which they are asked."""
    return whole([rows.route_row(item) for item in queries.routes()])


@router.post("/routes", response=with_problems(RouteDetail, 201), auth=needs(Right.MANAGE_ROUTES))
def make_route(request: HttpRequest, route: NewRoute) -> Any:
    """Make a route. What is wrong with it is said by path, in a condition by position."""
    if any(item.name == route.name for item in queries.routes()):
        raise Conflict(f"there is a route {route.name} already")
    apply_one("routes", _document(route.name, route))
    return Status(201, _detail(route.name))


@router.get(
    "/routes/export",
    auth=needs(Right.VIEW),
    response=with_problems(str),
    openapi_extra={"responses": {200: {"content": {"application/yaml": {}}}}},
)
def export_routes(request: HttpRequest, given: Query[Names]) -> Any:
    """Routes with their pipelines as YAML that `import` takes; all of them, or those named."""
    return HttpResponse(services.export_yaml(given.name or None), content_type=YAML)


@router.post(
    "/routes/import",
    response=with_problems(list[ChangeRow]),
    auth=needs(Right.MANAGE_ROUTES),
    openapi_extra={"requestBody": {"content": {"application/yaml": {}}, "required": True}},
)
def import_routes(request: HttpRequest) -> Any:
    """Make and change the pipelines and routes of a YAML file: all of it or nothing."""
    text = text_of(request)
    _require_nodes(request, text)
    changes = services.apply_yaml(text, where="the file")
    return [{"kind": item.kind, "name": item.name, "change": item.change} for item in changes]


@router.post(
    "/routes/check",
    response=with_problems(Checked),
    auth=needs(Right.MANAGE_ROUTES),
    openapi_extra={"requestBody": {"content": {"application/yaml": {}}, "required": True}},
)
def check_routes(request: HttpRequest) -> Any:
    """Say everything that is wrong with a YAML file; nothing is changed."""
    file = services.check_yaml(text_of(request), where="the file")
    return {
        kind: [item.name for item in getattr(file, kind)]
        for kind in ("nodes", "pipelines", "routes")
    }


@router.post("/routes/test", response=with_problems(list[MatchRow]), auth=needs(Right.VIEW))
def test_routes(request: HttpRequest, test: TestRoutes) -> Any:
    """Which stored studies routes would match, and why or why not. Nothing is started."""
    if test.studies:
        studies = [archive.study(uid) for uid in test.studies]
    else:
        studies = archive.studies(limit=test.limit)
    return queries.test_routes(test.routes, studies)


@router.get("/routes/{name}", response=with_problems(RouteDetail), auth=needs(Right.VIEW))
def get_route(request: HttpRequest, name: str) -> Any:
    """One route, with the steps of its pipeline."""
    return _detail(name)


@router.put("/routes/{name}", response=with_problems(RouteDetail), auth=needs(Right.MANAGE_ROUTES))
def change_route(request: HttpRequest, name: str, route: RouteChange) -> Any:
    """Set a route to exactly these values."""
    queries.route(name)
    apply_one("routes", _document(name, route))
    return _detail(name)


@router.post(
    "/routes/{name}/enable", response=with_problems(RouteRow), auth=needs(Right.MANAGE_ROUTES)
)
def enable_route(request: HttpRequest, name: str) -> Any:
    """Switch a route on; refused with the reason when it cannot work as it is."""
    return rows.route_row(services.set_enabled(name, True))


@router.post(
    "/routes/{name}/disable", response=with_problems(RouteRow), auth=needs(Right.MANAGE_ROUTES)
)
def disable_route(request: HttpRequest, name: str, off: Off | None = None) -> Any:
    """Switch a route off. Runs that it started go on."""
    return rows.route_row(services.set_enabled(name, False, reason=off.reason if off else ""))


def _detail(name: str) -> dict[str, Any]:
    found = queries.route(name)
    return rows.route_row(found) | {
        "description": found.description,
        "deidentified_only": found.deidentified_only,
        "completion": dict(found.completion),
        "steps": list(found.pipeline.steps),
    }


def _document(name: str, route: RouteChange) -> dict[str, Any]:
    return route.model_dump(exclude_none=True) | {"name": name}


def _require_nodes(request: HttpRequest, text: str) -> None:
    """A file may bring nodes; that is another right."""
    if services.check_yaml(text, where="the file").nodes:
        principal_of(request).require(Right.MANAGE_NODES)
