"""What has to be done every few seconds by exactly one worker of all."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable
from typing import cast

import structlog
from procrastinate.app import App
from procrastinate.exceptions import ConnectorException
from procrastinate.psycopg_connector import PsycopgConnector

log = structlog.get_logger(__name__)

EVERY_S = 3.0
PRUNE_EVERY_S = 600.0
KEEP_FINISHED_HOURS = 24
FAILURES_UNTIL_GIVING_UP = 5
_LOCK = 0x1507E42


class Maintenance:
    """Puts back the jobs of dead workers, clears finished ones, calls the hook.

    Args:
        app: the queue, opened with a psycopg connector.
        dead_after_s: silence after which a worker counts as dead.
        hook: called in a thread each round.
    """

    def __init__(
        self, app: App, *, dead_after_s: float, hook: Callable[[], None] | None = None
    ) -> None:
        self.app = app
        self.dead_after_s = dead_after_s
        self.hook = hook
        self._pruned_at = 0.0

    async def run(self) -> None:
        """Rounds for ever; raises when the database stays away."""
        failures = 0
        while True:
            try:
                await self.round()
                failures = 0
            except Exception as error:
                failures += 1
                log.warning("maintenance failed", reason=str(error), failures=failures)
                if isinstance(error, ConnectorException) and failures > FAILURES_UNTIL_GIVING_UP:
                    raise
            await asyncio.sleep(EVERY_S)

    async def round(self) -> bool:
        """One round, unless another worker is at it. Says whether it was done."""
        connector = cast(PsycopgConnector, self.app.connector)
        async with connector.pool.connection() as connection:
            answer = await connection.execute("select pg_try_advisory_xact_lock(%s)", [_LOCK])
            row = await answer.fetchone()
            if row is None or not row[0]:
                return False
            await self.requeue()
            await self._prune()
            if self.hook is not None:
                await asyncio.get_running_loop().run_in_executor(None, self.hook)
            return True

    async def requeue(self) -> int:
        """Jobs whose worker is silent or gone may be taken by others. Says how many."""
        manager = self.app.job_manager
        stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=self.dead_after_s))
        back = 0
        for job in stalled:
            try:
                await manager.retry_job(job, retry_at=dt.datetime.now(dt.UTC))
            except ConnectorException as error:  # it has ended meanwhile
                log.info("stalled job was not put back", job=job.id, reason=str(error))
                continue
            back += 1
            log.warning("job of a dead worker put back", job=job.id, task=job.task_name)
        return back

    async def _prune(self) -> None:
        if time.monotonic() - self._pruned_at < PRUNE_EVERY_S and self._pruned_at:
            return
        self._pruned_at = time.monotonic()
        await self.app.job_manager.prune_stalled_workers(max(60.0, 3 * self.dead_after_s))
        await self.app.job_manager.delete_old_jobs(
            nb_hours=KEEP_FINISHED_HOURS,
            include_failed=True,
            include_cancelled=True,
            include_aborted=True,
        )
