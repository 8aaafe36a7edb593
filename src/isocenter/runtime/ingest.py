"""The process ``isocenter ingest``: spool → archive, events → audit, watched folders, completion.

Only one of them works at a time on a database: it holds an advisory lock on the very connection
it works with, so that it cannot go on working after it lost the lock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING

import structlog
from django.db import InterfaceError, OperationalError, connection

from isocenter.core.errors import SpoolError
from isocenter.runtime.layout import Layout
from isocenter.runtime.settings import Settings
from isocenter.runtime.state_files import process_identity, write_state

if TYPE_CHECKING:
    from isocenter.apps.archive.incoming import Verdict
    from isocenter.apps.archive.watching import WatchedFolder

log = structlog.get_logger(__name__)

_LOCK = (0x49534F32, 1)
_IDLE_S = 0.5  # between two looks when nothing wakes us
_GATHER_S = 0.1  # after a wake, so that a batch is worth its transaction
_POLICY_EVERY_S = 5.0
_WATCH_EVERY_S = 1.0
_BEAT_EVERY_S = 5.0
_NICE = 5  # a sender waits for the receiver, nobody for the ingest
_BACK_OFF_S = (0.5, 1.0, 2.0, 5.0)


def run_ingest(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; Django is set up already. Returns the exit code."""
    stop = threading.Event()
    os.nice(_NICE)
    with _signals(stop):
        failures = 0
        while not stop.is_set():
            try:
                with _only_one(stop) as is_ours:
                    if not is_ours:
                        continue
                    loop = IngestLoop(settings, stop)
                    try:
                        failures = 0
                        loop.run()
                    finally:
                        loop.close()
            except (OperationalError, InterfaceError, SpoolError, OSError) as error:
                # The database restarts or the disk is full: the spool keeps everything meanwhile.
                wait_s = _BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)]
                failures += 1
                log.warning("ingest_waits", reason=type(error).__name__, seconds=wait_s)
                connection.close()
                stop.wait(wait_s)
    connection.close()
    return 0


class IngestLoop:
    """One life of the loop, from taking the lock to losing it or being stopped."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        from isocenter.apps.archive.intake import EventIntake, SpoolIntake
        from isocenter.apps.archive.spool import Spool, WakeListener
        from isocenter.apps.archive.staging import staging_folder
        from isocenter.apps.archive.watching import WatchedFolder

        self._layout = Layout(settings.data_dir)
        self._layout.create()
        self._stop = stop
        _clear_old(staging_folder(self._layout.archive))
        spool = self._layout.spool
        self._wake = WakeListener(spool)
        self._intake = SpoolIntake(spool, is_stopping=stop.is_set, on_batch=self._count)
        self._events = EventIntake(spool)
        self._spool = Spool(
            spool,
            segment_bytes=settings.storage.segment_mb << 20,
            reserve_bytes=settings.storage.reserve_mb << 20,
        )
        self._watched: list[WatchedFolder] = [
            WatchedFolder(folder, self._spool) for folder in settings.storage.watched_folders
        ]
        self._next: dict[str, float] = {}
        self._paused: str | None = None  # why nothing is to be taken in
        self._instances = 0
        self._intake.forget_stale_cursors()

    def run(self) -> None:
        """Work until stopped."""
        while not self._stop.is_set():
            self.once()
            if self._wake.wait(_IDLE_S):
                self._stop.wait(_GATHER_S)

    def once(self) -> None:
        """One round. Completion is asked only about times up to which the spool is empty."""
        from isocenter.apps.archive.jobs import tick
        from isocenter.apps.archive.services import write_receive_policy

        if self._watched and not self._paused and self._is_time("watch", _WATCH_EVERY_S):
            self._watch()
        up_to = self._intake.drain()
        self._events.drain()
        if up_to is not None:
            tick(up_to)
        if self._is_time("policy", _POLICY_EVERY_S):
            self._paused = write_receive_policy()
        if self._is_time("beat", _BEAT_EVERY_S):
            self._beat()

    def close(self) -> None:
        """Give sockets and segments back."""
        self._wake.close()
        self._spool.close()

    def _watch(self) -> None:
        for folder in self._watched:
            try:
                folder.scan()
            except (SpoolError, OSError) as error:
                # A share that is away must not stop the intake of everything else.
                log.warning("watched_folder_failed", reason=type(error).__name__)

    def _count(self, verdicts: list[Verdict]) -> None:
        self._instances += len(verdicts)
        if self._is_time("beat", _BEAT_EVERY_S):
            self._beat()

    def _is_time(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._next.get(what, 0.0):
            return False
        self._next[what] = now + every_s
        return True

    def _beat(self) -> None:
        """Say that we live: ``run/ingest.json``, for the health check."""
        state = {
            **process_identity(os.getpid()),
            "at": datetime.now(UTC).isoformat(),
            "instances": self._instances,
        }
        write_state(self._layout.run / "ingest.json", state)


@contextlib.contextmanager
def _only_one(stop: threading.Event) -> Iterator[bool]:
    """Hold the lock; gives False when it was stopped while another held it."""
    told = False
    while not stop.is_set():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", _LOCK)
            (is_ours,) = cursor.fetchone()
        if is_ours:
            break
        if not told:
            log.info("ingest_waits_for_another")
            told = True
        stop.wait(1.0)
    else:
        yield False
        return
    try:
        yield True
    finally:
        with contextlib.suppress(OperationalError, InterfaceError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", _LOCK)


def _clear_old(staging: os.PathLike[str]) -> None:
    """Drop the copies of batches whose process is gone."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(staging):
            owner = entry.name.split("-")[0]
            if not (owner.isdigit() and _is_alive(int(owner))):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid != os.getpid()  # our own number, used before us


@contextlib.contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
