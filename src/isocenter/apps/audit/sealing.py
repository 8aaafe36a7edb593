"""Sealing: events that are committed for good become links of the chain, a few seconds later.

Events are written by many processes at once, inside their own transactions, and none of them
waits for another. Each row carries the number of its transaction (``turn``). A seal goes up to
below the oldest transaction that is still open: everything there is decided, so no event can come
in behind a seal, and each is covered exactly once, in the order (turn, id).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from isocenter.apps.audit import chain
from isocenter.apps.audit.chain import Head, Link, Place
from isocenter.apps.audit.models import EventSeal

_LOCK = (0x49534F33, 1)
SEAL_KIND = "EVENTS_SEALED"  # in the transaction log only
AT_ONCE = 5000  # events in one seal
SEALS_PER_ROUND = 20

_COLUMNS = "turn, id, at, kind, study_uid, actor, detail::text"
_OFFSET = "pg_sequence_last_value('audit_turn_offset'::regclass)"
_DECIDED = f"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + {_OFFSET}"


def seal_events(*, at_once: int = AT_ONCE, seals: int = SEALS_PER_ROUND) -> int:
    """Seal what is decided, in seals of at most ``at_once`` events.

    One process at a time does it; another that comes meanwhile goes away.

    Returns:
        how many events were sealed.
    """
    done = 0
    for _ in range(seals):
        count = _seal_once(at_once)
        done += count
        if count < at_once:
            break
    return done


def _seal_once(at_once: int) -> int:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", _LOCK)
            if not cursor.fetchone()[0]:
                return 0
        before = EventSeal.objects.order_by("-number").first()
        events = links(place_of(before), decided(), limit=at_once)
        if not events:
            return 0
        head = Head(
            number=before.number + 1 if before else 1,
            at=timezone.now(),
            previous_hash=before.hash if before else chain.FIRST,
            count=len(events),
            last=events[-1].place,
        )
        row = EventSeal.objects.create(
            number=head.number,
            at=head.at,
            previous_hash=head.previous_hash,
            hash=chain.seal_hash(head, events),
            count=head.count,
            last_turn=head.last.turn,
            last_id=head.last.id,
        )
        transaction.on_commit(partial(_write_line, row))
    return len(events)


def place_of(seal: EventSeal | None) -> Place:
    """Up to where a seal covers events."""
    return Place(seal.last_turn, seal.last_id) if seal else chain.START


def head_of(seal: EventSeal) -> Head:
    """What a stored seal says of itself."""
    return Head(seal.number, seal.at, seal.previous_hash, seal.count, place_of(seal))


def decided() -> int:
    """The turn below which every transaction is over."""
    with connection.cursor() as cursor:
        cursor.execute(_DECIDED)
        return int(cursor.fetchone()[0])


def links(
    after: Place,
    below_turn: int,
    *,
    limit: int,
    up_to: Place | None = None,
    where: str = "",
    values: Sequence[Any] = (),
) -> list[Link]:
    """Events in the chain's order.

    Args:
        after: the place of the last one before them.
        below_turn: no event of this turn or a later one.
        up_to: the place of the last one wanted.
        where: a further condition, SQL of this app with places for ``values``.
    """
    conditions = ["turn >= %s", "(turn, id) > (%s, %s)", "turn < %s"]
    given: list[Any] = [after.turn, after.turn, after.id, below_turn]
    if up_to is not None:
        conditions += ["turn <= %s", "(turn, id) <= (%s, %s)"]
        given += [up_to.turn, up_to.turn, up_to.id]
    if where:
        conditions.append(where)
        given += values
    # Only fixed text goes into the statement; values are passed beside it.
    statement = " ".join(("SELECT", _COLUMNS, "FROM audit_event WHERE", " AND ".join(conditions)))
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} ORDER BY turn, id LIMIT %s", [*given, limit])
        return [
            Link(Place(turn, key), at, kind, study_uid, actor, json.loads(detail))
            for turn, key, at, kind, study_uid, actor, detail in cursor.fetchall()
        ]


def unsealed() -> int:
    """Events that no seal covers yet, at most a few seconds' worth while a worker runs."""
    last = place_of(EventSeal.objects.order_by("-number").first())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM audit_event WHERE turn >= %s AND (turn, id) > (%s, %s)",
            [last.turn, last.turn, last.id],
        )
        return int(cursor.fetchone()[0])


def go_on_growing() -> bool:
    """Have turns go on where they were in a database that was restored into a new server.

    Called before anything writes events. Says whether it was necessary.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_OFFSET}, pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        offset, coming = cursor.fetchone()
        cursor.execute("SELECT coalesce(max(turn), -1) FROM audit_event")
        (last,) = cursor.fetchone()
        if coming + offset > last:
            return False
        cursor.execute("SELECT setval('audit_turn_offset', %s, true)", [last - coming + 1])
    return True


def turn_of(event_id: int) -> int:
    """The turn of an event that is there."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT turn FROM audit_event WHERE id = %s", [event_id])
        return int(cursor.fetchone()[0])


def seals_from(place: Place, *, limit: int) -> list[EventSeal]:
    """The seal that covers an event at this place, and those after it."""
    found = EventSeal.objects.filter(last_turn__gte=place.turn).exclude(
        last_turn=place.turn, last_id__lt=place.id
    )
    return list(found.order_by("last_turn", "last_id")[:limit])


def as_line(seal: EventSeal) -> dict[str, Any]:
    """The transaction log's form of a seal."""
    return {
        "at": seal.at.isoformat(),
        "event": SEAL_KIND,
        "seal": seal.number,
        "hash": seal.hash,
        "events": seal.count,
        "last_id": seal.last_id,
    }


def _write_line(seal: EventSeal) -> None:
    from isocenter.apps.audit.services import write_lines

    write_lines([as_line(seal)])
