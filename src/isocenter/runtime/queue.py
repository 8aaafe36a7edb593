"""The work queue: Procrastinate on our PostgreSQL.

Tasks are declared in the apps' ``jobs.py`` with ``@app.task(queue=…)`` and are found by their
import. Deferring a task through Django's connection happens in the transaction of the rows that
it belongs to.
"""

from __future__ import annotations

from procrastinate.contrib.django import app

__all__ = ["DELIVERIES", "MAINTENANCE", "QUEUES", "RUNS", "app"]

RUNS = "runs"
DELIVERIES = "deliveries"
MAINTENANCE = "maintenance"
QUEUES = (RUNS, DELIVERIES, MAINTENANCE)
