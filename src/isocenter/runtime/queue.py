"""The work queue: Procrastinate on our PostgreSQL.

Tasks are declared in the apps' ``jobs.py`` with ``@app.task(queue=…)``; workers import all of
them by `load_tasks`. Deferring a task through Django's connection happens in the transaction of
the rows that it belongs to.
"""

from __future__ import annotations

from django.utils.module_loading import autodiscover_modules
from procrastinate.contrib.django import app

__all__ = ["DELIVERIES", "MAINTENANCE", "QUEUES", "RUNS", "app", "load_tasks"]

RUNS = "runs"
DELIVERIES = "deliveries"
MAINTENANCE = "maintenance"
QUEUES = (RUNS, DELIVERIES, MAINTENANCE)


def load_tasks() -> None:
    """Import ``jobs.py`` of every app, so that their tasks are known. Django is set up already."""
    autodiscover_modules("jobs")
