"""Workers share the work, and take over what a dead one held."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from procrastinate import App, SyncPsycopgConnector

from isocenter.runtime.postgres import EmbeddedPostgres

pytestmark = pytest.mark.timeout(120)


class Crew:
    """Worker processes on a database of their own."""

    def __init__(self, url: str, folder: Path, **times: float) -> None:
        self.folder = folder
        self.notes = folder / "notes.txt"
        self.done = folder / "done"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "ISOCENTER_DATABASE_URL": url,
            "ISOCENTER_DATA_DIR": str(folder),
            **{f"ISOCENTER_WORKERS__{key.upper()}": str(value) for key, value in times.items()},
        }
        self._run("db", "migrate")
        self.app = App(connector=SyncPsycopgConnector(conninfo=url))
        self.app.open()

    def _run(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "isocenter.cli.main", *arguments]
        subprocess.run(command, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def hire(self) -> subprocess.Popen[bytes]:
        script = Path(__file__).with_name("worker_process.py")
        command = [sys.executable, str(script), str(self.folder)]
        self.workers.append(subprocess.Popen(command, env=self.environment))
        return self.workers[-1]

    def defer(self, seconds: float = 0) -> None:
        task = self.app.configure_task("tests.work", queue="runs", allow_unknown=True)
        task.defer(notes=str(self.notes), until=str(self.done), seconds=seconds)

    def noted(self, what: str) -> list[int]:
        """Processes that noted this, in order."""
        if not self.notes.exists():
            return []
        lines = [line.split() for line in self.notes.read_text().splitlines()]
        return [int(pid) for word, pid in lines if word == what]

    def wait(self, what: str, count: int, timeout_s: float) -> list[int]:
        self.wait_until(lambda: len(self.noted(what)) >= count, timeout_s)
        return self.noted(what)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            notes = self.notes.read_text() if self.notes.exists() else ""
            assert time.monotonic() < deadline, f"not in {timeout_s} s; noted: {notes}"
            time.sleep(0.05)

    def jobs(self) -> list[Any]:
        return self.app.connector.execute_query_all("select status from procrastinate_jobs")

    def dismiss(self) -> None:
        self.app.close()
        for worker in self.workers:
            worker.kill()
            worker.wait()


@pytest.fixture
def crew(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Callable[..., Crew]]:
    """Makes a crew: ``crew(heartbeat_s=…, dead_after_s=…, runs=…)``."""
    name = f"crew_{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    made: list[Crew] = []

    def make(**times: float) -> Crew:
        made.append(Crew(f"{postgres.url.rpartition('/')[0]}/{name}", tmp_path, **times))
        return made[-1]

    yield make
    for each in made:
        each.dismiss()
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")


def test_two_workers_split_the_work(crew: Callable[..., Crew]) -> None:
    team = crew(runs=1)
    first, second = team.hire(), team.hire()
    for _ in range(8):
        team.defer(seconds=0.5)

    done = team.wait("end", 8, timeout_s=120)

    assert set(done) == {first.pid, second.pid}
    assert len(team.noted("start")) == 8
    team.wait_until(lambda: team.jobs() == [])  # finished ones are not kept


@pytest.mark.parametrize(
    ("times", "limit_s"),
    [
        pytest.param({"heartbeat_s": 1, "dead_after_s": 3}, 60, id="short"),
        pytest.param({}, 90, id="as shipped", marks=pytest.mark.slow),
    ],
)
def test_the_job_of_a_killed_worker_runs_again(
    crew: Callable[..., Crew], times: dict[str, float], limit_s: float
) -> None:
    team = crew(**times)
    by_pid = {worker.pid: worker for worker in (team.hire(), team.hire())}
    team.defer()
    (victim,) = team.wait("start", 1, timeout_s=120)
    # the other one is there too
    team.wait_until(lambda: len(_rows(team, "select id from procrastinate_workers")) >= 6)

    by_pid.pop(victim).kill()

    _, successor = team.wait("start", 2, timeout_s=limit_s)
    assert [successor] == list(by_pid)
    team.done.touch()
    assert team.wait("end", 1, timeout_s=60) == [successor]


def test_a_stopped_worker_gives_its_job_back(crew: Callable[..., Crew]) -> None:
    team = crew()
    first = team.hire()
    team.defer()
    team.wait("start", 1, timeout_s=120)
    first.send_signal(signal.SIGTERM)

    assert first.wait(90) == 0
    assert _rows(team, "select id from procrastinate_workers") == []
    second = team.hire()
    assert team.wait("start", 2, timeout_s=120) == [first.pid, second.pid]


def test_a_worker_that_lost_its_database_ends_and_asks_to_be_started_again(
    crew: Callable[..., Crew],
) -> None:
    team = crew(heartbeat_s=0.5, dead_after_s=2)
    worker = team.hire()
    team.defer(seconds=0.1)
    team.wait("end", 1, timeout_s=120)
    url = team.environment["ISOCENTER_DATABASE_URL"]
    name = url.rpartition("/")[2]
    team.app.close()

    admin = url.rpartition("/")[0] + "/isocenter"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")

    assert worker.wait(120) == 1


def _rows(team: Crew, query: str) -> list[Any]:
    return team.app.connector.execute_query_all(query)
