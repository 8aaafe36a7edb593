"""The platform at a glance, for the system page and the API."""

from __future__ import annotations

import datetime as dt
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from isocenter import __version__
from isocenter.runtime.health import Check, check_all
from isocenter.runtime.layout import Layout
from isocenter.runtime.settings import Settings
from isocenter.runtime.state_files import live_process, read_state

COUNTED_ROWS = 50_000
_PACKAGES = ("Django", "pydicom", "pynetdicom", "highdicom", "numpy", "procrastinate", "psycopg")
_QUEUES = """
    select queue_name,
        count(*) filter (where status = 'todo') as waiting,
        count(*) filter (where status = 'doing') as running,
        count(*) filter (where status = 'failed') as failed,
        min(scheduled_at) filter (where status = 'todo' and scheduled_at > now()) as next_at
    from procrastinate_jobs where status in ('todo', 'doing', 'failed')
    group by queue_name order by queue_name
"""
_WORKERS = """
    select w.id, w.last_heartbeat,
        count(j.id) filter (where j.status = 'doing') as running,
        string_agg(distinct j.queue_name, ', ') as queues
    from procrastinate_workers w left join procrastinate_jobs j on j.worker_id = w.id
    group by w.id order by w.id
"""


@dataclass(frozen=True)
class Disk:
    """The file system that the data directory is on, in bytes."""

    total: int
    free: int
    reserve: int

    @property
    def used_percent(self) -> int:
        return round(100 * (self.total - self.free) / self.total) if self.total else 0

    @property
    def is_low(self) -> bool:
        return self.free < self.reserve

    @property
    def is_nearly_low(self) -> bool:
        return not self.is_low and self.free < 2 * self.reserve


@dataclass(frozen=True)
class Count:
    """How many rows are in a state; about as many, where counting them would take long."""

    state: str
    number: int
    is_about: bool = False


@dataclass(frozen=True)
class Overview:
    """Everything that the system page shows. What the database did not tell is empty."""

    checks: Mapping[str, Check]
    disk: Disk
    counts: Mapping[str, list[Count]]
    queues: list[dict[str, Any]]
    workers: list[dict[str, Any]]
    parts: list[dict[str, Any]]
    database: Mapping[str, Any]
    receiver: Mapping[str, Any]
    versions: Mapping[str, str]
    started_at: dt.datetime | None
    load: tuple[float, float, float]
    processors: int

    @property
    def is_well(self) -> bool:
        return all(check.ok for check in self.checks.values())


def overview(settings: Settings, layout: Layout) -> Overview:
    """How the platform is right now."""
    checks = check_all(settings, layout)
    usage = shutil.disk_usage(layout.root)
    state = read_state(layout.run / "runtime.json")
    is_up = live_process(state) is not None
    answers = checks["database"].ok
    return Overview(
        checks=checks,
        disk=Disk(usage.total, usage.free, settings.storage.reserve_mb << 20),
        counts=counts() if answers else {},
        queues=_rows(_QUEUES) if answers else [],
        workers=_rows(_WORKERS) if answers else [],
        parts=_parts(state) if is_up else [],
        database=_database() if answers else {},
        receiver=_receiver(settings, layout),
        versions=versions() | ({"PostgreSQL": _server_version()} if answers else {}),
        started_at=_moment(state.get("started_at")) if is_up else None,
        load=os.getloadavg(),
        processors=os.cpu_count() or 1,
    )


def counts() -> dict[str, list[Count]]:
    """Studies, runs, deliveries and what is in quarantine, by state."""
    from isocenter.apps.archive.models import Study
    from isocenter.apps.routing.models import Delivery, QuarantineItem, Run

    return {
        "studies": _count(Study, ended="complete"),
        "runs": _count(Run, ended="done"),
        "deliveries": _count(Delivery, ended="done"),
        "quarantine": _count(QuarantineItem, ended="resolved"),
    }


def _count(model: Any, *, ended: str) -> list[Count]:
    """Exactly, or all but those that ended well, of which a full table has most."""
    from django.db import models

    (about,) = _rows(
        "select reltuples::bigint as rows from pg_class where relname = %s", model._meta.db_table
    )
    states = [str(value) for value in model.State.values]
    found = model._default_manager.values_list("state").annotate(n=models.Count("pk"))
    if about["rows"] < COUNTED_ROWS:
        return [Count(str(state), number) for state, number in found.order_by("state")]
    others = found.filter(state__in=[state for state in states if state != ended])
    shown = [Count(str(state), number) for state, number in others.order_by("state")]
    rest = about["rows"] - sum(count.number for count in shown)
    return [Count(ended, max(0, rest), is_about=True), *shown]


def versions() -> dict[str, str]:
    """Of Isocenter and what it stands on."""
    found = {"Isocenter": __version__, "Python": platform.python_version()}
    return found | {name: metadata.version(name) for name in _PACKAGES}


def _parts(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, **about} for name, about in sorted(state.get("parts", {}).items())]


def _receiver(settings: Settings, layout: Layout) -> dict[str, Any]:
    state = read_state(layout.run / "receiver.json")
    return {
        "is_enabled": settings.receiver.enabled,
        "ae_title": settings.receiver.ae_title,
        "addresses": state.get("addresses", []) if live_process(state) is not None else [],
        "has_tls": settings.receiver.tls.certificate is not None,
        "paused": read_state(layout.run / "receive-policy.json").get("paused"),
    }


def _database() -> dict[str, Any]:
    (found,) = _rows(
        "select pg_database_size(current_database()) as size,"
        " (select count(*) from pg_stat_activity where datname = current_database())"
        " as connections,"
        " current_setting('max_connections')::int as max_connections,"
        " pg_postmaster_start_time() as started_at"
    )
    return found


def _server_version() -> str:
    return str(_rows("select current_setting('server_version') as version")[0]["version"])


def _rows(statement: str, *parameters: Any) -> list[dict[str, Any]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _moment(text: object) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
