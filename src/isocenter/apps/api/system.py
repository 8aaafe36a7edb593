"""The platform itself: health, counts, settings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings as configuration
from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from isocenter import __version__
from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import needs, signed_in
from isocenter.apps.api.paging import whole
from isocenter.apps.api.schemas import PageOf, Row, with_problems
from isocenter.runtime.overview import overview
from isocenter.runtime.settings_in_force import settings_in_force

router = Router(tags=["system"])


class CheckRow(Row):
    """What one check found."""

    ok: bool
    text: str
    facts: dict[str, Any] = {}


class DiskRow(Row):
    """The file system that the data directory is on, in bytes."""

    total: int
    free: int
    reserve: int = Field(description="below it nothing is received (0xA700)")


class System(Row):
    """How the platform is."""

    version: str
    ready: bool
    checks: dict[str, CheckRow]
    disk: DiskRow
    counts: dict[str, dict[str, int]] = Field(
        description="studies, runs, deliveries, quarantine, by state; for big tables the newest"
    )
    queues: list[dict[str, Any]]
    workers: list[dict[str, Any]]
    parts: list[dict[str, Any]] = Field(description="what the supervisor runs")
    versions: dict[str, str]
    started_at: datetime | None


class Version(Row):
    """Which Isocenter this is."""

    version: str


class SettingRow(Row):
    """A setting as it counts."""

    key: str
    value: str
    default: str
    kind: str
    description: str
    place: str = Field(description="where it was written; `default`: nowhere")


class SettingFilter(Schema):
    """Which settings."""

    search: str = Field("", max_length=100, description="part of key or description")
    changed: bool = Field(False, description="only those that are written somewhere")


@router.get("/version", response=with_problems(Version), auth=signed_in())
def version(request: HttpRequest) -> Any:
    """Which Isocenter this is."""
    return {"version": __version__}


@router.get("/system", response=with_problems(System), auth=needs(Right.VIEW_EVENTS))
def system(request: HttpRequest) -> Any:
    """Every check, the disk, the queues, the parts, and how much there is to do."""
    found = overview(configuration.ISOCENTER, configuration.LAYOUT)
    return {
        "version": __version__,
        "ready": found.is_well,
        "checks": found.checks,
        "disk": found.disk,
        "counts": {
            name: {count.state: count.number for count in counts}
            for name, counts in found.counts.items()
        },
        "queues": found.queues,
        "workers": found.workers,
        "parts": found.parts,
        "versions": found.versions,
        "started_at": found.started_at,
    }


@router.get(
    "/settings", response=with_problems(PageOf[SettingRow]), auth=needs(Right.MANAGE_SYSTEM)
)
def effective_settings(request: HttpRequest, given: Query[SettingFilter]) -> Any:
    """What counts now, and where it was written. Passwords are hidden."""
    groups = settings_in_force(configuration.ISOCENTER, given.search, changed_only=given.changed)
    return whole([vars(row) for group in groups for row in group.settings])
