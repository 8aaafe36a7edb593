"""One segment file that is open for writing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from isocenter.core.errors import SpoolError

from .segment_format import BLOCK, FIRST_RECORD, SUFFIX, encode_segment_block, new_key


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def new_name() -> str:
    """A name that sorts by time and is never used twice."""
    return f"{time.time_ns():020d}-{os.getpid()}-{os.urandom(3).hex()}"


class Segment:
    """A locked segment file and the place where the next record goes.

    The lock (flock) lives as long as the file is open: a reader that can take it knows that
    nobody writes here any more.
    """

    def __init__(self, path: Path, fd: int, key: bytes, size: int) -> None:
        self.path = path
        self.fd = fd
        self.key = key
        self.size = size
        self.position = FIRST_RECORD
        self.sequence = 0
        self.last_length = 0
        self.is_broken = False

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def is_full(self) -> bool:
        """True when a further record like the last would not fit into what is allocated."""
        left = self.size - self.position
        return self.is_broken or left < max(self.last_length, 2 * BLOCK)

    def close(self) -> None:
        """Seal: nothing more is written here."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def create_segment(segments: Path, free: Path, size: int) -> Segment:
    """A new segment of ``size`` bytes; its file and name are on disk when this returns.

    Raises:
        SpoolError: no space, or the disk fails.
    """
    name = new_name()
    draft = free / f".{name}{SUFFIX}"
    fd = -1
    try:
        fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.posix_fallocate(fd, 0, size)
        return _take_into_use(fd, draft, segments / f"{name}{SUFFIX}", size)
    except OSError as error:
        _give_up(fd, draft)
        raise SpoolError(f"no new spool segment: {error}") from error


def reuse_segment(segments: Path, free: Path, size: int) -> Segment | None:
    """A used segment with a new key, or None when there is none to take.

    Its blocks are written already, so syncing a record moves data only and no file system
    metadata; measured at half the time of a fresh file.
    """
    for candidate in sorted(free.glob(f"[!.]*{SUFFIX}")):
        segment = _try_reuse(candidate, segments, size)
        if segment is not None:
            return segment
    return None


def _try_reuse(candidate: Path, segments: Path, size: int) -> Segment | None:
    fd = -1
    try:
        fd = os.open(candidate, os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        state = os.fstat(fd)
        is_ours = candidate.stat().st_ino == state.st_ino  # not taken between open and lock
        if not is_ours or state.st_size != size:
            os.close(fd)
            if is_ours:
                candidate.unlink(missing_ok=True)  # made under another segment size
            return None
        return _take_into_use(fd, candidate, segments / f"{new_name()}{SUFFIX}", size)
    except OSError:
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)
        return None


def _take_into_use(fd: int, source: Path, target: Path, size: int) -> Segment:
    """Write the new key, sync, then show the segment to readers under its new name.

    In this order: with the old key still on disk under the new name, a power cut would bring
    the records of the segment's earlier life back.
    """
    key = new_key()
    if os.pwrite(fd, encode_segment_block(key, size, time.time_ns()), 0) != BLOCK:
        raise OSError("short write of a segment's first block")
    os.fsync(fd)
    source.rename(target)
    sync_folder(target.parent)
    return Segment(target, fd, key, size)


def _give_up(fd: int, draft: Path) -> None:
    if fd >= 0:
        with contextlib.suppress(OSError):
            os.close(fd)
    with contextlib.suppress(OSError):
        draft.unlink(missing_ok=True)
