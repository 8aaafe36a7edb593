"""Asking for events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet

from isocenter.apps.audit import chain, sealing
from isocenter.apps.audit.kinds import GROUPS, Kind, text_of
from isocenter.apps.audit.models import Event, EventSeal
from isocenter.core.errors import NotFound

__all__ = [
    "GROUPS",
    "EventFilter",
    "EventPage",
    "event",
    "event_page",
    "event_row",
    "events",
    "seal_of",
    "text_of",
]


@dataclass(frozen=True)
class EventFilter:
    """Which events; what is empty does not filter.

    Attributes:
        actor: exactly this one.
        since: not before; until: before.
    """

    study_uid: str = ""
    kinds: tuple[str, ...] = ()
    actor: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """What is set, for an event that says what was asked for."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name in ("study_uid", "kinds", "actor", "since", "until")
            if (value := getattr(self, name))
        }


@dataclass(frozen=True)
class EventPage:
    """Some events, the newest first.

    Attributes:
        older, newer: cursors of the pages beside this one; empty where there is none.
    """

    events: tuple[Event, ...]
    older: str = ""
    newer: str = ""


@dataclass(frozen=True)
class _Cursor:
    """Before (or after) which event a page begins."""

    at: datetime
    id: int
    is_backward: bool  # towards newer events

    def __str__(self) -> str:
        micros = round(self.at.timestamp() * 1_000_000)
        return f"{'n' if self.is_backward else 'o'}{micros}.{self.id}"

    @classmethod
    def read(cls, text: str) -> _Cursor | None:
        """A cursor; None for anything that is none, which begins at the newest event."""
        head, _, tail = text[1:41].partition(".")
        if text[:1] not in ("n", "o") or not (head.isdecimal() and tail.isdecimal()):
            return None
        try:
            at = datetime.fromtimestamp(int(head) // 1_000_000, UTC)
        except (ValueError, OverflowError, OSError):
            return None
        if int(tail) >= 1 << 63:
            return None
        return cls(at.replace(microsecond=int(head) % 1_000_000), int(tail), text[0] == "n")


def events(
    study_uid: str = "",
    *,
    kinds: Sequence[Kind | str] = (),
    since: datetime | None = None,
    limit: int = 200,
) -> list[Event]:
    """The newest events first; all of them, or those of one study or some kinds."""
    wanted = EventFilter(study_uid, tuple(str(kind) for kind in kinds), since=since)
    return _newest(wanted, None, limit)


def count_since(kind: str, actor: str, since: datetime) -> int:
    """How often somebody did something."""
    return Event.objects.filter(kind=kind, actor=actor, at__gte=since).count()


def newest_event(study_uid: str) -> int | None:
    """Number of the newest event of a study; None where it has none."""
    found = Event.objects.filter(study_uid=study_uid).order_by("-at", "-pk")
    return found.values_list("pk", flat=True).first()


def event_page(wanted: EventFilter, cursor: str = "", *, limit: int = 50) -> EventPage:
    """One page of events; as fast at the end of ten million as at their beginning.

    Args:
        cursor: ``older`` or ``newer`` of another page; anything else gives the first page.
    """
    place = _Cursor.read(cursor)
    found = _newest(wanted, place, limit + 1)
    has_more = len(found) > limit
    shown = found[:limit]
    if place is not None and place.is_backward:
        if not has_more:  # the very newest: shown as a full first page
            return event_page(wanted, limit=limit)
        shown.reverse()
        return _page(shown, has_older=True, has_newer=True)
    return _page(shown, has_older=has_more, has_newer=place is not None)


def _page(shown: Sequence[Event], *, has_older: bool, has_newer: bool) -> EventPage:
    if not shown:
        return EventPage(())
    first, last = shown[0], shown[-1]
    return EventPage(
        tuple(shown),
        older=str(_Cursor(last.at, last.pk, False)) if has_older else "",
        newer=str(_Cursor(first.at, first.pk, True)) if has_newer else "",
    )


def event(event_id: int) -> Event:
    """One event.

    Raises:
        NotFound: no such event.
    """
    found = Event.objects.filter(pk=event_id).first()
    if found is None:
        raise NotFound(f"no event {event_id} is here", hint="isocenter audit list")
    return found


def seal_of(row: Event) -> EventSeal | None:
    """The seal that covers an event; None for the first seconds."""
    found = sealing.seals_from(chain.Place(sealing.turn_of(row.pk), row.pk), limit=1)
    return found[0] if found else None


def event_row(row: Event) -> dict[str, Any]:
    """An event as ``isocenter audit list --json`` prints it (stable)."""
    return {
        "id": row.pk,
        "at": row.at.isoformat(),
        "kind": row.kind,
        "study_uid": row.study_uid,
        "actor": row.actor,
        "detail": row.detail,
    }


def _newest(wanted: EventFilter, place: _Cursor | None, limit: int) -> list[Event]:
    """Events from a place on. Several kinds are several walks along the index of kind and time:
    none of them reads what another kind is in between."""
    is_backward = place is not None and place.is_backward
    order = ("at", "id") if is_backward else ("-at", "-id")
    rows = _rows(wanted)
    if place is not None:
        side = "gt" if is_backward else "lt"
        beyond = Q(**{f"at__{side}": place.at}) | Q(**{"at": place.at, f"id__{side}": place.id})
        rows = rows.filter(beyond, **{f"at__{side}e": place.at})
    kinds = tuple(dict.fromkeys(wanted.kinds))
    if len(kinds) < 2 or wanted.study_uid:  # a study has few events
        found = rows.filter(kind__in=kinds) if kinds else rows
        return list(found.order_by(*order)[:limit])
    first, *others = (rows.filter(kind=kind).order_by(*order)[:limit] for kind in kinds)
    return list(first.union(*others, all=True).order_by(*order)[:limit])


def _rows(wanted: EventFilter) -> QuerySet[Event]:
    found = Event.objects.all()
    if wanted.study_uid:
        found = found.filter(study_uid=wanted.study_uid)
    if wanted.actor:
        found = found.filter(actor=wanted.actor)
    if wanted.since is not None:
        found = found.filter(at__gte=wanted.since)
    if wanted.until is not None:
        found = found.filter(at__lt=wanted.until)
    return found
