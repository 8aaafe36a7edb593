"""Pipelines: what is done with a study, step by step."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import actor, needs
from isocenter.apps.api.paging import whole
from isocenter.apps.api.schemas import Command, Moment, PageOf, Row, with_problems
from isocenter.apps.routing import queries, services
from isocenter.apps.routing.models import Pipeline

router = Router(tags=["pipelines"])


class PipelineRow(Row):
    """A pipeline."""

    name: str
    description: str
    steps: list[dict[str, Any]] = Field(description="each `{step, with}`")
    changed_at: Moment
    routes: list[str] = Field(description="those that use it")


class PipelineChange(Command):
    """A pipeline as it shall be."""

    description: str = ""
    steps: list[dict[str, Any]] = Field(description="each `{step, with}`, at least one")
    changed_at: datetime | None = Field(
        None, description="of what was read: refused (409) when somebody changed it since"
    )


class NewPipeline(PipelineChange):
    """A pipeline that is not there yet."""

    name: str


@router.get("/pipelines", response=with_problems(PageOf[PipelineRow]), auth=needs(Right.VIEW))
def list_pipelines(request: HttpRequest) -> Any:
    """All pipelines, by name."""
    found = Pipeline.objects.prefetch_related("routes").order_by("name")
    return whole([_row(item) for item in found])


@router.post(
    "/pipelines", response=with_problems(PipelineRow, 201), auth=needs(Right.MANAGE_ROUTES)
)
def make_pipeline(request: HttpRequest, pipeline: NewPipeline) -> Any:
    """Make a pipeline. What is wrong with it is said by path."""
    services.save("pipeline", _document(pipeline.name, pipeline), actor=actor(request), is_new=True)
    return Status(201, _row(queries.pipeline(pipeline.name)))


@router.get("/pipelines/{name}", response=with_problems(PipelineRow), auth=needs(Right.VIEW))
def get_pipeline(request: HttpRequest, name: str) -> Any:
    """One pipeline."""
    return _row(queries.pipeline(name))


@router.put(
    "/pipelines/{name}", response=with_problems(PipelineRow), auth=needs(Right.MANAGE_ROUTES)
)
def change_pipeline(request: HttpRequest, name: str, pipeline: PipelineChange) -> Any:
    """Set a pipeline to exactly these values. Runs that were started keep theirs."""
    document = _document(name, pipeline)
    services.save("pipeline", document, actor=actor(request), expected=pipeline.changed_at)
    return _row(queries.pipeline(name))


@router.delete(
    "/pipelines/{name}", response=with_problems(None, 204), auth=needs(Right.MANAGE_ROUTES)
)
def remove_pipeline(request: HttpRequest, name: str) -> Any:
    """Remove a pipeline that no route uses."""
    services.remove("pipeline", name, actor=actor(request))
    return Status(204, None)


def _document(name: str, pipeline: PipelineChange) -> dict[str, Any]:
    return pipeline.model_dump(exclude={"changed_at"}) | {"name": name}


def _row(item: Pipeline) -> dict[str, Any]:
    return {
        "name": item.name,
        "description": item.description,
        "steps": list(item.steps),
        "changed_at": item.changed_at.isoformat(),
        "routes": sorted(route.name for route in item.routes.all()),
    }
