"""Asking for events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.models import Event


def events(
    study_uid: str = "",
    *,
    kinds: Sequence[Kind | str] = (),
    since: datetime | None = None,
    limit: int = 200,
) -> list[Event]:
    """The newest events first; all of them, or those of one study or some kinds."""
    found = Event.objects.order_by("-at", "-id")
    if study_uid:
        found = found.filter(study_uid=study_uid)
    if kinds:
        found = found.filter(kind__in=[str(kind) for kind in kinds])
    if since is not None:
        found = found.filter(at__gte=since)
    return list(found[:limit])
