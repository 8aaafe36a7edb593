"""From a complete study to runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import transaction

from isocenter.apps.archive.models import Revision
from isocenter.apps.audit import services as audit
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.routing.matching import matching
from isocenter.apps.routing.models import Pipeline, Route, RouteEvaluation, Run, RunStep
from isocenter.apps.routing.pipelines import check_steps, deidentifies
from isocenter.apps.routing.schedule import schedule_run
from isocenter.apps.routing.steps.base import StepParameters
from isocenter.apps.routing.steps.registry import step as step_of
from isocenter.core.errors import PipelineError


def evaluate(revision: Revision, routes: Collection[int] | None = None) -> list[Run]:
    """Ask routes about a revision and start the runs of those that match. Twice does no harm.

    Args:
        routes: ids; default: all. Routes that are switched off are never asked.

    Returns:
        the runs that were started now, highest priority first.
    """
    asked = Route.objects.filter(enabled=True).select_related("pipeline")
    if routes is not None:
        asked = asked.filter(pk__in=list(routes))
    runs = []
    with transaction.atomic():
        ordered = list(asked.order_by("-priority", "name"))
        for route, matched, reason in matching(ordered, revision.study):
            _, is_new = RouteEvaluation.objects.get_or_create(
                route=route, revision=revision, defaults={"matched": matched, "reason": reason}
            )
            if is_new and matched:
                runs.append(start_run(revision, route.pipeline, route=route))
    return runs


def start_run(
    revision: Revision,
    pipeline: Pipeline,
    *,
    route: Route | None = None,
    destinations: Sequence[str] | None = None,
    priority: int | None = None,
    deidentified_only: bool = False,
    actor: str = "",
) -> Run:
    """Queue a pipeline on a revision.

    Args:
        destinations: nodes; default: the route's.
        priority: default: the route's.
        deidentified_only: nothing identified may leave, whatever the route says.

    Raises:
        PipelineError: the pipeline cannot be used any more, or nothing identified may leave and
            the pipeline does not de-identify.
    """
    is_strict = deidentified_only or (route is not None and route.deidentified_only)
    if is_strict and not deidentifies(pipeline.steps):
        by = f" by the route {route.name}" if route is not None else ""
        raise PipelineError(
            f"nothing identified may leave{by}, and the pipeline {pipeline.name} does not "
            "de-identify before everything that it delivers"
        )
    nodes = list(route.destinations if destinations is None and route else destinations or ())
    steps = _steps(pipeline.steps, nodes)
    parameters = check_steps(steps, known_nodes=None)
    with transaction.atomic():
        _cancel_older(revision, pipeline, route.name if route else "")
        run = Run.objects.create(
            route=route,
            pipeline=pipeline,
            route_name=route.name if route else "",
            pipeline_name=pipeline.name,
            definition={"steps": steps, "destinations": nodes},
            deidentified_only=is_strict,
            study=revision.study,
            revision=revision,
            priority=priority if priority is not None else (route.priority if route else 0),
            actor=actor,
        )
        RunStep.objects.bulk_create(_rows(run, steps, parameters))
        schedule_run(run.pk, run.priority)
    return run


def _rows(
    run: Run, steps: Sequence[Mapping[str, Any]], parameters: Sequence[StepParameters]
) -> list[RunStep]:
    return [
        RunStep(
            run=run,
            index=index,
            name=item["step"],
            version=step_of(item["step"]).version,
            parameters=checked.model_dump(mode="json"),
        )
        for index, (item, checked) in enumerate(zip(steps, parameters, strict=True), start=1)
    ]


def _steps(steps: Sequence[Mapping[str, Any]], nodes: Sequence[str]) -> list[dict[str, Any]]:
    """The steps, with a delivery at the end where a route has destinations and no step sends."""
    copied = [dict(item) for item in steps]
    if nodes and not any(item["step"] == "deliver" for item in copied):
        copied.append({"step": "deliver", "with": {}})
    if not copied:
        raise PipelineError("the pipeline has no steps")
    return copied


def _cancel_older(revision: Revision, pipeline: Pipeline, route_name: str) -> None:
    """Runs on older revisions that nobody has begun would make what is superseded at once."""
    older = Run.objects.select_for_update().filter(
        study=revision.study,
        pipeline_name=pipeline.name,
        route_name=route_name,  # another route sends to other places
        state=Run.State.QUEUED,
        started_at__isnull=True,
        revision__number__lt=revision.number,
    )
    for run in older:
        run.state = Run.State.CANCELLED
        run.reason = f"revision {revision.number} of the study came before this run began"
        run.save(update_fields=["state", "reason"])
        run.steps.update(state=RunStep.State.CANCELLED)
        audit.record(
            Kind.PROCESSING_CANCELLED,
            study_uid=revision.study.study_uid,
            run=str(run.pk),
            pipeline=run.pipeline_name,
            reason=run.reason,
        )
