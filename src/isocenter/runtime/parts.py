"""One part of the platform as a child process, started again with a growing wait."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isocenter.runtime.lifeline import dies_with_parent


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a part that died is started again."""

    first_s: float = 0.2
    factor: float = 2.0
    longest_s: float = 30.0
    healthy_after_s: float = 20.0  # a part that lived that long starts from the beginning
    failing_after: int = 4  # short lives in a row, until it counts as failing

    def wait_s(self, short_lives: int) -> float:
        return float(min(self.longest_s, self.first_s * self.factor ** max(0, short_lives - 1)))


@dataclass
class Part:
    """A child process and its history.

    Args:
        name: as in ``runtime.json`` and on the health page.
        command: arguments after ``python -m isocenter.cli.main``.
        environment: more variables; asked at each start, because ports become known later.
    """

    name: str
    command: tuple[str, ...]
    environment: Callable[[], Mapping[str, str]] = dict
    backoff: Backoff = Backoff()
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    short_lives: int = 0
    reason: str = ""
    started_at: float = 0.0
    next_start: float = field(default=0.0)

    @property
    def state(self) -> str:
        if self.short_lives >= self.backoff.failing_after:
            return "failing"
        if self.process is not None:
            return "running"
        return "waiting to restart" if self.reason else "starting"

    def start(self) -> None:
        """Start the process; it dies with us, in its own session, so that Ctrl-C is ours alone."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "isocenter.cli.main", *self.command],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self.environment()},
            start_new_session=True,
            preexec_fn=dies_with_parent(signal.SIGKILL),  # noqa: PLW1509
        )
        self.started_at = time.monotonic()

    def tend(self) -> str | None:
        """Notice a death, start when it is time. Says what happened, if anything."""
        now = time.monotonic()
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                if self.short_lives and now - self.started_at > self.backoff.healthy_after_s:
                    self.short_lives, self.reason = 0, ""
                return None
            return self._died(code, now)
        if now >= self.next_start:
            self.start()
        return None

    def _died(self, code: int, now: float) -> str:
        lived_s = now - self.started_at
        self.process = None
        self.restarts += 1
        self.short_lives = 1 if lived_s > self.backoff.healthy_after_s else self.short_lives + 1
        wait_s = self.backoff.wait_s(self.short_lives)
        self.next_start = now + wait_s
        self.reason = f"ended with {describe_exit(code)} after {lived_s:.0f} s"
        return f"{self.name} {self.reason}; starting it again in {wait_s:.1f} s"

    def send(self, number: signal.Signals) -> None:
        """Signal the process; for SIGKILL its whole group."""
        if self.process is None or self.process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def describe(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "pid": self.process.pid if self.process else None,
            "restarts": self.restarts,
            "reason": self.reason,
        }


def describe_exit(code: int) -> str:
    """``exit code 1``, or the name of the signal."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
