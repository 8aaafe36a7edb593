"""A progress bar that appears only when something takes longer than two seconds."""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

QUIET_SECONDS = 2.0


class LateProgress:
    """Call it with a fraction 0..1 and a message; use it as a context.

    The bar is drawn on stderr, and only where that is a terminal.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("reading", total=1.0)
        self._started = monotonic()
        self._is_shown = False

    def __call__(self, fraction: float, message: str) -> None:
        self._bar.update(self._task, completed=fraction, description=message[:40])
        if not self._is_shown and monotonic() - self._started > QUIET_SECONDS:
            self._bar.start()
            self._is_shown = True

    def __enter__(self) -> Self:
        self._started = monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_shown:
            self._bar.stop()
