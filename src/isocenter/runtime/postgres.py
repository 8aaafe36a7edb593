"""The embedded PostgreSQL: one cluster in ``<data dir>/postgres/data``, a child of ours.

It listens on loopback only and knows no way in but scram with a random password that is kept in
``secrets/`` (mode 0600). As root it runs as an account without rights; that account need not be
able to reach the data directory by its path, because it gets the folder as an open descriptor.
A cluster survives kill -9 of any of its processes: what an earlier server left behind (backends
without a postmaster, a stale ``postmaster.pid``, shared memory) is cleared before the next start.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from isocenter.core.errors import ConfigurationError, IsocenterError
from isocenter.runtime.account import Account, server_account
from isocenter.runtime.layout import Layout
from isocenter.runtime.lifeline import dies_with_parent, wait_until_gone
from isocenter.runtime.postgres_address import DATABASE, HOST, ROLE, Address
from isocenter.runtime.postgres_binaries import Binaries, find_binaries, readable_binaries
from isocenter.runtime.postgres_processes import servers_of, stop_postmaster
from isocenter.runtime.state_files import process_identity, read_state, secret, write_state

ADMIN = "postgres"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 8.0
ORPHAN_TIMEOUT_S = 1.5

# Sized for 4 GB and two cores beside everything else.
_TUNING = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "1GB",
    "synchronous_commit": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    # Errors quote values, statements and rows, and those name patients. Whoever asked is told.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "idle_in_transaction_session_timeout": "10min",
}


class DatabaseError(IsocenterError):
    """The embedded PostgreSQL does not start or does not answer."""


class EmbeddedPostgres:
    """The server of one data directory.

    Args:
        layout: where things are; ``layout.postgres`` is given to the server's account.
        durable: ``False`` switches fsync off, for tests.
        dies_with_us: whether the server stops when the process that started it is gone.
        port: preferred port; 0 takes the one of last time if it is free, else any.
    """

    def __init__(
        self, layout: Layout, *, durable: bool = True, dies_with_us: bool = True, port: int = 0
    ) -> None:
        self.layout = layout
        self.durable = durable
        self.dies_with_us = dies_with_us
        self.port = port
        self.cancelled: Callable[[], bool] = lambda: False  # asked while we wait for the server
        self._process: subprocess.Popen[bytes] | None = None

    # -- what there is -------------------------------------------------------------------------

    @property
    def data(self) -> Path:
        return self.layout.postgres / "data"

    @property
    def state_file(self) -> Path:
        return self.layout.run / "postgres.json"

    @property
    def log_file(self) -> Path:
        return self.layout.logs / "postgresql.log"

    @property
    def address(self) -> Address:
        """Where the server of this data directory is, or was last.

        Raises:
            ConfigurationError: none was ever started here.
        """
        port = self.port or read_state(self.state_file).get("port")
        password = self.layout.secrets / "postgres-password"
        if not port or not password.exists():
            raise ConfigurationError(
                f"no database in {self.layout.root}",
                hint=f"start it: isocenter up --data-dir {self.layout.root}",
            )
        return Address(int(port), secret(password))

    @property
    def url(self) -> str:
        return self.address.url

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def is_running(self) -> bool:
        """Whether the server that we started still runs."""
        return self._process is not None and self._process.poll() is None

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    # -- start and stop ------------------------------------------------------------------------

    def start(self) -> Address:
        """Make the cluster if there is none, start the server, wait until it answers.

        Raises:
            ConfigurationError: the cluster is of another major version, or cannot be made.
            DatabaseError: the server does not come up; carries the end of its log.
        """
        self.layout.create()
        account = server_account()
        binaries = readable_binaries(find_binaries(), account, self.layout.root)
        self.stop()
        self.stop_leftover()
        self._prepare_folder(account)
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster(binaries, account)
        self._check_version(binaries)
        self._spawn(binaries, account)
        try:
            self._wait_until_ready()
            self._ensure_role_and_database()
        except BaseException:
            self.stop(timeout_s=2)
            raise
        return self.address

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop the server that we started: fast, then at once, then by force."""
        if self._process is None:
            return
        process, self._process = self._process, None
        with contextlib.suppress(psutil.Error):
            stop_postmaster(psutil.Process(process.pid), timeout_s)
        process.wait()

    def stop_leftover(self) -> bool:
        """Stop what an earlier server left on this cluster. Says whether there was anything."""
        data = self.data.resolve()
        left = servers_of(data)
        for process in left:
            if process.pid == self._recorded_pid():
                stop_postmaster(process, STOP_TIMEOUT_S)
        # Backends whose postmaster was killed end by themselves as soon as they notice.
        deaf = wait_until_gone(left, ORPHAN_TIMEOUT_S)
        for process in deaf:
            with contextlib.suppress(psutil.Error):
                process.kill()
        wait_until_gone(deaf, ORPHAN_TIMEOUT_S)
        # Nobody works in the cluster, so a pid file is of a server that was killed. Left there,
        # a later process with the same number would keep the server from starting.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        return bool(left)

    def _recorded_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    # -- the steps -----------------------------------------------------------------------------

    def _prepare_folder(self, account: Account) -> None:
        folder = self.layout.postgres
        folder.mkdir(exist_ok=True, mode=0o700)
        owner = folder.stat().st_uid
        if owner not in (os.geteuid(), account.uid):
            raise ConfigurationError(
                f"{folder} belongs to user {owner}, not to {account.name}",
                hint=f"start Isocenter as the user it was made by, or chown -R {account.uid}",
            )
        account.own(folder)
        if self.data.exists() and self.data.stat().st_uid != account.uid:
            raise ConfigurationError(
                f"{self.data} belongs to user {self.data.stat().st_uid}; PostgreSQL would run as "
                f"{account.name} ({account.uid}) and refuse it",
                hint=f"chown -R {account.uid}:{account.gid} {folder}",
            )

    def _make_cluster(self, binaries: Binaries, account: Account) -> None:
        """initdb beside, then rename: a cluster is whole or not there."""
        admin_password = secret(self.layout.secrets / "postgres-admin-password")
        staging = self.layout.postgres / "data.new"
        for rest in (staging, self.data):
            shutil.rmtree(rest, ignore_errors=True)
        password_file = self.layout.postgres / ".password"
        password_file.unlink(missing_ok=True)
        handle = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as stream:
            os.fchown(handle, account.uid, account.gid)
            stream.write(admin_password + "\n")
        try:
            with self._reachable(account) as (folder, options):
                answer = subprocess.run(
                    [
                        binaries.program("initdb"),
                        *("-D", f"{folder}/data.new", "-U", ADMIN, "-E", "UTF8"),
                        *("--auth=scram-sha-256", f"--pwfile={folder}/.password"),
                        *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
                        * (binaries.major >= 17),
                        *("--locale=C",) * (binaries.major < 17),
                        *("--no-instructions",),
                        *("--no-sync",) * (not self.durable),
                    ],
                    capture_output=True,
                    text=True,
                    errors="replace",
                    check=False,
                    **options,
                )
        finally:
            password_file.unlink(missing_ok=True)
        if answer.returncode != 0:
            shutil.rmtree(staging, ignore_errors=True)
            said = (answer.stderr or answer.stdout).strip()[-800:]
            raise DatabaseError(f"PostgreSQL could not make a database in {self.data}: {said}")
        staging.rename(self.data)

    def _check_version(self, binaries: Binaries) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        if made_by == str(binaries.major):
            return
        raise ConfigurationError(
            f"the database in {self.data} was made by PostgreSQL {made_by}, this Isocenter brings "
            f"PostgreSQL {binaries.version}; nothing was changed. To move it: (1) with the "
            f"programs of PostgreSQL {made_by}, start a server on {self.data} and run "
            f"'pg_dump -Fc isocenter > isocenter.dump'; (2) stop it and rename "
            f"{self.layout.postgres} to {self.layout.postgres}-{made_by}; (3) 'isocenter db start' "
            "and 'pg_restore --no-owner -d \"$(isocenter db url)\" isocenter.dump'; or install "
            f"the Isocenter that you had before, or set ISOCENTER_DATABASE_URL to a server"
        )

    def _spawn(self, binaries: Binaries, account: Account) -> None:
        settings = {
            **_TUNING,
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **({} if self.durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        self.port = self._choose_port()
        arguments = [f"-c{name}={value}" for name, value in settings.items()]
        with self._reachable(account) as (folder, options), self._open_log() as log:
            self._process = subprocess.Popen(
                [
                    binaries.program("postgres"),
                    *("-D", f"{folder}/data", "-p", str(self.port)),
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # SIGINT is PostgreSQL's fast shutdown
                preexec_fn=dies_with_parent(signal.SIGINT) if self.dies_with_us else None,  # noqa: PLW1509
                **options,
            )

    def _choose_port(self) -> int:
        """The port of last time if it is free: others still know it."""
        last = int(read_state(self.state_file).get("port", 0))
        for wanted in (self.port or last, last, 0):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, wanted))
                except OSError:
                    continue
                return int(probe.getsockname()[1])
        raise DatabaseError(f"no free port on {HOST}")

    @contextlib.contextmanager
    def _reachable(self, account: Account) -> Iterator[tuple[str, dict[str, Any]]]:
        """``layout.postgres`` as the account can name it, and options for `subprocess`.

        The folders above may be closed to the account (a data directory in ``/root``). On Linux
        it gets the folder as an open descriptor, which it may enter without passing through them.
        """
        environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        options: dict[str, Any] = {"cwd": "/", "env": environment, **account.process_options()}
        if account.is_self or sys.platform != "linux":
            yield str(self.layout.postgres), options
            return
        descriptor = os.open(self.layout.postgres, os.O_PATH | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{descriptor}", {**options, "pass_fds": (descriptor,)}
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _open_log(self) -> Iterator[int]:
        path = self.log_file
        if path.exists() and path.stat().st_size > 10 << 20:
            path.replace(path.with_suffix(".log.1"))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _wait_until_ready(self) -> None:
        """The server writes "ready" into its pid file when it takes connections."""
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise DatabaseError(
                    f"PostgreSQL ended with {self._process.returncode}: {self.log_tail()}"
                )
            with contextlib.suppress(OSError):
                lines = (self.data / "postmaster.pid").read_text().splitlines()
                if len(lines) >= 8 and lines[7].strip() == "ready":
                    identity = process_identity(self._process.pid)
                    write_state(self.state_file, {"host": HOST, "port": self.port, **identity})
                    return
            if self.cancelled():
                raise DatabaseError("the start of the database was cancelled")
            time.sleep(0.02)
        raise DatabaseError(
            f"PostgreSQL was not ready after {START_TIMEOUT_S:g} s: {self.log_tail()}"
        )

    def _ensure_role_and_database(self) -> None:
        password = secret(self.layout.secrets / "postgres-password")
        mine = Address(self.port, password)
        with contextlib.suppress(psycopg.OperationalError), mine.connect():
            return
        admin_password = secret(self.layout.secrets / "postgres-admin-password")
        admin = Address(self.port, admin_password, user=ADMIN, name="postgres")
        try:
            connection = admin.connect()
        except psycopg.OperationalError as error:
            raise DatabaseError(
                f"the passwords in {self.layout.secrets} do not open the database",
                hint="put the files back from a backup of this data directory",
            ) from error
        with connection:
            role, name = sql.Identifier(ROLE), sql.Identifier(DATABASE)
            known = connection.execute("select 1 from pg_roles where rolname = %s", [ROLE])
            verb = sql.SQL("alter" if known.fetchone() else "create")
            connection.execute(
                sql.SQL("{} role {} login createdb password {}").format(
                    verb, role, sql.Literal(password)
                )
            )
            there = connection.execute("select 1 from pg_database where datname = %s", [DATABASE])
            if there.fetchone() is None:
                connection.execute(sql.SQL("create database {} owner {}").format(name, role))

    def log_tail(self, lines: int = 12) -> str:
        """The end of the server's log, for error messages."""
        try:
            text = self.log_file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:])
