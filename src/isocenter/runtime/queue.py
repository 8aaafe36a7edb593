"""The work queue: Procrastinate on our PostgreSQL.

Tasks are declared in the apps' ``jobs.py`` with ``@app.task(queue=…)``; workers import all of
them by `load_tasks`. Deferring a task through Django's connection happens in the transaction of
the rows that it belongs to.
"""

from __future__ import annotations

from django.db import InterfaceError, OperationalError
from django.utils.module_loading import autodiscover_modules
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

__all__ = ["DELIVERIES", "MAINTENANCE", "QUEUES", "RUNS", "THUMBNAILS", "app", "load_tasks"]

RUNS = "runs"
DELIVERIES = "deliveries"
MAINTENANCE = "maintenance"
THUMBNAILS = "thumbnails"
QUEUES = (RUNS, DELIVERIES, MAINTENANCE, THUMBNAILS)

# The database was restarted under a job. That says nothing about the job.
DATABASE_LOST = RetryStrategy(
    max_attempts=100, wait=2, retry_exceptions=(OperationalError, InterfaceError)
)


def load_tasks() -> None:
    """Import ``jobs.py`` of every app, so that their tasks are known. Django is set up already.

    A task without a retry strategy of its own is tried again when it lost the database.
    """
    autodiscover_modules("jobs")
    for task in app.tasks.values():
        if task.retry_strategy is None:
            task.retry_strategy = DATABASE_LOST
