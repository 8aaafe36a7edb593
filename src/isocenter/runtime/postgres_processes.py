"""The processes of a PostgreSQL cluster: found by where they work, stopped step by step."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import psutil

from isocenter.runtime.lifeline import is_alive, wait_until_gone


def _works_in(process: psutil.Process, data: Path) -> bool:
    """Whether this is a PostgreSQL process of that cluster: its working folder says so."""
    try:
        return "postgres" in process.name() and is_alive(process) and Path(process.cwd()) == data
    except (psutil.Error, OSError):
        return False


def servers_of(data: Path) -> list[psutil.Process]:
    """Every PostgreSQL process of a cluster."""
    return [process for process in psutil.process_iter() if _works_in(process, data)]


def stop_postmaster(process: psutil.Process, timeout_s: float) -> None:
    """Fast shutdown, then immediate shutdown, then kill."""
    for step, wait_s in ((signal.SIGINT, timeout_s), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0)):
        with contextlib.suppress(psutil.Error):
            process.send_signal(step)
        if not wait_until_gone([process], wait_s):
            return
