"""Events: who did what to which study."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import needs
from isocenter.apps.api.paging import newest_first
from isocenter.apps.api.schemas import Moment, PageOf, Paging, Row, with_problems
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.models import Event

router = Router(tags=["events"])


class EventRow(Row):
    """Something that happened. Patients are never named."""

    id: int
    at: Moment
    kind: str
    study_uid: str
    actor: str = Field(description="who did it; empty: Isocenter itself")
    detail: dict[str, Any]


class EventFilter(Paging):
    """Which events."""

    study_uid: str = Field("", max_length=255)
    kind: list[Kind] = Field([], description="given several times: any of them")
    actor: str = Field("", max_length=255)
    since: datetime | None = Field(None, description="not before")
    until: datetime | None = Field(None, description="before")


@router.get("/events", response=with_problems(PageOf[EventRow]), auth=needs(Right.VIEW_EVENTS))
def list_events(request: HttpRequest, given: Query[EventFilter]) -> Any:
    """Events, the newest first."""
    found = Event.objects.all()
    if given.study_uid:
        found = found.filter(study_uid=given.study_uid)
    if given.kind:
        found = found.filter(kind__in=[str(kind) for kind in given.kind])
    if given.actor:
        found = found.filter(actor=given.actor)
    if given.since is not None:
        found = found.filter(at__gte=in_utc(given.since))
    if given.until is not None:
        found = found.filter(at__lt=in_utc(given.until))
    return newest_first(found, "at", given, _row)


def in_utc(moment: datetime) -> datetime:
    """A time without a zone is meant as UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _row(event: Event) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "study_uid": event.study_uid,
        "actor": event.actor,
        "detail": event.detail,
    }
