"""A worker that is told to end gives back at once what it has begun."""

from __future__ import annotations

import structlog
from django.db import transaction

from isocenter.apps.routing.leases import LeaseLost, held_here
from isocenter.apps.routing.models import Delivery, Run, RunStep
from isocenter.apps.routing.schedule import schedule_delivery, schedule_run

log = structlog.get_logger(__name__)


def give_back() -> int:
    """Queue again what threads of this process hold; their next write finds the lease gone.

    Returns:
        how many runs and deliveries.
    """
    count = 0
    for lease in held_here():
        try:
            with transaction.atomic(), lease.guard() as row:
                _queue(row)
        except LeaseLost:  # it ended meanwhile
            continue
        count += 1
        log.info("given_back", what=lease.model.__name__.lower(), key=str(lease.key))
    return count


def _queue(row: Run | Delivery) -> None:
    row.lease_token = row.lease_until = None
    if isinstance(row, Run):
        row.state = Run.State.QUEUED
        row.worker = ""
        # Pending, not interrupted: an orderly end says nothing about the step.
        row.steps.filter(state=RunStep.State.RUNNING).update(
            state=RunStep.State.PENDING, progress=0, message=""
        )
        row.save()
        schedule_run(row.pk, row.priority)
    else:
        row.state = Delivery.State.QUEUED
        row.save()
        schedule_delivery(row.pk, row.run.priority)
