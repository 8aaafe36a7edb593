"""Putting work into the queue, in the transaction of the rows that it belongs to."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from isocenter.runtime.queue import DELIVERIES, RUNS, app

RUN_TASK = "routing.run_pipeline"
DELIVERY_TASK = "routing.deliver"


def schedule_run(run_id: uuid.UUID, priority: int, *, at: datetime | None = None) -> None:
    """Have a worker look at a run, now or at a time. Twice does no harm: runs are claimed."""
    _defer(RUN_TASK, RUNS, priority, at, run_id=str(run_id))


def schedule_delivery(delivery_id: int, priority: int, *, at: datetime | None = None) -> None:
    """Have a worker look at a delivery, now or at a time."""
    _defer(DELIVERY_TASK, DELIVERIES, priority, at, delivery_id=delivery_id)


def _defer(task: str, queue: str, priority: int, at: datetime | None, **arguments: Any) -> None:
    app.configure_task(task, queue=queue, priority=priority, schedule_at=at).defer(**arguments)
