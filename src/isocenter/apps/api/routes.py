"""Routes: which studies go through which pipeline, and where to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import actor, needs
from isocenter.apps.api.identity import may_identify
from isocenter.apps.api.paging import whole
from isocenter.apps.api.schemas import Command, Moment, PageOf, Row, with_problems
from isocenter.apps.routing import queries, rows, services

router = Router(tags=["routes"])


class RouteRow(Row):
    """A route in a list."""

    name: str
    enabled: bool
    disabled_reason: str
    priority: int = Field(description="higher is asked first")
    condition: str | None = Field(
        description="empty: every study; null without `view-identified`, for it may name a patient"
    )
    pipeline: str
    destinations: list[str]


class RouteDetail(RouteRow):
    """A route as it was written."""

    description: str
    deidentified_only: bool
    completion: dict[str, Any]
    steps: list[dict[str, Any]] = Field(description="of its pipeline")
    changed_at: Moment


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
    changed_at: datetime | None = Field(
        None, description="of what was read: refused (409) when somebody changed it since"
    )


class NewRoute(RouteChange):
    """A route that is not there yet."""

    name: str


class Off(Command):
    """Why, for whoever sees it."""

    reason: str = Field("", max_length=1000)


@router.get("/routes", response=with_problems(PageOf[RouteRow]), auth=needs(Right.VIEW))
def list_routes(request: HttpRequest) -> Any:
    """Routes in the order in which they are asked."""
    return whole([_shown(request, rows.route_row(item)) for item in queries.routes()])


@router.post("/routes", response=with_problems(RouteDetail, 201), auth=needs(Right.MANAGE_ROUTES))
def make_route(request: HttpRequest, route: NewRoute) -> Any:
    """Make a route. What is wrong with it is said by path."""
    services.save("route", _document(route.name, route), actor=actor(request), is_new=True)
    return Status(201, _detail(request, route.name))


@router.get("/routes/{name}", response=with_problems(RouteDetail), auth=needs(Right.VIEW))
def get_route(request: HttpRequest, name: str) -> Any:
    """One route, with the steps of its pipeline."""
    return _detail(request, name)


@router.put("/routes/{name}", response=with_problems(RouteDetail), auth=needs(Right.MANAGE_ROUTES))
def change_route(request: HttpRequest, name: str, route: RouteChange) -> Any:
    """Set a route to exactly these values."""
    document = _document(name, route)
    services.save("route", document, actor=actor(request), expected=route.changed_at)
    return _detail(request, name)


@router.delete("/routes/{name}", response=with_problems(None, 204), auth=needs(Right.MANAGE_ROUTES))
def remove_route(request: HttpRequest, name: str) -> Any:
    """Remove a route. Runs that it started stay, and go on."""
    services.remove("route", name, actor=actor(request))
    return Status(204, None)


@router.post(
    "/routes/{name}/enable", response=with_problems(RouteRow), auth=needs(Right.MANAGE_ROUTES)
)
def enable_route(request: HttpRequest, name: str) -> Any:
    """Switch a route on; refused with the reason when it cannot work as it is."""
    return _shown(request, rows.route_row(services.set_enabled(name, True, actor=actor(request))))


@router.post(
    "/routes/{name}/disable", response=with_problems(RouteRow), auth=needs(Right.MANAGE_ROUTES)
)
def disable_route(request: HttpRequest, name: str, off: Off | None = None) -> Any:
    """Switch a route off. Runs that it started go on."""
    reason = off.reason if off else ""
    route = services.set_enabled(name, False, reason=reason, actor=actor(request))
    return _shown(request, rows.route_row(route))


def _shown(request: HttpRequest, row: dict[str, Any]) -> dict[str, Any]:
    return row if may_identify(request) else row | {"condition": None}


def _detail(request: HttpRequest, name: str) -> dict[str, Any]:
    found = queries.route(name)
    return _shown(request, rows.route_row(found)) | {
        "description": found.description,
        "deidentified_only": found.deidentified_only,
        "completion": dict(found.completion),
        "steps": list(found.pipeline.steps),
        "changed_at": found.changed_at.isoformat(),
    }


def _document(name: str, route: RouteChange) -> dict[str, Any]:
    return route.model_dump(exclude_none=True, exclude={"changed_at"}) | {"name": name}
