"""What nobody works on and should: found and put back into the queue, every few seconds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from procrastinate.contrib.django.models import ProcrastinateJob

from isocenter.apps.routing import quarantining
from isocenter.apps.routing.models import Delivery, QuarantineItem, Run
from isocenter.apps.routing.schedule import (
    DELIVERY_TASK,
    RUN_TASK,
    schedule_delivery,
    schedule_run,
)

log = structlog.get_logger(__name__)
INSTANCE_RETRY_S = 600.0  # no instance takes longer through the ingest
GRACE_S = 2.0  # a row is younger than its job for a moment
BATCH = 500
_GIVEN_UP = ("failed", "cancelled")  # of runs and of deliveries


def sweep() -> int:
    """Re-queue runs and deliveries without a live lease and a live job; mend quarantine.

    Returns:
        how many rows were touched.
    """
    return (
        _sweep_runs()
        + _sweep_deliveries()
        + _quarantine_what_failed()
        + _hold_what_is_not_retried()
        + quarantining.delete_expired()
    )


def _sweep_runs() -> int:
    same = Run.objects.filter(
        study=OuterRef("study"),
        pipeline_name=OuterRef("pipeline_name"),
        state=Run.State.RUNNING,
        lease_until__gte=Now(),
    )
    dead = Q(state=Run.State.RUNNING, lease_until__lt=Now())
    waiting = Q(state=Run.State.QUEUED, created_at__lt=Now() - timedelta(seconds=GRACE_S))
    lost = Run.objects.filter(dead | (waiting & ~Exists(same))).order_by("-priority", "created_at")
    runs = list(lost[:BATCH])
    with_job = _with_job(RUN_TASK, "run_id", [str(run.pk) for run in runs])
    touched = 0
    for run in runs:
        if str(run.pk) not in with_job:
            log.warning("run_requeued", run=str(run.pk), state=run.state)
            schedule_run(run.pk, run.priority)
            touched += 1
    return touched


def _sweep_deliveries() -> int:
    states = Delivery.State
    over = Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lt=Now())
    lost = (
        Delivery.objects.filter(
            Q(state=states.SENDING, lease_until__lt=Now())
            | Q(state=states.QUEUED, created_at__lt=Now() - timedelta(seconds=GRACE_S))
            | (Q(state=states.WAITING) & over)
        )
        .select_related("run")
        .order_by("pk")
    )
    deliveries = list(lost[:BATCH])
    with_job = _with_job(DELIVERY_TASK, "delivery_id", [item.pk for item in deliveries])
    touched = 0
    for item in deliveries:
        if item.pk not in with_job:
            log.warning("delivery_requeued", delivery=item.pk, state=item.state)
            schedule_delivery(item.pk, item.run.priority)
            touched += 1
    return touched


def _with_job(task: str, key: str, values: Iterable[Any]) -> set[Any]:
    """Which of the rows have a job that will be done, or that a living worker is at.

    A job of a dead worker is put back by the worker's own maintenance, so it counts as living
    until its heartbeat is over; what is queued then is found here by the next sweep.
    """
    wanted = list(values)
    alive = Q(status="todo") | Q(
        status="doing",
        worker__last_heartbeat__gte=Now()
        - timedelta(seconds=settings.ISOCENTER.workers.dead_after_s),
    )
    jobs = ProcrastinateJob.objects.filter(alive, task_name=task, **{f"args__{key}__in": wanted})
    return {args[key] for args in jobs.values_list("args", flat=True)}


def _quarantine_what_failed() -> int:
    """A worker that died between "failed" and the quarantine left a row without an item."""
    settled = timedelta(seconds=settings.ISOCENTER.workers.dead_after_s)
    touched = 0
    runs = Run.objects.filter(state=Run.State.FAILED, finished_at__lt=Now() - settled).exclude(
        Exists(QuarantineItem.objects.filter(run=OuterRef("pk"), kind=QuarantineItem.Kind.RUN))
    )
    for run in runs[:BATCH]:
        quarantining.quarantine_run(run)
        touched += 1
    failed = Delivery.objects.filter(
        state=Delivery.State.FAILED, finished_at__lt=Now() - settled
    ).exclude(Exists(QuarantineItem.objects.filter(delivery=OuterRef("pk"))))
    for item in failed[:BATCH]:
        quarantining.quarantine_delivery(item)
        touched += 1
    return touched


def _hold_what_is_not_retried() -> int:
    """Items whose retry was cancelled, or died without a word, are a person's matter again."""
    over = Q(kind=QuarantineItem.Kind.RUN, run__state__in=_GIVEN_UP)
    over |= Q(kind=QuarantineItem.Kind.DELIVERY, delivery__state__in=_GIVEN_UP)
    over |= Q(
        kind=QuarantineItem.Kind.INSTANCE, last_at__lt=Now() - timedelta(seconds=INSTANCE_RETRY_S)
    )
    stuck = QuarantineItem.objects.filter(over, state=QuarantineItem.State.RETRYING)
    return QuarantineItem.objects.filter(pk__in=list(stuck.values_list("pk", flat=True))).update(
        state=QuarantineItem.State.HELD
    )
