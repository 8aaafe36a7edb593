"""Keeps what a child prints, within bounds: the first half and the last half."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self


class StepLog:
    """A log file of bounded size.

    The head is written at once, for who looks on; the tail when the log is closed.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._file = path.open("wb", buffering=0)
        self._head_left = max_bytes // 2
        self._tail_size = max_bytes - max_bytes // 2
        self._tail = bytearray()
        self._dropped = 0

    def write(self, data: bytes) -> None:
        """Take what the child printed."""
        if self._head_left:
            head = data[: self._head_left]
            self._file.write(head)
            self._head_left -= len(head)
            data = data[len(head) :]
        self._tail += data
        if len(self._tail) > 2 * self._tail_size:  # cut rarely, each cut moves bytes
            self._cut()

    def _cut(self) -> None:
        surplus = max(0, len(self._tail) - self._tail_size)
        self._dropped += surplus
        del self._tail[:surplus]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cut()
        if self._dropped:
            self._file.write(f"\n[... {self._dropped} bytes left out ...]\n".encode())
        self._file.write(self._tail)
        self._file.close()
