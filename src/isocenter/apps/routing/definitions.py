"""Routes and pipelines as they are stored: checked, applied from YAML, exported.

Whoever changes one, and by whatever way, is in its history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from isocenter.apps.deid import queries as deid
from isocenter.apps.routing import history, leaving, queries
from isocenter.apps.routing.documents import (
    PipelineDocument,
    PipelineErrors,
    RouteDocument,
    RoutesFile,
    inside,
    read_yaml,
    write_yaml,
)
from isocenter.apps.routing.models import Pipeline, Route
from isocenter.apps.routing.pipelines import check_file, steps_as_json
from isocenter.apps.transfers import queries as transfers
from isocenter.apps.transfers import services as transfer_services
from isocenter.core.errors import PipelineError


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
    return check_definitions(read_yaml(text, where=where))


def check_definitions(data: Mapping[str, Any]) -> RoutesFile:
    """The same for what is no text any more.

    Raises:
        PipelineErrors: everything that is wrong, each with its path.
    """
    file = check_file(
        data,
        known_nodes=[item.name for item in transfers.nodes()],
        known_pipelines=dict(Pipeline.objects.values_list("name", "steps")),
        known_projects=known_projects(),
    )
    problems = _services_of_nodes(file)
    if problems:
        raise PipelineErrors(tuple(problems))
    return file


# What only this installation can judge of a node: its settings say what the receiver offers.
_SERVICES = ("allows", "demands", "wants_commitment", "url", "username", "secret")


def _services_of_nodes(file: RoutesFile) -> list[PipelineError]:
    found = []
    for index, node in enumerate(file.nodes):
        problems = transfer_services.problems_of(node.model_dump())
        found += [
            PipelineError(problems[field], path=f"nodes[{index}].{field}")
            for field in _SERVICES
            if field in problems
        ]
    return found


def known_projects() -> list[str]:
    """Projects that ``deidentify`` may name."""
    return [item.name for item in deid.projects()]


def apply_yaml(text: str, *, where: str = "the file", actor: str = "") -> list[Change]:
    """Make and change what a file names; all of it or nothing. What it does not name stays.

    Raises:
        ConfigurationError, PipelineErrors: as `check_yaml`; nothing was changed.
    """
    with transaction.atomic():
        return apply_file(check_yaml(text, where=where), actor=actor)


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
            "pipelines": [pipeline_document(item) for item in pipelines],
            "routes": [route_document(item) for item in routes],
        }
    )


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


def pipeline_document(pipeline: Pipeline) -> dict[str, Any]:
    """A pipeline as YAML has it."""
    return {
        "name": pipeline.name,
        "description": pipeline.description,
        "steps": [
            {"step": item["step"], **({"with": item["with"]} if item.get("with") else {})}
            for item in pipeline.steps
        ],
    }


def document_of(row: Route | Pipeline) -> dict[str, Any]:
    """Either as YAML has it."""
    return route_document(row) if isinstance(row, Route) else pipeline_document(row)


def apply_file(file: RoutesFile, *, actor: str, note: str = "") -> list[Change]:
    """Keep what a checked file names, in the caller's transaction.

    Raises:
        PipelineErrors: a route that is not in the file would not work any more.
    """
    nodes = [
        _apply_node(item.model_dump(exclude={"name"}), item.name, actor) for item in file.nodes
    ]
    changes = [*nodes, *(_apply_pipeline(item, actor, note) for item in file.pipelines)]
    changes += [_apply_route(item, actor, note) for item in file.routes]
    _check_other_routes(file)
    return changes


def _check_other_routes(file: RoutesFile) -> None:
    """A changed pipeline must still fit the routes that are not in the file."""
    changed = {item.name for item in file.pipelines}
    named = {item.name for item in file.routes}
    others = Route.objects.filter(enabled=True, pipeline__name__in=changed).exclude(name__in=named)
    for item in others.select_related("pipeline"):
        document = {
            "pipelines": [pipeline_document(item.pipeline)],
            "routes": [route_document(item)],
        }
        try:
            check_file(document, known_nodes=[node.name for node in transfers.nodes()])
        except PipelineErrors as error:
            reason = "; ".join(str(inside(each, "routes[0]")) for each in error.errors)
            text = f"the route {item.name} uses this pipeline and would not work any more: {reason}"
            raise PipelineErrors((PipelineError(text),)) from None


def _apply_node(values: Mapping[str, Any], name: str, actor: str) -> Change:
    before = next((item for item in transfers.nodes() if item.name == name), None)
    old = transfers.node_row(before) if before else None
    node, _ = transfer_services.save_node(name, dict(values), actor=actor)
    return _change("node", name, old, transfers.node_row(node))


def _apply_pipeline(item: PipelineDocument, actor: str, note: str) -> Change:
    before = Pipeline.objects.filter(name=item.name).first()
    old = pipeline_document(before) if before else None
    pipeline = before or Pipeline(name=item.name)
    pipeline.description, pipeline.steps = item.description, steps_as_json(item)
    return _keep(pipeline, old, actor, note)


def _apply_route(item: RouteDocument, actor: str, note: str) -> Change:
    before = Route.objects.filter(name=item.name).select_related("pipeline").first()
    old = route_document(before) if before else None
    route = before or Route(name=item.name)
    route.description = item.description
    route.enabled = item.enabled
    route.disabled_reason = "" if item.enabled else item.disabled_reason
    route.priority = item.priority
    route.condition = item.condition.strip()
    route.pipeline = Pipeline.objects.get(name=item.pipeline)
    route.destinations = list(item.destinations)
    route.deidentified_only = item.deidentified_only
    route.completion = item.completion.model_dump(mode="json", exclude_none=True)
    return _keep(route, old, actor, note)


def _keep(row: Route | Pipeline, old: dict[str, Any] | None, actor: str, note: str) -> Change:
    """Store what differs; what is as it was keeps its time of change."""
    what: history.What = "route" if isinstance(row, Route) else "pipeline"
    new = document_of(row)
    if new != old:
        row.save()
        if isinstance(row, Route):
            leaving.hold_to(row)
        history.write(what, row.name, old, new, actor=actor, note=note)
    return _change(what, row.name, old, new)


def _change(kind: str, name: str, old: object, new: object) -> Change:
    if old is None:
        return Change(kind, name, "made")
    return Change(kind, name, "as it was" if old == new else "changed")
