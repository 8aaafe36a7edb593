"""What is measured with few and with many studies in the index: filling it, and the report."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import million
from .servers import Isocenter
from .table import middle, print_table

MOST_P95 = 1.5  # large beside small
LEAST_INGEST = 0.9  # large beside small
_KEPT = "kept"  # in a folder whose platforms are used again

#: Milliseconds of every request, by (what was asked, number of studies).
Times = Mapping[tuple[str, int], Sequence[float]]


@contextmanager
def workspace(kept: str) -> Iterator[Path]:
    """A folder for platforms: a new one that is removed, or one that is kept and used again, as
    filling it takes minutes."""
    if kept:
        folder = Path(kept)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _KEPT).touch()
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as name:
        yield Path(name)


def _mark(data_dir: Path) -> Path:
    """Says that a platform was filled."""
    return data_dir / "filled-by-benchmark"


def fill(data_dir: Path, count: int, events: int = 0) -> str:
    """Make rows of this many studies, and events, in a running platform; what took how long.

    Raises:
        RuntimeError: it went wrong.
    """
    numbers = [str(number) for number in (count, events) if number]
    done = subprocess.run(
        [sys.executable, str(Path(million.__file__)), str(data_dir), *numbers],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout.strip()


class FilledIsocenter(Isocenter):
    """A platform with many studies, that takes slices in; kept where its folder is."""

    def __init__(self, folder: Path, count: int) -> None:
        super().__init__(folder, nodelay=False)
        self.count = count
        self.keeps_folder = (folder.parent / _KEPT).exists()
        self.begins_empty = not _mark(folder).exists()

    def fill(self, events: int = 0) -> None:
        """
        Raises:
            RuntimeError: there are fewer studies than there shall be.
        """
        said = "filled before"
        if self.begins_empty:
            said = fill(self.folder, self.count, events)
            _mark(self.folder).touch()
        print(f"{self.count} studies: {said}", file=sys.stderr)
        if self.indexed() < self.count:
            raise RuntimeError(f"{self.folder} has not {self.count} studies")

    def make_room(self) -> None:
        """Pixels that were sent are not needed any more; rows stay. Waits for the index first."""
        before, now = -1, self.indexed()
        while now != before:
            time.sleep(1)
            before, now = now, self.indexed()
        for path in (self.folder / "archive").rglob("*"):
            if path.is_file() and path.stat().st_size > 100_000:
                path.unlink(missing_ok=True)


def print_times(title: str, what: str, times: Times, small: int, large: int) -> bool:
    """Print median and p95 at both sizes; True when no p95 grows by more than it may.

    Args:
        what: the head of the first column.
    """
    rows, held = [], True
    for name in dict.fromkeys(name for name, _ in times):
        few, many = times[name, small], times[name, large]
        ratio = p95(many) / p95(few)
        holds = "yes" if ratio <= MOST_P95 else "NO"
        held = held and ratio <= MOST_P95
        rows.append((name, middle(few), p95(few), middle(many), p95(many), ratio, holds))
    print_table(
        f"{title}; p95 shall be at most {MOST_P95} times that of the small index",
        (what, f"median at {small}", "p95", f"median at {large}", "p95", "ratio", "holds"),
        rows,
    )
    return held


def p95(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
