"""Days of UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from isocenter.runtime.days import end_of_day, start_of_day


def test_a_day_ends_where_the_next_begins() -> None:
    assert end_of_day(date(2024, 2, 29)) == start_of_day(date(2024, 3, 1))
    assert start_of_day(date(2024, 3, 1)) == datetime(2024, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_first_and_the_last_day_of_the_calendar_have_bounds(day: date) -> None:
    assert start_of_day(day) < end_of_day(day)
    assert start_of_day(day).date() == day
