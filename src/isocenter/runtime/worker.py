"""One worker process: runs, deliveries and maintenance side by side, each with its own limit.

Procrastinate notices a dead worker by its heartbeat but does nothing about its jobs: the
maintenance loop puts them back. It does not fence either; steps check their lease before they
write, so a worker that was only thought dead does no harm.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections
from procrastinate.app import App
from procrastinate.contrib.django.utils import connector_params
from procrastinate.psycopg_connector import PsycopgConnector
from procrastinate.worker import Worker

from isocenter.runtime.maintenance import Maintenance
from isocenter.runtime.queue import DELIVERIES, MAINTENANCE, RUNS, THUMBNAILS, load_tasks
from isocenter.runtime.queue import app as queue_app
from isocenter.runtime.settings import Settings

log = structlog.get_logger(__name__)

GRACE_S = 5.0
GIVE_BACK_S = 3.0
POLLING_S = 1.0  # new jobs are announced; polling finds those whose time has come
MAINTENANCE_JOBS = 2
THUMBNAIL_JOBS = 1  # pictures may come later than everything else
START_AGAIN = 1


def run_worker(settings: Settings) -> int:
    """Work until SIGTERM or SIGINT. Django is set up already.

    Returns:
        0 after a request to stop; 1 when the database was lost: start it again. Running jobs
        get a few seconds, then the process ends and others take them over.
    """
    load_tasks()
    return asyncio.run(_work(settings))


async def _work(settings: Settings) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    limits = {
        RUNS: settings.workers.runs,
        DELIVERIES: settings.workers.deliveries,
        MAINTENANCE: MAINTENANCE_JOBS,
        THUMBNAILS: THUMBNAIL_JOBS,
    }
    # Jobs run in the loop's own pool, whose usual size (CPUs + 4) would cut the limits.
    pool = ThreadPoolExecutor(sum(limits.values()) + 4, thread_name_prefix="job")
    loop.set_default_executor(pool)
    app = await _open_queue()
    workers = [_worker(app, settings, name, limit) for name, limit in limits.items()]
    maintenance = Maintenance(app, dead_after_s=settings.workers.dead_after_s, hook=_sweep())
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(each.run()) for each in workers]
    tasks.append(asyncio.create_task(maintenance.run(), name="maintenance"))
    waiting = asyncio.create_task(stop.wait())
    log.info("worker started", **limits)
    await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
    code = 0 if stop.is_set() else START_AGAIN
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception():
            log.error("worker lost the database", reason=str(task.exception()))
    tasks[-1].cancel()
    await _finish(app, workers, tasks)
    log.info("worker stopped", again=bool(code))
    # A job in a thread cannot be stopped, and the interpreter would wait for it. Its rows are
    # guarded by leases and its child processes die with us.
    os._exit(code)


async def _open_queue() -> App:
    """The queue with a connector that can listen; tasks defer through Django as everywhere."""
    connector = PsycopgConnector(
        kwargs=connector_params(), min_size=2, max_size=8, timeout=4, name="queue"
    )
    app = queue_app.with_connector(connector)
    await app.open_async()
    return app


def _worker(app: App, settings: Settings, queue: str, concurrency: int) -> Worker:
    return Worker(
        app=app,
        queues=[queue],
        name=f"{queue}-{os.getpid()}",
        concurrency=concurrency,
        fetch_job_polling_interval=POLLING_S,
        update_heartbeat_interval=settings.workers.heartbeat_s,
        stalled_worker_timeout=settings.workers.dead_after_s,
        install_signal_handlers=False,
        delete_jobs="successful",
        # from the Django integration: close connections that died between two jobs
        task_middleware=app.worker_defaults.get("task_middleware"),
    )


async def _finish(app: App, workers: list[Worker], tasks: list[asyncio.Task[Any]]) -> None:
    """Take nothing new, let running jobs end for a while, give the others back."""
    for worker in workers:
        worker.stop()
    await asyncio.wait(tasks, timeout=GRACE_S)
    for worker in workers:
        if worker.worker_id is None:
            continue
        try:  # without their worker its jobs count as stalled at once
            await asyncio.wait_for(app.job_manager.unregister_worker(worker.worker_id), 1)
        except Exception as error:
            log.warning("worker could not sign off", reason=str(error))
    try:
        await asyncio.wait_for(asyncio.to_thread(_give_back), GIVE_BACK_S)
    except Exception as error:  # others notice when the leases are over
        log.warning("worker could not give its work back", reason=str(error))


def _give_back() -> None:
    """Put what is not finished back into the queue, so that nobody waits for its leases' end."""
    from isocenter.apps.routing.jobs import give_back

    close_old_connections()
    try:
        give_back()
    finally:
        close_old_connections()


def _sweep() -> Callable[[], None]:
    """What the apps want done every few seconds, on a connection that is alive."""
    from isocenter.apps.archive.services import RetentionRounds, fill_search, finish_deletions
    from isocenter.apps.audit.services import seal_events
    from isocenter.apps.routing.jobs import sweep as sweep_routing

    retention = RetentionRounds()

    def sweep() -> None:
        close_old_connections()
        try:
            for each in (
                sweep_routing,
                seal_events,
                finish_deletions,
                fill_search,
                retention.sweep_when_due,
            ):
                try:
                    each()
                except (OperationalError, InterfaceError):
                    raise
                except Exception:
                    # What one cannot do must not keep the others from theirs.
                    log.exception("sweep failed", what=each.__qualname__)
        finally:
            close_old_connections()

    return sweep
