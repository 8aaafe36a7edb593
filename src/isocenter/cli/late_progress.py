"""A progress bar that appears only when something takes longer than two seconds."""

from __future__ import annotations

import sys
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress

QUIET_SECONDS = 2.0


class LateProgress:
    """Call it with a fraction 0..1 and a message; use it as a context.

    The bar is drawn on stderr, and only where that is a terminal.
    """

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._is_wanted = sys.stderr.isatty()
        self._started = monotonic()

    def __call__(self, fraction: float, message: str) -> None:
        if not self._is_wanted:
            return
        if self._bar is None:
            if monotonic() - self._started <= QUIET_SECONDS:
                return
            self._bar = _bar(self._started)
        self._bar.update(self._bar.task_ids[0], completed=fraction, description=message[:40])

    def __enter__(self) -> Self:
        self._started = monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar(started: float) -> Progress:
    """A bar that is shown, of a task that began at `started`; rich takes long to import."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    bar.add_task("reading", total=1.0)
    bar.tasks[0].start_time = started
    bar.start()
    return bar
