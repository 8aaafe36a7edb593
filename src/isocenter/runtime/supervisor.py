"""``isocenter up``: the whole platform as one process tree.

The main thread starts every child, because the parent-death signal is bound to the thread that
started it. State for others is in ``run/runtime.json``.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from types import FrameType
from typing import IO, Any

import psutil
import structlog

from isocenter import __version__
from isocenter.core.errors import ConfigurationError, IsocenterError
from isocenter.runtime.first_administrator import administrator_lines
from isocenter.runtime.health import reachable_host
from isocenter.runtime.layout import Layout
from isocenter.runtime.lifeline import dies_with_parent, wait_until_gone
from isocenter.runtime.parts import Backoff, Part
from isocenter.runtime.ports import insist_on_free_ports
from isocenter.runtime.postgres import DatabaseError, EmbeddedPostgres
from isocenter.runtime.receiver_tls import tls_context
from isocenter.runtime.settings import Settings, default_data_dir
from isocenter.runtime.state_files import (
    live_process,
    process_identity,
    read_state,
    write_state,
)

log = structlog.get_logger(__name__)

GRACE_S = 10.5  # for the parts; the database has its own, and all of it stays below 15 s
TICK_S = 0.1
PROBE_S = 0.3
PROBE_WHEN_READY_S = 5.0

Say = Callable[[str], None]


class AlreadyRunningError(ConfigurationError):
    """Another supervisor has this data directory."""


def supervisor_lock(layout: Layout) -> IO[str]:
    """The lock of a data directory, held as long as the file is open.

    Raises:
        AlreadyRunningError: somebody holds it.
    """
    layout.create()
    stream = (layout.run / "supervisor.lock").open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.seek(0)
        holder = stream.read().strip()
        stream.close()
        raise AlreadyRunningError(
            f"Isocenter already runs on {layout.root}"
            + (f" as process {holder}" if holder else ""),
            hint="stop it first"
            + (f" (kill {holder})" if holder else "")
            + ", or use another --data-dir",
        ) from None
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()
    return stream


class Supervisor:
    """Starts the parts, watches them, stops them.

    Args:
        settings: of this platform.
        arguments: ``--data-dir``/``--config`` as the parts get them.
        environment: settings that came by the command line, as variables for the parts.
        say: prints a line for the person who started us.
    """

    def __init__(
        self,
        settings: Settings,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        say: Say,
    ) -> None:
        self.settings = settings
        self.layout = Layout(settings.data_dir)
        self.arguments = arguments
        self.environment = dict(environment)
        self.say = say
        self.postgres = None if settings.database_url else EmbeddedPostgres(self.layout)
        self.database = Part("database", (), backoff=Backoff())
        self.parts = self._make_parts()
        self.stop_requests = 0
        self.ready = False
        self.announced = False
        self.started_at = dt.datetime.now(dt.UTC)
        self._written: dict[str, Any] = {}
        self._ports: dict[str, int] = {}
        self._stopped = threading.Event()

    def _make_parts(self) -> list[Part]:
        def part(name: str, command: str) -> Part:
            return Part(name, (command, *self.arguments), lambda: self._part_environment(name))

        names = ["receiver"] if self.settings.receiver.enabled else []
        parts = [part(name, name) for name in (*names, "ingest", "web")]
        count = self.settings.workers.processes
        return parts + [part(f"worker-{n + 1}", "worker") for n in range(count)]

    def _part_environment(self, name: str) -> dict[str, str]:
        """A part that comes back keeps the port that it was given by chance."""
        environment = dict(self.environment)
        if name in self._ports:
            environment[f"ISOCENTER_{name.upper()}__PORT"] = str(self._ports[name])
        return environment

    # -- life ----------------------------------------------------------------------------------

    def run(self) -> int:
        """Run until asked to stop. Returns the exit code."""
        lock = supervisor_lock(self.layout)
        previous = self._install_signals()
        try:
            self._clear_leftovers()
            insist_on_free_ports(self.settings)
            if self.settings.receiver.enabled:
                tls_context(self.settings.receiver.tls)
            self._write_state()
            if self.parts[0].name == "receiver":
                self.parts[0].tend()  # needs no database: peers are served from the first moment
            self._start_database()
            self._migrate()
            threading.Thread(target=self._probe, name="probe", daemon=True).start()
            while not self.stop_requests:
                self._tend()
                self._stopped.wait(TICK_S)
        finally:
            try:
                self._stop_everything()
            finally:
                for number, handler in previous.items():
                    signal.signal(number, handler)
                (self.layout.run / "runtime.json").unlink(missing_ok=True)
                lock.truncate(0)
                lock.close()
        return 0

    def _install_signals(self) -> dict[signal.Signals, Any]:
        def request(number: int, frame: FrameType | None) -> None:
            self.stop_requests += 1

        wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        return {number: signal.signal(number, request) for number in wanted}

    def _clear_leftovers(self) -> None:
        """Parts of an earlier supervisor that was killed die with it; wait until they are gone."""
        state = read_state(self.layout.run / "runtime.json")
        rest = []
        for part in state.get("parts", {}).values():
            process = live_process(part)
            if process is not None and "isocenter.cli.main" in " ".join(_command(process)):
                with contextlib.suppress(psutil.Error):
                    process.kill()
                rest.append(process)
        wait_until_gone(rest, 5)
        for name in ("runtime.json", "receiver.json", "ingest.json", "web.json"):
            (self.layout.run / name).unlink(missing_ok=True)

    def _start_database(self) -> None:
        if self.postgres is None:
            return
        first = not (self.layout.postgres / "data").exists()
        self.say("making the database …" if first else "starting the database …")
        self.postgres.cancelled = lambda: bool(self.stop_requests)
        try:
            self.postgres.start()
        except DatabaseError:
            if not self.stop_requests:
                raise

    def _migrate(self) -> None:
        """In a process of its own: the supervisor stays small and without database connections."""
        if self.stop_requests:
            return
        command = [sys.executable, "-m", "isocenter.cli.main", "db", "migrate", "--json"]
        with tempfile.TemporaryFile("w+") as said:
            child = subprocess.Popen(
                [*command, *self.arguments],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # a password may come: it touches no file
                stderr=said,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGKILL),  # noqa: PLW1509
            )
            while child.poll() is None and not self.stop_requests:
                time.sleep(TICK_S)
            if child.poll() is None:
                child.kill()  # each migration is one transaction
                child.wait()
            elif child.returncode != 0:
                said.seek(0)
                reason = said.read().strip()[-800:]
                raise IsocenterError(f"the database could not be migrated: {reason}")
            answer, _ = child.communicate()
        if child.returncode == 0:
            for line in administrator_lines(json.loads(answer)["administrator"]):
                self.say(line)

    def _tend(self) -> None:
        self._tend_database()
        for part in self.parts:
            event = part.tend()
            if event:
                log.warning(event)
                self.say(event)
        self._write_state()
        if self.ready and not self.announced:
            self.announced = True
            self._announce()

    def _tend_database(self) -> None:
        if self.postgres is None:
            return
        now = time.monotonic()
        history = self.database
        if self.postgres.is_running():
            if history.short_lives and now - history.started_at > history.backoff.healthy_after_s:
                history.short_lives, history.reason = 0, ""
            return
        if self.postgres.pid is not None:
            history.restarts += 1
            history.short_lives += 1
            history.reason = f"PostgreSQL ended with {self.postgres.exit_code()}"
            history.next_start = now + history.backoff.wait_s(history.short_lives)
            self.postgres.stop()
            log.warning(history.reason)
            self.say(f"{history.reason}; starting it again")
        if now < history.next_start:
            return
        port = self.postgres.port
        try:
            self.postgres.start()
        except IsocenterError as error:
            history.short_lives += 1
            history.reason = str(error)
            history.next_start = time.monotonic() + history.backoff.wait_s(history.short_lives)
            log.exception("the database does not start")
            return
        history.started_at = time.monotonic()
        if self.postgres.port != port:  # somebody took the port meanwhile: nobody knows the new one
            for part in self.parts:
                if part.name != "receiver":
                    part.send(signal.SIGKILL)

    # -- state for others ----------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What ``run/runtime.json`` says."""
        parts = {part.name: part.describe() for part in self.parts}
        database: dict[str, Any] = {"embedded": self.postgres is not None}
        if self.postgres is not None:
            database["port"] = self.postgres.port
            failing = self.database.state == "failing"
            parts["database"] = {
                **self.database.describe(),
                "state": "failing" if failing else "running",
                "pid": self.postgres.pid,
            }
        self._learn_ports()
        return {
            **process_identity(os.getpid()),
            "version": __version__,
            "started_at": self.started_at.isoformat(),
            "ready": self.ready,
            "data_dir": str(self.layout.root),
            "http": {"host": self.settings.web.host, "port": self._ports.get("web")},
            "dicom": self._dicom(),
            "database": database,
            "parts": parts,
        }

    def _dicom(self) -> dict[str, Any] | None:
        ours = self.settings.receiver
        if not ours.enabled:
            return None
        port = self._ports.get("receiver")
        return {"hosts": list(ours.hosts), "port": port, "ae_title": ours.ae_title}

    def _learn_ports(self) -> None:
        """Where the parts of this supervisor listen, as they wrote it down themselves."""
        for part in self.parts:
            if part.process is None or part.name not in ("web", "receiver"):
                continue
            state = read_state(self.layout.run / f"{part.name}.json")
            if state.get("pid") != part.process.pid:
                continue
            first = next(iter(state.get("addresses") or [state]))
            if first.get("port"):
                self._ports[part.name] = int(first["port"])

    def _write_state(self) -> None:
        state = self.state()
        if state != self._written:
            write_state(self.layout.run / "runtime.json", state)
            self._written = json.loads(json.dumps(state))

    def _probe(self) -> None:
        """Ask the web part whether all is well; a thread, because the answer may take long."""
        while not self._stopped.is_set():
            port = self._ports.get("web")
            host = _bracket(reachable_host(self.settings.web.host))
            self.ready = port is not None and _is_ready(f"http://{host}:{port}/health/ready")
            self._stopped.wait(PROBE_WHEN_READY_S if self.ready else PROBE_S)

    def _announce(self) -> None:
        state = self.state()
        dicom = state["dicom"]
        if dicom:
            self.say(f"DICOM     {', '.join(dicom['hosts'])} port {dicom['port']}")
            self.say(f"AE title  {dicom['ae_title']}")
        host = _bracket(reachable_host(state["http"]["host"]))
        self.say(f"HTTP      http://{host}:{state['http']['port']}/")
        self.say(f"Data      {self.layout.root}")
        if self.layout.root != default_data_dir():
            self.say(f"For other commands: export ISOCENTER_DATA_DIR={self.layout.root}")
        self.say("ready; Ctrl-C stops")

    # -- the end -------------------------------------------------------------------------------

    def _stop_everything(self) -> None:
        """Parts first, all at once, then the database; a second request means now."""
        self._stopped.set()
        self.say("stopping …")
        asked = self.stop_requests
        for part in self.parts:
            part.send(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while any(part.is_alive() for part in self.parts):
            if time.monotonic() > deadline or self.stop_requests > max(asked, 1):
                for part in self.parts:
                    if part.is_alive():
                        log.warning("killed at the end", killed=part.name)
                        part.send(signal.SIGKILL)
            time.sleep(0.05)
        if self.postgres is not None:
            self.postgres.stop(timeout_s=2)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (our own address)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
