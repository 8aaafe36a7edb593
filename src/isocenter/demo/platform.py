"""The platform of the demonstration: started, waited for, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from isocenter.core.errors import ConfigurationError
from isocenter.runtime.first_administrator import is_sign_in
from isocenter.runtime.layout import Layout

READY_TIMEOUT_S = 120
STOP_TIMEOUT_S = 30

# Short times: the study comes in one go, nobody waits a minute for a demonstration.
CONFIGURATION = """\
receiver:
  hosts: ["127.0.0.1"]
  port: 0
web:
  port: 0
completion:
  debounce_s: 2
  min_instances: 2
storage:
  reserve_mb: 64
logs:
  level: WARNING
"""


class DemoPlatform:
    """``isocenter up`` in a data directory of its own, on free ports."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder)
        self._process: subprocess.Popen[str] | None = None
        self._log = folder.with_suffix(".log")
        self._listener: threading.Thread | None = None

    def __enter__(self) -> DemoPlatform:
        self.layout.create()
        self.layout.config_file.write_text(CONFIGURATION, encoding="utf-8")
        # Settings of the machine's own installation must not reach the demonstration.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ISOCENTER_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "isocenter.cli.main", "up", "--data-dir", self._folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=environment,
            text=True,
            errors="replace",
        )
        self._listener = threading.Thread(target=self._listen, args=(self._process.stdout,))
        self._listener.start()
        return self

    def _listen(self, said: IO[str]) -> None:
        """Keep what the platform says, but for the password: it ends with the demonstration."""
        with said, self._log.open("w", encoding="utf-8") as log:
            for line in said:
                if not is_sign_in(line):
                    log.write(line)
                    log.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        if self._listener is not None:
            self._listener.join(STOP_TIMEOUT_S)

    @property
    def _folder(self) -> str:
        return str(self.layout.root)

    def wait_ready(self, waiting: Callable[[], None]) -> dict[str, Any]:
        """Until all parts are well; what ``run/runtime.json`` says.

        Raises:
            ConfigurationError: it ended, or was not ready in time.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            state = self._state()
            if state.get("ready"):
                return state
            if self._process is not None and self._process.poll() is not None:
                break
            waiting()
            time.sleep(0.1)
        log = self._log.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise ConfigurationError(f"the platform did not become ready; its log ends:\n{log}")

    def _state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads((self.layout.run / "runtime.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return state
