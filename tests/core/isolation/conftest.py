"""Fixtures of the isolation room."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _child_work_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


@pytest.fixture
def survivors(tmp_path: Path) -> Callable[[], list[int]]:
    """Which of the processes that noted themselves in ``tmp_path`` live half a minute on."""

    def find() -> list[int]:
        pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
        assert pids, "the child never began"
        deadline = time.monotonic() + 30
        while (alive := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
            time.sleep(0.02)
        return alive

    return find
