"""The list of routes with what they did lately."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone

from isocenter.apps.routing import queries
from isocenter.apps.routing.conditions import IDENTIFYING, check, words_of
from isocenter.apps.routing.models import Pipeline, Route, RouteEvaluation, Run
from isocenter.apps.transfers import queries as transfers
from isocenter.core.errors import ConditionError

LATELY = timedelta(days=7)


@dataclass(frozen=True)
class RouteRow:
    """One route of the list, with counts of the last seven days."""

    route: Route
    place: int
    is_first: bool
    is_last: bool
    asked: int
    matched: int
    done: int
    failed: int
    unknown_nodes: tuple[str, ...]
    asks_patient: bool  # such a condition is shown to those who may know patients


@dataclass(frozen=True)
class PipelineRow:
    """One pipeline of the list."""

    pipeline: Pipeline
    routes: tuple[Route, ...]
    done: int
    failed: int


def route_rows() -> list[RouteRow]:
    """Routes in the order in which they are asked."""
    routes = queries.routes()
    since = timezone.now() - LATELY
    asked = _by(
        RouteEvaluation.objects.filter(at__gte=since),
        "route_id",
        asked=Count("pk"),
        matched=Count("pk", filter=Q(matched=True)),
    )
    runs = _run_counts("route_id")
    nodes = {node.name for node in transfers.nodes()} | {"return-to-sender"}
    return [
        RouteRow(
            route=route,
            place=place,
            is_first=place == 1,
            is_last=place == len(routes),
            asked=asked.get(route.pk, {}).get("asked", 0),
            matched=asked.get(route.pk, {}).get("matched", 0),
            done=runs.get(route.pk, {}).get("done", 0),
            failed=runs.get(route.pk, {}).get("failed", 0),
            unknown_nodes=tuple(name for name in route.destinations if name not in nodes),
            asks_patient=_asks_patient(route.condition),
        )
        for place, route in enumerate(routes, start=1)
    ]


def pipeline_rows() -> list[PipelineRow]:
    """Pipelines by name, with the routes that use them."""
    runs = _run_counts("pipeline_id")
    found = Pipeline.objects.prefetch_related("routes").order_by("name")
    return [
        PipelineRow(
            pipeline=item,
            routes=tuple(sorted(item.routes.all(), key=lambda route: route.name)),
            done=runs.get(item.pk, {}).get("done", 0),
            failed=runs.get(item.pk, {}).get("failed", 0),
        )
        for item in found
    ]


def _asks_patient(condition: str) -> bool:
    try:
        return bool(words_of(check(condition)) & IDENTIFYING)
    except ConditionError:  # what cannot be read may hold anything
        return True


def _run_counts(field: str) -> dict[Any, dict[str, int]]:
    return _by(
        Run.objects.filter(created_at__gte=timezone.now() - LATELY),
        field,
        done=Count("pk", filter=Q(state=Run.State.DONE)),
        failed=Count("pk", filter=Q(state=Run.State.FAILED)),
    )


def _by(rows: Any, field: str, **counts: Count) -> dict[Any, dict[str, int]]:
    return {row.pop(field): row for row in rows.order_by().values(field).annotate(**counts)}
