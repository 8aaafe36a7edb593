"""Background work of Storage Commitment; thin."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from isocenter.apps.dimse import promises
from isocenter.apps.dimse.models import CommitmentPromise
from isocenter.apps.dimse.promises import REPORT_TASK
from isocenter.runtime.queue import DELIVERIES, MAINTENANCE, app

_KEEP = timedelta(days=30)


@app.task(queue=DELIVERIES, name=REPORT_TASK)
def report_commitment(promise_id: int) -> None:
    """Tell a node what became of its request."""
    promises.report(promise_id)


@app.periodic(cron="*/2 * * * *")
@app.task(
    queue=MAINTENANCE,
    name="dimse.sweep_promises",
    queueing_lock="dimse.sweep_promises",
    lock="dimse.sweep_promises",
)
def sweep_promises(timestamp: int) -> None:
    """Put back into the queue what nobody reports."""
    promises.sweep()


@app.periodic(cron="17 3 * * *")
@app.task(
    queue=MAINTENANCE,
    name="dimse.forget_promises",
    queueing_lock="dimse.forget_promises",
    lock="dimse.forget_promises",
)
def forget_promises(timestamp: int) -> None:
    """Forget what was reported, or given up, a month ago; the audit has it."""
    over = CommitmentPromise.objects.exclude(state=CommitmentPromise.State.OWED)
    over.filter(ended_at__lt=timezone.now() - _KEEP).delete()
