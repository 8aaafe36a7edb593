"""The segments of one writing process, shared by its associations."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import threading
import time
from pathlib import Path

from .batch import SpoolBatch
from .segment import Segment, create_segment, new_name, reuse_segment, sync_folder
from .segment_format import SUFFIX
from .wake import WakeSender
from .writer import SpoolWriter

DEFAULT_SEGMENT_BYTES = 32 << 20
_MAX_IDLE = 8
_ZEROS = bytes(1 << 20)


class Spool:
    """The writing end of a spool folder. One per process; safe to share between threads.

    Args:
        folder: the spool folder; made when missing.
        segment_bytes: allocated per segment. An instance that is bigger grows its segment.
        reserve_bytes: free disk below which :meth:`has_room` says no.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        reserve_bytes: int = 0,
    ) -> None:
        self.folder = folder
        self.segment_bytes = segment_bytes
        self.reserve_bytes = reserve_bytes
        self._segments = folder / "segments"
        self._free = folder / "free"
        for path in (folder, self._segments, self._free):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (folder, folder.parent):  # or the first records go with their new folder
            sync_folder(path)
        self._wake = WakeSender(folder)
        self._lock = threading.Lock()
        self._idle: list[Segment] = []
        self._room_checked_at = -1.0
        self._has_room = True
        self._remove_drafts()

    def writer(self) -> SpoolWriter:
        """A writer for one association or import; close it when done."""
        return SpoolWriter(self)

    def batch(self) -> SpoolBatch:
        """Records that are accepted together; close it when done."""
        return SpoolBatch(self)

    def has_room(self) -> bool:
        """False when the disk has less than the reserve left; looked at twice a second."""
        now = time.monotonic()
        if now - self._room_checked_at > 0.5:
            state = os.statvfs(self.folder)
            self._has_room = state.f_bavail * state.f_frsize > self.reserve_bytes
            self._room_checked_at = now
        return self._has_room

    def acquire(self) -> Segment:
        """A segment for the caller alone.

        Raises:
            SpoolError: none can be made.
        """
        with self._lock:
            if self._idle:
                return self._idle.pop()
            reused = reuse_segment(self._segments, self._free, self.segment_bytes)
        return reused or create_segment(self._segments, self._free, self.segment_bytes)

    def release(self, segment: Segment) -> None:
        """Give a segment back; a full one, or one too many, is sealed."""
        with self._lock:
            if not segment.is_full and len(self._idle) < _MAX_IDLE:
                self._idle.append(segment)
                return
        segment.close()

    def prepare(self, count: int = 8, *, within_s: float = math.inf) -> bool:
        """Make sure that ``count`` written segments are free, so that the first studies are fast.

        Args:
            count: eight are one for each of eight senders, or a CT series of 500 slices; with
                four, four senders acknowledged a third less per second.
            within_s: time after which no further one is begun.

        Returns:
            True when there are as many as wanted.
        """
        deadline = time.monotonic() + within_s
        missing = count - sum(1 for _ in self._free.glob(f"[!.]*{SUFFIX}"))
        for _ in range(missing):
            if time.monotonic() > deadline or not self.has_room():
                return False
            try:
                self._write_free_segment()
            except OSError:
                return False  # reception will say so, with the instance that it hits
        return True

    def notify(self) -> None:
        """Wake ingest."""
        self._wake.send()

    def close(self) -> None:
        """Seal what is idle. Writers still open keep theirs until they are closed."""
        with self._lock:
            idle, self._idle = self._idle, []
        for segment in idle:
            segment.close()
        self._wake.send()
        self._wake.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_free_segment(self) -> None:
        name = new_name()
        draft = self._free / f".{name}{SUFFIX}"
        fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            for offset in range(0, self.segment_bytes, len(_ZEROS)):
                os.pwrite(fd, _ZEROS[: self.segment_bytes - offset], offset)
            os.fsync(fd)
            draft.rename(self._free / f"{name}{SUFFIX}")
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)

    def _remove_drafts(self) -> None:
        """Files that a process left while it made them; a live one holds its lock."""
        for draft in self._free.glob(f".*{SUFFIX}"):
            with contextlib.suppress(OSError):
                fd = os.open(draft, os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    draft.unlink(missing_ok=True)
                finally:
                    os.close(fd)
