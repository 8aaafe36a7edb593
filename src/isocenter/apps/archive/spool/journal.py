"""Events on their way from the receiver to the audit: JSON lines in rotated files."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from isocenter.core.errors import SpoolError

from .segment import new_name

_SUFFIX = ".jsonl"
_MAX_LINE = 64 * 1024


@dataclass(frozen=True)
class JournalEvent:
    """One event and the place after it."""

    file: str
    next_offset: int
    at: datetime
    kind: str
    detail: dict[str, Any]


class EventJournal:
    """Appends events; each is in the kernel when :meth:`append` returns. Safe between threads.

    Args:
        folder: the spool folder (files go to ``events/`` in it).
        rotate_bytes: size after which a new file begins.
    """

    def __init__(self, folder: Path, *, rotate_bytes: int = 1 << 20) -> None:
        self._folder = folder / "events"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._rotate_bytes = rotate_bytes
        self._lock = threading.Lock()
        self._fd = -1
        self._size = 0

    def append(self, kind: str, detail: dict[str, Any], at: datetime | None = None) -> None:
        """Write one event; ``detail`` never holds a patient's identity."""
        event = {"at": (at or datetime.now(UTC)).isoformat(), "kind": kind, "detail": detail}
        line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        if len(line) > _MAX_LINE:
            raise SpoolError(f"event {kind} is {len(line)} bytes long, at most {_MAX_LINE}")
        with self._lock:
            if self._fd < 0 or self._size >= self._rotate_bytes:
                self._open_next()
            os.write(self._fd, line)
            self._size += len(line)

    def close(self) -> None:
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _open_next(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        path = self._folder / f"{new_name()}{_SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(path, flags, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        self._fd = fd
        self._size = 0


class EventReader:
    """Reads what journals wrote; one process at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "events"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def files(self) -> list[str]:
        """Names of the files there are, oldest first."""
        return sorted(path.name for path in self._folder.glob(f"*{_SUFFIX}"))

    def is_closed(self, file: str) -> bool:
        """True when nobody writes this file any more; ask before reading to the end."""
        try:
            fd = os.open(self._path(file), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        return True

    def events(self, file: str, from_offset: int = 0) -> Iterator[JournalEvent]:
        """Whole lines from ``from_offset``; lines that are no events are passed over."""
        path = self._path(file)
        if not path.exists():
            return
        with path.open("rb") as stream:
            stream.seek(from_offset)
            offset = from_offset
            while (line := stream.readline(_MAX_LINE)).endswith(b"\n"):
                offset += len(line)
                event = _decode(file, offset, line)
                if event is not None:
                    yield event

    def discard(self, file: str) -> None:
        """Delete a file whose events are all taken in."""
        self._path(file).unlink(missing_ok=True)

    def _path(self, file: str) -> Path:
        if "/" in file or not file.endswith(_SUFFIX) or file.startswith("."):
            raise SpoolError(f"no event file name: {file!r}")
        return self._folder / file


def _decode(file: str, offset: int, line: bytes) -> JournalEvent | None:
    try:
        event = json.loads(line)
        return JournalEvent(
            file=file,
            next_offset=offset,
            at=datetime.fromisoformat(event["at"]),
            kind=str(event["kind"]),
            detail=dict(event["detail"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
