"""Asking for events: filters, pages forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isocenter.apps.audit import queries, services
from isocenter.apps.audit.kinds import GROUPS, Kind
from isocenter.apps.audit.models import Event
from isocenter.apps.audit.queries import EventFilter
from isocenter.core.errors import NotFound

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
KINDS = (Kind.C_ECHO, Kind.STUDY_HELD, Kind.SIGNED_IN)


def record(count: int) -> list[int]:
    """Events of several kinds, people, studies and times; their ids, the newest first. Pairs have
    the same time."""
    services.record_many(
        services.Entry(
            KINDS[number % 3],
            f"1.{number % 2}",
            ("alice", "bob", "")[number % 3],
            {"number": number},
            NOON + timedelta(seconds=number // 2),
        )
        for number in range(count)
    )
    return [row.pk for row in Event.objects.order_by("-at", "-pk")]


def walk(wanted: EventFilter, limit: int) -> list[int]:
    """All pages to the end, and back to the beginning; what was found."""
    page = queries.event_page(wanted, limit=limit)
    pages = [page]
    while page.older:
        page = queries.event_page(wanted, page.older, limit=limit)
        pages.append(page)
    back = page
    for expected in reversed(pages[:-1]):
        back = queries.event_page(wanted, back.newer, limit=limit)
        assert back.events == expected.events
    assert not back.newer
    return [row.pk for page in pages for row in page.events]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    limit=st.integers(1, 8),
    kinds=st.sets(st.sampled_from(KINDS)),
    actor=st.sampled_from(["", "alice"]),
    study=st.sampled_from(["", "1.0"]),
    since=st.sampled_from([None, NOON + timedelta(seconds=2)]),
    until=st.sampled_from([None, NOON + timedelta(seconds=6)]),
)
def test_pages_have_everything_once(
    limit: int,
    kinds: set[Kind],
    actor: str,
    study: str,
    since: datetime | None,
    until: datetime | None,
) -> None:
    if not Event.objects.exists():
        record(17)
    wanted = EventFilter(study, tuple(sorted(map(str, kinds))), actor, since, until)
    expected = [
        row.pk
        for row in Event.objects.order_by("-at", "-pk")
        if (not kinds or row.kind in kinds)
        and (not actor or row.actor == actor)
        and (not study or row.study_uid == study)
        and (since is None or row.at >= since)
        and (until is None or row.at < until)
    ]
    assert walk(wanted, limit) == expected


@pytest.mark.parametrize("cursor", ["x", "o", "o1", "o1.", "o1.x", "n-1.2", "o" + "9" * 40 + ".1"])
def test_what_is_no_cursor_is_the_first_page(cursor: str) -> None:
    ids = record(3)
    assert [row.pk for row in queries.event_page(EventFilter(), cursor).events] == ids


def test_one_event() -> None:
    (key,) = record(1)
    assert queries.event(key).detail == {"number": 0}
    with pytest.raises(NotFound):
        queries.event(key + 1)


def test_every_kind_is_in_one_group() -> None:
    assert sorted(kind for kinds in GROUPS.values() for kind in kinds) == sorted(Kind)
