"""Events: who did what to which study."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import actor, needs
from isocenter.apps.api.schemas import Moment, PageOf, Paging, Row, with_problems
from isocenter.apps.audit import queries, services
from isocenter.apps.audit.kinds import Kind
from isocenter.runtime.web.streaming import Work, streamed

router = Router(tags=["events"])

_FORMS = {"jsonl": "application/jsonl; charset=utf-8", "csv": "text/csv; charset=utf-8"}


class EventRow(Row):
    """Something that happened. Patients are never named."""

    id: int
    at: Moment
    kind: str
    study_uid: str
    actor: str = Field(description="who did it; empty: Isocenter itself")
    detail: dict[str, Any]


class EventWishes(Schema):
    """Which events."""

    study_uid: str = Field("", max_length=255)
    kind: list[Kind] = Field([], description="given several times: any of them")
    actor: str = Field("", max_length=255)
    since: datetime | None = Field(None, description="not before; UTC where it has no zone")
    until: datetime | None = Field(None, description="before")

    def wanted(self) -> queries.EventFilter:
        """As the audit is asked."""
        return queries.EventFilter(
            study_uid=self.study_uid,
            kinds=tuple(str(kind) for kind in self.kind),
            actor=self.actor,
            since=_in_utc(self.since),
            until=_in_utc(self.until),
        )


class EventFilter(EventWishes, Paging):
    """Which events, and which part of them."""


class EventExport(EventWishes):
    """Which events, and how."""

    form: Literal["jsonl", "csv"] = Field("jsonl", description="JSON lines keep the seals' hashes")


@router.get("/events", response=with_problems(PageOf[EventRow]), auth=needs(Right.VIEW_EVENTS))
def list_events(request: HttpRequest, given: Query[EventFilter]) -> Any:
    """Events, the newest first."""
    page = queries.event_page(given.wanted(), given.cursor, limit=given.limit)
    return {
        "items": [queries.event_row(item) for item in page.events],
        "next": page.older or None,
    }


@router.get(
    "/events/export",
    auth=needs(Right.VIEW_EVENTS),
    response=with_problems(str),
    openapi_extra={"responses": {200: {"content": {"application/jsonl": {}, "text/csv": {}}}}},
)
def export_events(request: HttpRequest, given: Query[EventExport]) -> Any:
    """The events that match, the oldest first, as a file. That somebody did is an event too."""
    pieces = services.export(given.wanted(), given.form, actor=actor(request))
    response = streamed(request, pieces, content_type=_FORMS[given.form], work=Work.PACKING)
    name = f"isocenter-events.{given.form}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@router.get("/events/{event_id}", response=with_problems(EventRow), auth=needs(Right.VIEW_EVENTS))
def get_event(request: HttpRequest, event_id: str) -> Any:
    """One event."""
    number = int(event_id) if event_id.isdecimal() and len(event_id) < 19 else 0
    return queries.event_row(queries.event(number))


def _in_utc(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo:
        return moment
    return moment.replace(tzinfo=UTC)
