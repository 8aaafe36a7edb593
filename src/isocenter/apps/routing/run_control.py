"""What people do with runs: cancel, retry, prioritise, start by hand."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from isocenter.apps.audit import services as audit
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.routing import artifacts, leaving, queries
from isocenter.apps.routing.evaluation import start_run
from isocenter.apps.routing.models import Delivery, DeliveryItem, Run, RunStep
from isocenter.apps.routing.schedule import schedule_delivery, schedule_run
from isocenter.core.errors import NotFound, RoutingError

_OVER = (Run.State.DONE, Run.State.FAILED, Run.State.CANCELLED)
_OPEN_DELIVERIES = (Delivery.State.QUEUED, Delivery.State.WAITING, Delivery.State.SENDING)


def cancel_run(run_id: uuid.UUID | str, *, actor: str = "") -> Run:
    """Stop a run and what it has not sent yet. A running step ends within a second.

    Raises:
        NotFound: no such run.
        RoutingError: everything about it is over already.
    """
    with transaction.atomic():
        run = _locked(run_id)
        stopped = cancel_deliveries(run, actor)
        if run.state in _OVER and not stopped:
            raise RoutingError(f"run {run.pk} is {run.state} already")
        _record(Kind.RUN_CANCELLED, run, actor)
        if run.state == Run.State.RUNNING:
            run.cancel_requested = True
            run.save(update_fields=["cancel_requested"])
        elif run.state == Run.State.QUEUED:
            run.state, run.reason = Run.State.CANCELLED, "cancelled before it began"
            run.finished_at = timezone.now()
            run.save(update_fields=["state", "reason", "finished_at"])
            run.steps.exclude(state=RunStep.State.DONE).update(state=RunStep.State.CANCELLED)
            audit.record(
                Kind.PROCESSING_CANCELLED,
                study_uid=run.study.study_uid,
                actor=actor,
                run=str(run.pk),
                pipeline=run.pipeline_name,
            )
    return run


def retry_run(
    run_id: uuid.UUID | str, *, from_step: str | int | None = None, actor: str = ""
) -> Run:
    """Do a run again from its first step that is not done, or from a given step.

    What a step made and still has is not made again: it stays, with its UIDs.

    Args:
        from_step: name or number.

    Raises:
        NotFound: no such run or step.
        RoutingError: the run is not over, or a newer revision's run has taken its place.
    """
    with transaction.atomic():
        run = _locked(run_id)
        if run.state not in _OVER:
            raise RoutingError(f"run {run.pk} is {run.state}; cancel it first")
        newer = artifacts.newer_run(run, of_route=True)
        if newer is not None:
            raise RoutingError(
                f"the study has revision {newer.revision.number} since; its run is {newer.pk}",
                hint="retry that one",
            )
        if run.state == Run.State.DONE and from_step is None:
            raise RoutingError(f"run {run.pk} is done", hint="name the step: --from-step NAME")
        first = _first_step(run, from_step)
        # A run can fail after its last step; then nothing but the end is done again.
        run.steps.filter(index__gte=first.index if first else 1 << 30).update(
            state=RunStep.State.PENDING,
            progress=0,
            message="",
            reason="",
            result={},
            started_at=None,
            finished_at=None,
        )
        run.state, run.reason, run.trace = Run.State.QUEUED, "", ""
        run.finished_at, run.cancel_requested, run.outputs_dropped_at = None, False, None
        run.save()
        schedule_run(run.pk, run.priority)
        _record(Kind.RUN_RETRIED, run, actor, from_step=first.name if first else "")
    return run


def rerun(run_id: uuid.UUID | str, *, actor: str = "") -> Run:
    """Start the same again on the newest revision: the route as it is now, where it still is,
    else the pipeline with the destinations that it had.

    Raises:
        NotFound: no such run, or its pipeline is gone.
        RoutingError: the pipeline cannot be used any more.
    """
    run = queries.run(run_id)
    if run.route is not None and run.route.pipeline.name == run.pipeline_name:
        return start(run.study.study_uid, route_name=run.route.name, actor=actor)
    return start(
        run.study.study_uid,
        pipeline_name=run.pipeline_name,
        destinations=tuple(run.definition.get("destinations", ())),
        deidentified_only=leaving.is_strict(run),
        actor=actor,
    )


def prioritise(run_id: uuid.UUID | str, priority: int, *, actor: str = "") -> Run:
    """Set a run's priority; a queued one is put into the queue with it.

    Raises:
        NotFound: no such run.
        RoutingError: it is over.
    """
    with transaction.atomic():
        run = _locked(run_id)
        if run.state in _OVER:
            raise RoutingError(f"run {run.pk} is {run.state} already")
        run.priority = priority
        run.save(update_fields=["priority"])
        if run.state == Run.State.QUEUED:
            # The older job finds the run taken, and does nothing.
            schedule_run(run.pk, priority)
        _record(Kind.RUN_PRIORITISED, run, actor, priority=priority)
    return run


def start(
    study_uid: str,
    *,
    route_name: str = "",
    pipeline_name: str = "",
    destinations: tuple[str, ...] = (),
    priority: int | None = None,
    deidentified_only: bool = False,
    actor: str = "",
) -> Run:
    """Start a run by hand on the newest revision of a study, whatever the condition says.

    Args:
        deidentified_only: nothing identified may leave, whatever the route says.

    Raises:
        NotFound: no such study, route or pipeline, or the study was never complete.
    """
    with transaction.atomic():
        study = queries.study_with_revision(study_uid)
        revision = study.revisions.order_by("-number").first()
        if revision is None:
            raise NotFound(
                f"study {study_uid} is not complete yet",
                hint=f"isocenter studies complete {study_uid}",
            )
        route = queries.route(route_name) if route_name else None
        run = start_run(
            revision,
            route.pipeline if route else queries.pipeline(pipeline_name),
            route=route,
            destinations=(destinations or None) if route else destinations,
            priority=priority,
            deidentified_only=deidentified_only,
            actor=actor,
        )
        _record(Kind.RUN_STARTED, run, actor)
    return run


def retry_delivery(delivery: Delivery, *, actor: str = "") -> None:
    """Send again what was not sent, refused items included, with all its attempts.

    Args:
        actor: whose wish it is; empty where the caller writes the event.

    Raises:
        RoutingError: it is at work already.
    """
    with transaction.atomic():
        row = Delivery.objects.select_for_update().select_related("run").get(pk=delivery.pk)
        if row.state in _OPEN_DELIVERIES:
            raise RoutingError(f"the delivery to {row.node_name} is {row.state}")
        row.items.filter(state=DeliveryItem.State.REFUSED).update(
            state=DeliveryItem.State.PENDING, status=None, note=""
        )
        row.state, row.reason, row.attempts = Delivery.State.QUEUED, "", 0
        row.next_attempt_at = row.finished_at = None
        row.cancel_requested = False
        row.save()
        schedule_delivery(row.pk, row.run.priority)
        if actor:
            audit.record(
                Kind.SENDING_RETRY,
                study_uid=row.study.study_uid,
                actor=actor,
                run=str(row.run_id),
                node=row.node_name,
                by_hand=True,
            )


def cancel_deliveries(run: Run, actor: str = "") -> int:
    """Stop what a run has not sent yet, in the caller's transaction; how many deliveries."""
    open_rows = run.deliveries.select_for_update().filter(state__in=_OPEN_DELIVERIES)
    stopped = 0
    for row in open_rows:
        stopped += 1
        if row.state == Delivery.State.SENDING:
            row.cancel_requested = True
        else:
            row.state, row.reason = Delivery.State.CANCELLED, "cancelled"
            row.finished_at, row.next_attempt_at = timezone.now(), None
            audit.record(
                Kind.SENDING_FAILED,
                study_uid=run.study.study_uid,
                actor=actor,
                run=str(run.pk),
                node=row.node_name,
                reason="cancelled",
            )
        row.save()
    return stopped


def _first_step(run: Run, from_step: str | int | None) -> RunStep | None:
    steps = list(run.steps.all())
    if from_step is None:
        over = (RunStep.State.DONE, RunStep.State.SKIPPED)
        return next((item for item in steps if item.state not in over), None)
    text = str(from_step)
    for item in steps:
        if text in (item.name, str(item.index)):
            return item
    listed = ", ".join(f"{item.index} {item.name}" for item in steps)
    raise NotFound(f"run {run.pk} has no step {text!r}", hint=f"its steps: {listed}")


def _locked(run_id: uuid.UUID | str) -> Run:
    run = queries.run(run_id)
    return Run.objects.select_for_update().get(pk=run.pk)


def _record(kind: Kind, run: Run, actor: str, **detail: Any) -> None:
    audit.record(
        kind,
        study_uid=run.study.study_uid,
        actor=actor,
        run=str(run.pk),
        pipeline=run.pipeline_name,
        route=run.route_name,
        **detail,
    )
