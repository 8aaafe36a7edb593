"""What workers are asked to do; thin: the work is in `execution` and `delivery`."""

from __future__ import annotations

import uuid

from isocenter.apps.routing import delivery, execution, stopping, sweeping
from isocenter.apps.routing.schedule import DELIVERY_TASK, RUN_TASK
from isocenter.runtime.queue import DELIVERIES, RUNS, app


@app.task(queue=RUNS, name=RUN_TASK)
def run_pipeline(run_id: str) -> None:
    """Do a run as far as it goes."""
    execution.execute(uuid.UUID(run_id))


@app.task(queue=DELIVERIES, name=DELIVERY_TASK)
def deliver(delivery_id: int) -> None:
    """Send what a delivery still has to send."""
    delivery.send(delivery_id)


def give_back() -> int:
    """For a worker that ends: put back what its threads have not finished; how many rows."""
    return stopping.give_back()


def sweep() -> int:
    """Put back into the queue what nobody works on; how many rows were touched."""
    return sweeping.sweep()
