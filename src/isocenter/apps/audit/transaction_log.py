"""The transaction log: one JSON line per event, rotated, written by several processes at once."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TransactionLog:
    """JSON lines in ``path``; older ones in ``path.1`` (newest) to ``path.<keep>``.

    A lock file beside the log orders the writers of all processes, so that a line is never torn
    and a rotation never loses one.
    """

    path: Path
    rotate_bytes: int
    keep: int

    def append(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Write one line per event.

        Raises:
            OSError: the disk does not take them; the events stay in the audit table.
        """
        lines = b"".join(
            json.dumps(event, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"
            for event in events
        )
        if not lines:
            return
        with self._lock_path().open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._rotate_if_full(len(lines))
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                view = memoryview(lines)
                while view:
                    view = view[os.write(descriptor, view) :]
            finally:
                os.close(descriptor)

    def files(self) -> list[Path]:
        """The log's files that are there, the oldest first."""
        paths = [self._rotated(number) for number in range(self.keep, -1, -1)]
        return [path for path in paths if path.exists()]

    def _lock_path(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.path.with_name(f".{self.path.name}.lock")

    def _rotate_if_full(self, coming: int) -> None:
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        if size == 0 or size + coming <= self.rotate_bytes:
            return
        for number in range(self.keep, 0, -1):
            source = self._rotated(number - 1)
            if source.exists():
                source.replace(self._rotated(number))

    def _rotated(self, number: int) -> Path:
        return self.path if number == 0 else self.path.with_name(f"{self.path.name}.{number}")
