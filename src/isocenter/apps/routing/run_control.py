"""What people do with runs: cancel, retry, prioritise, start by hand."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils import timezone

from isocenter.apps.audit import services as audit
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.routing import artifacts, queries
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
        stopped = _cancel_deliveries(run, actor)
        if run.state in _OVER and not stopped:
            raise RoutingError(f"run {run.pk} is {run.state} already")
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
        run.finished_at, run.cancel_requested = None, False
        run.save()
        schedule_run(run.pk, run.priority)
    return run


def prioritise(run_id: uuid.UUID | str, priority: int) -> Run:
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
    return run


def start(
    study_uid: str,
    *,
    route_name: str = "",
    pipeline_name: str = "",
    destinations: tuple[str, ...] = (),
    priority: int | None = None,
    actor: str = "",
) -> Run:
    """Start a run by hand on the newest revision of a study, whatever the condition says.

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
        if route_name:
            route = queries.route(route_name)
            return start_run(
                revision,
                route.pipeline,
                route=route,
                destinations=destinations or None,
                priority=priority,
                actor=actor,
            )
        return start_run(
            revision,
            queries.pipeline(pipeline_name),
            destinations=destinations,
            priority=priority,
            actor=actor,
        )


def retry_delivery(delivery: Delivery) -> None:
    """Send again what was not sent, refused items included, with all its attempts.

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


def _cancel_deliveries(run: Run, actor: str) -> int:
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
