"""Routes and pipelines as they are stored: applied from YAML, exported, switched on and off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from isocenter.apps.routing import queries
from isocenter.apps.routing.documents import (
    PipelineDocument,
    RouteDocument,
    RoutesFile,
    read_yaml,
    write_yaml,
)
from isocenter.apps.routing.models import Pipeline, Route
from isocenter.apps.routing.pipelines import check_file, steps_as_json
from isocenter.apps.transfers import queries as transfers
from isocenter.apps.transfers import services as transfer_services


@dataclass(frozen=True)
class Change:
    """What applying a file did to one thing."""

    kind: str  # "node", "pipeline", "route"
    name: str
    change: str  # "made", "changed", "as it was"


def check_yaml(text: str, *, where: str = "the file") -> RoutesFile:
    """Check a file against what is here.

    Raises:
        ConfigurationError: no YAML.
        PipelineErrors: everything that is wrong, each with its path.
    """
    return check_file(
        read_yaml(text, where=where),
        known_nodes=[item.name for item in transfers.nodes()],
        known_pipelines=dict(Pipeline.objects.values_list("name", "steps")),
    )


def apply_yaml(text: str, *, where: str = "the file") -> list[Change]:
    """Make and change what a file names; all of it or nothing. What it does not name stays.

    Raises:
        ConfigurationError, PipelineErrors: as `check_yaml`; nothing was changed.
    """
    with transaction.atomic():
        file = check_yaml(text, where=where)
        changes = [_apply_node(item.model_dump(exclude={"name"}), item.name) for item in file.nodes]
        changes += [_apply_pipeline(item) for item in file.pipelines]
        changes += [_apply_route(item) for item in file.routes]
        _check_other_routes(file)
    return changes


def export_yaml(names: list[str] | None = None) -> str:
    """Routes with their pipelines as a file that `apply_yaml` takes.

    Args:
        names: of routes; default: all routes, and pipelines that no route uses.

    Raises:
        NotFound: no such route.
    """
    if names is None:
        routes = queries.routes()
        pipelines = list(Pipeline.objects.order_by("name"))
    else:
        routes = [queries.route(name) for name in names]
        pipelines = list({item.pipeline.name: item.pipeline for item in routes}.values())
    return write_yaml(
        {
            "pipelines": [_pipeline_document(item) for item in pipelines],
            "routes": [route_document(item) for item in routes],
        }
    )


def set_enabled(name: str, is_enabled: bool, *, reason: str = "") -> Route:
    """Switch a route on or off.

    Raises:
        NotFound: no such route.
        PipelineErrors: it cannot work as it is; it stays off.
    """
    with transaction.atomic():
        route = queries.route(name)
        if is_enabled:
            document = {
                "pipelines": [_pipeline_document(route.pipeline)],
                "routes": [route_document(route) | {"enabled": True}],
            }
            known = [item.name for item in transfers.nodes()]
            check_file(document, known_nodes=known)
        route.enabled = is_enabled
        route.disabled_reason = "" if is_enabled else reason
        route.save()
    return route


def route_document(route: Route) -> dict[str, Any]:
    """A route as YAML has it."""
    return {
        "name": route.name,
        "description": route.description,
        "enabled": route.enabled,
        **({"disabled_reason": route.disabled_reason} if route.disabled_reason else {}),
        "priority": route.priority,
        "condition": route.condition,
        "pipeline": route.pipeline.name,
        "destinations": list(route.destinations),
        **({"deidentified_only": True} if route.deidentified_only else {}),
        "completion": dict(route.completion),
    }


def _pipeline_document(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "name": pipeline.name,
        "description": pipeline.description,
        "steps": [
            {"step": item["step"], **({"with": item["with"]} if item.get("with") else {})}
            for item in pipeline.steps
        ],
    }


def _check_other_routes(file: RoutesFile) -> None:
    """A changed pipeline must still fit the routes that are not in the file."""
    changed = {item.name for item in file.pipelines}
    named = {item.name for item in file.routes}
    others = Route.objects.filter(enabled=True, pipeline__name__in=changed).exclude(name__in=named)
    if others:
        check_file(
            {
                "pipelines": [_pipeline_document(item.pipeline) for item in others],
                "routes": [route_document(item) for item in others],
            }
            | {"pipelines": _distinct(_pipeline_document(item.pipeline) for item in others)},
            known_nodes=[item.name for item in transfers.nodes()],
        )


def _distinct(documents: Any) -> list[dict[str, Any]]:
    return list({item["name"]: item for item in documents}.values())


def _apply_node(values: Mapping[str, Any], name: str) -> Change:
    before = next((item for item in transfers.nodes() if item.name == name), None)
    old = transfers.node_row(before) if before else None
    node, _ = transfer_services.save_node(name, dict(values))
    return _change("node", name, old, transfers.node_row(node))


def _apply_pipeline(item: PipelineDocument) -> Change:
    before = Pipeline.objects.filter(name=item.name).first()
    old = _pipeline_document(before) if before else None
    pipeline, _ = Pipeline.objects.update_or_create(
        name=item.name, defaults={"description": item.description, "steps": steps_as_json(item)}
    )
    return _change("pipeline", item.name, old, _pipeline_document(pipeline))


def _apply_route(item: RouteDocument) -> Change:
    before = Route.objects.filter(name=item.name).select_related("pipeline").first()
    old = route_document(before) if before else None
    route, _ = Route.objects.update_or_create(
        name=item.name,
        defaults={
            "description": item.description,
            "enabled": item.enabled,
            "disabled_reason": "" if item.enabled else item.disabled_reason,
            "priority": item.priority,
            "condition": item.condition.strip(),
            "pipeline": Pipeline.objects.get(name=item.pipeline),
            "destinations": list(item.destinations),
            "deidentified_only": item.deidentified_only,
            "completion": item.completion.model_dump(mode="json", exclude_none=True),
        },
    )
    return _change("route", item.name, old, route_document(route))


def _change(kind: str, name: str, old: object, new: object) -> Change:
    if old is None:
        return Change(kind, name, "made")
    return Change(kind, name, "as it was" if old == new else "changed")
