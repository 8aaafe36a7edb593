"""The platform itself: health, counts, settings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from isocenter import __version__
from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import needs, signed_in
from isocenter.apps.api.schemas import Row, with_problems

router = Router(tags=["system"])


class CheckRow(Row):
    """What one check found."""

    ok: bool
    text: str
    facts: dict[str, Any] = {}


class System(Row):
    """How the platform is."""

    version: str
    ready: bool
    checks: dict[str, CheckRow]
    counts: dict[str, dict[str, int]] = Field(
        description="studies, runs, deliveries, quarantine, by state"
    )


class Version(Row):
    """Which Isocenter this is."""

    version: str


@router.get("/version", response=with_problems(Version), auth=signed_in())
def version(request: HttpRequest) -> Any:
    """Which Isocenter this is."""
    return {"version": __version__}


@router.get("/system", response=with_problems(System), auth=needs(Right.MANAGE_SYSTEM))
def system(request: HttpRequest) -> Any:
    """Every check, and how much there is to do."""
    from isocenter.runtime.health import check_all, work_counts

    found = check_all(settings.ISOCENTER, settings.LAYOUT)
    return {
        "version": __version__,
        "ready": all(check.ok for check in found.values()),
        "checks": {
            name: {"ok": check.ok, "text": check.text, "facts": check.facts}
            for name, check in found.items()
        },
        "counts": work_counts(),
    }


@router.get("/settings", response=with_problems(dict[str, Any]), auth=needs(Right.MANAGE_SYSTEM))
def effective_settings(request: HttpRequest) -> Any:
    """What counts now, section by section; secrets are left out."""
    from isocenter.runtime.configuration import public_values

    return public_values(settings.ISOCENTER)
