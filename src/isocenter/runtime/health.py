"""Is the platform ready? One check for each thing that has to work.

The parts say how they are in small files under ``run/``: ``receiver.json`` (address of the
acceptor), ``ingest.json`` (``{pid, at}``, renewed all the time) and ``runtime.json`` (the
supervisor). Workers renew a row in the queue's table.
"""

from __future__ import annotations

import datetime as dt
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from isocenter.runtime.layout import Layout
from isocenter.runtime.settings import Settings
from isocenter.runtime.state_files import live_process, read_state

INGEST_SILENCE_S = 20.0
CONNECT_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Check:
    """What one check found."""

    ok: bool
    text: str
    facts: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, "text": self.text, **self.facts}


def check_all(settings: Settings, layout: Layout) -> dict[str, Check]:
    """Every check by name; a check that raises counts as failed."""
    checks: dict[str, Callable[[Settings, Layout], Check]] = {
        "database": database,
        "queue": queue,
        "receiver": receiver,
        "ingest": ingest,
        "workers": workers,
        "disk": disk,
        "parts": parts,
    }
    found = {}
    for name, check in checks.items():
        try:
            found[name] = check(settings, layout)
        except Exception as error:
            # A health page that fails with a trace helps nobody.
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            found[name] = Check(False, reason)
    return found


def database(settings: Settings, layout: Layout) -> Check:
    from django.db import connection

    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("select current_setting('server_version')")
        (version,) = cursor.fetchone()
    took_ms = round((time.perf_counter() - started) * 1000, 1)
    return Check(True, f"PostgreSQL {version}", {"answer_ms": took_ms})


def queue(settings: Settings, layout: Layout) -> Check:
    """The tables are there, and nothing that could be done has waited for minutes."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select to_regclass('procrastinate_jobs') is not null")
        if not cursor.fetchone()[0]:
            return Check(False, "the queue's tables are missing: isocenter db migrate")
        cursor.execute(
            "select count(*) filter (where status = 'todo'),"
            " count(*) filter (where status = 'doing') from procrastinate_jobs"
            " where status in ('todo', 'doing')"
        )
        waiting, running = cursor.fetchone()
    return Check(
        True, f"{waiting} waiting, {running} running", {"waiting": waiting, "running": running}
    )


def receiver(settings: Settings, layout: Layout) -> Check:
    if not settings.receiver.enabled:
        return Check(True, "switched off")
    state = read_state(layout.run / "receiver.json")
    if live_process(state) is None:
        return Check(False, "the receiver does not run")
    addresses = state.get("addresses", [])
    for address in addresses:
        host, port = reachable_host(address["host"]), int(address["port"])
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S):
            pass
    paused = read_state(layout.run / "receive-policy.json").get("paused")
    if paused:
        return Check(False, f"takes nothing (0xA700): {paused}")
    places = ", ".join(f"{address['host']} port {address['port']}" for address in addresses)
    return Check(bool(addresses), f"{settings.receiver.ae_title} at {places}")


def reachable_host(host: str) -> str:
    """The address under which we reach a server of our own that listens there."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104


def ingest(settings: Settings, layout: Layout) -> Check:
    state = read_state(layout.run / "ingest.json")
    if live_process(state) is None:
        return Check(False, "the ingest does not run")
    silent_s = time.time() - _seconds(state.get("at"))
    if silent_s > INGEST_SILENCE_S:
        return Check(False, f"the ingest has been silent for {silent_s:.0f} s")
    return Check(True, "takes in what was received")


def _seconds(at: object) -> float:
    """A moment as seconds since 1970: a number, or ISO 8601."""
    if isinstance(at, int | float):
        return float(at)
    try:
        moment = dt.datetime.fromisoformat(str(at))
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def workers(settings: Settings, layout: Layout) -> Check:
    """Processes whose heartbeat is young; one process has a row for each of its queues."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from procrastinate_workers"
            " where last_heartbeat > now() - make_interval(secs => %s)",
            [settings.workers.dead_after_s],
        )
        (alive,) = cursor.fetchone()
    if alive == 0 and settings.workers.processes > 0:
        return Check(False, "no worker runs", {"heartbeats": 0})
    return Check(True, "at work" if alive else "none wanted", {"heartbeats": alive})


def disk(settings: Settings, layout: Layout) -> Check:
    if not layout.archive.is_dir():
        return Check(
            False, f"the archive folder {layout.archive} is not there: is its disk mounted?"
        )
    free = shutil.disk_usage(layout.root).free
    reserve = settings.storage.reserve_mb << 20
    facts = {"free_mb": free >> 20, "reserve_mb": settings.storage.reserve_mb}
    if free < reserve:
        return Check(False, f"{free >> 20} MB free, less than the reserve", facts)
    return Check(True, f"{free / (1 << 30):.1f} GB free", facts)


def parts(settings: Settings, layout: Layout) -> Check:
    """What the supervisor says of its parts; nothing to say where there is none."""
    state = read_state(layout.run / "runtime.json")
    if live_process(state) is None:
        return Check(True, "no supervisor here")
    found = {name: part.get("state", "") for name, part in state.get("parts", {}).items()}
    failing = [
        f"{name}: {state['parts'][name].get('reason') or 'keeps failing'}"
        for name, part_state in found.items()
        if part_state == "failing"
    ]
    if failing:
        return Check(False, "; ".join(failing), {"states": found})
    return Check(True, f"{len(found)} run", {"states": found})
