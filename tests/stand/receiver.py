"""The receiver as a process of its own, with short times, for tests that treat it badly."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from isocenter.apps.archive.spool import SpoolReader

START_TIMEOUT_S = 120

QUICK: dict[str, dict[str, Any]] = {
    "receiver": {
        "hosts": ["127.0.0.1"],
        "port": 0,
        "acse_timeout_s": 2,
        "network_timeout_s": 3,
    },
    "storage": {"reserve_mb": 0, "segment_mb": 1},
}


class ReceiverProcess:
    """``isocenter receiver`` on a free loopback port.

    Args:
        data_dir: its data directory; made when missing, kept when it stops.
        settings: changes to `QUICK`, by section.
        prefix: command that runs it, such as ``strace -o file``.
        config_folder: for its configuration and what it prints; beside the data by default.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: dict[str, dict[str, Any]] | None = None,
        prefix: Sequence[str] = (),
        config_folder: Path | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.spool = data_dir / "spool"
        self._prefix = prefix
        merged = {name: {**QUICK.get(name, {})} for name in {**QUICK, **(settings or {})}}
        for name, section in (settings or {}).items():
            merged[name].update(section)
        beside = (config_folder or data_dir.parent) / data_dir.name
        self._config = beside.with_suffix(".yaml")
        self._config.write_text(yaml.safe_dump(merged))
        self._log = beside.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.pid = 0

    def start(self) -> ReceiverProcess:
        command = [sys.executable, "-m", "isocenter.cli.main", "receiver"]
        command += ["--data-dir", str(self.data_dir), "--config", str(self._config)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        state = self.data_dir / "run" / "receiver.json"
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if state.exists():
                found = json.loads(state.read_text())
                if psutil.pid_exists(found["pid"]) and self._is_ours(found["pid"]):
                    self.pid, self.port = found["pid"], found["addresses"][0]["port"]
                    return self
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"the receiver did not start:\n{self.log_tail()}")

    def _is_ours(self, pid: int) -> bool:
        assert self._process is not None
        children = psutil.Process(self._process.pid).children(recursive=True)
        return pid == self._process.pid or pid in {child.pid for child in children}

    @property
    def is_up(self) -> bool:
        """True while the process that was started lives; it is never started again by itself."""
        return self._process is not None and self._process.poll() is None

    @property
    def rss_mb(self) -> float:
        return float(psutil.Process(self.pid).memory_info().rss) / 1e6

    @property
    def threads(self) -> int:
        return int(psutil.Process(self.pid).num_threads())

    @property
    def descriptors(self) -> int:
        return int(psutil.Process(self.pid).num_fds())

    def stored(self) -> dict[str, bytes]:
        """Data sets that it accepted, by the SOP Instance UID of the command."""
        reader = SpoolReader(self.spool)
        found = {}
        for segment in reader.segments():
            for record in reader.records(segment):
                whole = record.read()
                found[record.meta["sop_instance_uid"]] = whole[record.meta["dataset_offset"] :]
        return found

    def events(self) -> list[dict[str, Any]]:
        return [
            json.loads(line)
            for path in sorted((self.spool / "events").glob("*.jsonl"))
            for line in path.read_text().splitlines()
        ]

    def kill(self) -> None:
        """SIGKILL, as a crash does it."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)

    def stop(self) -> int:
        """SIGTERM; the exit code. Nothing is left running."""
        if self._process is None:
            return 0
        try:
            if self._process.poll() is None:
                os.kill(self.pid or self._process.pid, signal.SIGTERM)
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the receiver did not stop:\n{self.log_tail()}") from None

    def log_tail(self) -> str:
        return self._log.read_text()[-4000:] if self._log.exists() else ""
