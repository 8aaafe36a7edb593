"""Background work of nodes; thin."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from isocenter.apps.transfers.models import Node, NodeHealth
from isocenter.apps.transfers.testing import ALL_WITHIN_S, test_all
from isocenter.runtime.queue import MAINTENANCE, app

_SLACK = timedelta(seconds=15)  # the clock of the queue and a job's own time never quite agree


@app.periodic(cron="* * * * *")
@app.task(
    queue=MAINTENANCE,
    name="transfers.test_nodes",
    queueing_lock="transfers.test_nodes",
    lock="transfers.test_nodes",
)
def test_nodes(timestamp: int) -> None:
    """Test all nodes when it is time again, or a new one was not tested yet."""
    every = settings.ISOCENTER.nodes.test_every_min
    if not every:
        return
    has_new = Node.objects.filter(enabled=True, health__isnull=True).exists()
    newest = NodeHealth.objects.filter(node__enabled=True).aggregate(at=Max("checked_at"))["at"]
    if has_new or newest is None or timezone.now() - newest >= timedelta(minutes=every) - _SLACK:
        test_all(ALL_WITHIN_S)
