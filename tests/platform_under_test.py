"""A whole platform in a folder of its own, for tests: real processes, real sockets."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml

from isocenter.runtime.lifeline import wait_until_gone

TOKEN = "PLATFORM_UNDER_TEST"

# Times a person would not choose, so that tests need not wait.
SHORT_TIMES: dict[str, Any] = {
    "completion": {"debounce_s": 1, "force_complete_s": 20},
    "workers": {"heartbeat_s": 1, "dead_after_s": 4},
    "delivery": {"first_wait_s": 0.5, "max_wait_s": 2, "timeout_s": 10},
    "storage": {"reserve_mb": 64},
}


class Platform:
    """``isocenter up`` on one data directory.

    Args:
        data_dir: where it lives; it can be started again there.
        config: laid over `SHORT_TIMES`, section by section, and written to ``isocenter.yaml``.
        arguments: more arguments for ``isocenter up``.
    """

    def __init__(
        self,
        data_dir: Path,
        config: Mapping[str, Any] | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.data_dir = data_dir
        self.arguments = arguments
        self.process: subprocess.Popen[str] | None = None
        self._token = uuid.uuid4().hex
        self._output = data_dir.parent / f"{data_dir.name}-output.txt"
        data_dir.mkdir(parents=True, exist_ok=True)
        merged = _merged(SHORT_TIMES, config or {})
        (data_dir / "isocenter.yaml").write_text(yaml.safe_dump(merged))

    # -- start and stop ------------------------------------------------------------------------

    def start(self, timeout_s: float = 240, *, wait: bool = True) -> Platform:
        """Start it and wait until it says that it is ready."""
        command = [
            *(sys.executable, "-m", "isocenter.cli.main", "up"),
            *("--data-dir", str(self.data_dir), "--http-port", "0", "--dicom-port", "0"),
            *self.arguments,
        ]
        with self._output.open("a") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
                env=self._environment(),
                start_new_session=True,
            )
        if wait:
            self.wait_ready(timeout_s)
        return self

    def wait_ready(self, timeout_s: float = 240) -> None:
        """Wait until ``/health/ready`` was well, as ``runtime.json`` says."""
        deadline = time.monotonic() + timeout_s
        while not (self.runtime.get("ready") and self.runtime.get("pid") == self.process_id):
            if self.process is None or self.process.poll() is not None:
                raise AssertionError(f"the platform ended:\n{self.output()}")
            if time.monotonic() > deadline:
                health = self.health()
                raise AssertionError(f"not ready: {health}\n{self.output()}")
            time.sleep(0.1)

    def stop(self, timeout_s: float = 60) -> int:
        """SIGTERM, as a service manager would. Returns the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def restart(self) -> Platform:
        self.stop()
        return self.start()

    def kill(self, part: str = "supervisor") -> None:
        """kill -9 of one part: supervisor, database, receiver, ingest, web, worker-1, …"""
        state = self.runtime
        if part == "supervisor":
            pid = state["pid"]
        else:  # it may be on its way up
            pid = self.wait_for(lambda: self.runtime["parts"][part]["pid"])
        os.kill(pid, signal.SIGKILL)
        if part == "supervisor" and self.process is not None:
            self.process.wait(30)

    # -- questions -----------------------------------------------------------------------------

    @property
    def process_id(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def runtime(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.data_dir / "run" / "runtime.json").read_text()))
        except (FileNotFoundError, ValueError):
            return {}

    @property
    def dicom_port(self) -> int:
        return int(self.runtime["dicom"]["port"])

    @property
    def http_port(self) -> int:
        return int(self.runtime["http"]["port"])

    @property
    def ae_title(self) -> str:
        return str(self.runtime["dicom"]["ae_title"])

    def cli(
        self, *arguments: object, check: bool = True, timeout_s: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run ``isocenter …`` against this platform."""
        done = subprocess.run(
            [sys.executable, "-m", "isocenter.cli.main", *map(str, arguments)],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if check and done.returncode != 0:
            said = f"{done.stdout}\n{done.stderr}"
            raise AssertionError(f"isocenter {arguments} ended with {done.returncode}:\n{said}")
        return done

    def json(self, *arguments: object) -> Any:
        """What ``isocenter … --json`` prints."""
        return json.loads(self.cli(*arguments, "--json").stdout)

    def get(self, path: str) -> tuple[int, str]:
        """HTTP status and body; status 0 if nobody answers."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.http_port}{path}", timeout=60
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (OSError, KeyError, TypeError) as error:
            return 0, str(error)

    def health(self) -> dict[str, Any]:
        status, body = self.get("/health/ready")
        return {"http_status": status, **json.loads(body)} if status else {"http_status": 0}

    def wait_for(
        self, what: Callable[[], Any], timeout_s: float = 120, every_s: float = 0.25
    ) -> Any:
        """Ask again until the answer is true; returns it."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = what()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {timeout_s} s in vain; last: {answer!r}")
            time.sleep(every_s)

    def output(self, lines: int = 60) -> str:
        """What ``up`` printed, and the warnings of the log."""
        printed = self._output.read_text(errors="replace").splitlines()[-lines:]
        log = self.data_dir / "logs" / "application.jsonl"
        logged = [
            line
            for line in (log.read_text().splitlines() if log.exists() else [])
            if '"level": "info"' not in line and '"level": "debug"' not in line
        ]
        return "\n".join([*printed, *logged[-lines:]])

    # -- nothing is left -----------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to this platform, however it was started."""
        return [p for p in psutil.process_iter() if self._belongs(p)]

    def end(self) -> None:
        """Stop it if it runs, and insist that nothing is left."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
        left = wait_until_gone(self.processes(), 30)
        names = [f"{p.pid} {p.name()}" for p in left]
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self.process is not None:
            self.process.wait(30)
        assert not names, f"left running: {names}\n{self.output()}"

    def _belongs(self, process: psutil.Process) -> bool:
        if process.pid == os.getpid():
            return False
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if process.environ().get(TOKEN) == self._token:
                return True
            return Path(process.cwd()).is_relative_to(self.data_dir.resolve())
        except (psutil.Error, OSError):
            return False

    def _environment(self) -> dict[str, str]:
        ours = {"ISOCENTER_DATA_DIR": str(self.data_dir), TOKEN: self._token}
        rest = {k: v for k, v in os.environ.items() if not k.startswith("ISOCENTER_")}
        return {**rest, **ours}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        inner = result.get(key)
        both = isinstance(value, Mapping) and isinstance(inner, Mapping)
        result[key] = _merged(inner, value) if both else value
    return result
