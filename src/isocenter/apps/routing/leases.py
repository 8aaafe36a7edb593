"""Leases: who works on a row, proved by a token that every write checks.

A worker that was thought dead and is not finds its token gone at its next write, and stops
without having changed anything. Times are the database's, so hosts need not agree on the clock.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, models, transaction
from django.db.models.functions import Now

log = structlog.get_logger(__name__)
POLL_S = 0.3  # a request to cancel is seen after this long at most


class LeaseLost(Exception):
    """Another worker has the row now."""


class Lease:
    """The right to write to one row of a model with ``lease_token`` and ``lease_until``."""

    def __init__(self, model: type[models.Model], key: Any, token: uuid.UUID) -> None:
        self.model = model
        self.key = key
        self.token = token

    @contextlib.contextmanager
    def guard(self) -> Iterator[Any]:
        """A transaction in which the row is ours, locked until it ends.

        Raises:
            LeaseLost: it is not ours any more; nothing was written.
        """
        with transaction.atomic():
            row = (
                self.model._default_manager.select_for_update()
                .filter(pk=self.key, lease_token=self.token)
                .first()
            )
            if row is None:
                raise LeaseLost(str(self.key))
            yield row

    def renew(self) -> bool:
        """Make it last; False when it is not ours any more."""
        rows = self.model._default_manager.filter(pk=self.key, lease_token=self.token)
        return bool(rows.update(lease_until=expiry()))

    def is_cancel_requested(self) -> bool | None:
        """What the row says; None when it is not ours any more."""
        rows = self.model._default_manager.filter(pk=self.key, lease_token=self.token)
        return rows.values_list("cancel_requested", flat=True).first()


def expiry() -> Any:
    """When a lease that is renewed now ends, as a database expression."""
    return Now() + timedelta(seconds=settings.ISOCENTER.workers.dead_after_s)


_held: set[Lease] = set()  # by this process
_held_lock = threading.Lock()


def held_here() -> list[Lease]:
    """The leases that threads of this process work under."""
    with _held_lock:
        return list(_held)


class Heartbeat:
    """Renews a lease from a thread of its own, and hears requests to cancel.

    Attributes:
        is_lost: the lease is gone, or could not be renewed for as long as it lasts.
        is_cancelled: somebody wants the work to stop.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self.is_lost = False
        self.is_cancelled = False

    def __enter__(self) -> Heartbeat:
        with _held_lock:
            _held.add(self._lease)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _held_lock:
            _held.discard(self._lease)
        self._stop.set()
        self._thread.join()

    def must_stop(self) -> bool:
        """For work that asks whether to go on."""
        return self.is_lost or self.is_cancelled

    def _beat(self) -> None:
        workers = settings.ISOCENTER.workers
        renewed = heard = time.monotonic()
        try:
            while not self._stop.wait(min(POLL_S, workers.heartbeat_s)):
                try:
                    now = time.monotonic()
                    if now - renewed >= workers.heartbeat_s:
                        if not self._lease.renew():
                            self.is_lost = True
                            return
                        renewed = heard = now
                    request = self._lease.is_cancel_requested()
                    if request is None:
                        self.is_lost = True
                        return
                    self.is_cancelled = self.is_cancelled or request
                except DatabaseError as error:
                    log.warning("heartbeat_failed", key=str(self._lease.key), reason=str(error))
                    connection.close()
                    if time.monotonic() - heard > workers.dead_after_s:
                        self.is_lost = True
                        return
        finally:
            connection.close()
