"""Days are those of UTC, everywhere."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta


def start_of_day(day: date) -> datetime:
    """The first moment of a day."""
    return datetime.combine(day, time.min, UTC)


def end_of_day(day: date) -> datetime:
    """The first moment after a day; what lies in it lies before.

    The calendar ends with the year 9999, and a date picker's "no end" is its last day: of that,
    the last moment that there is.
    """
    if day == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return start_of_day(day) + timedelta(days=1)
