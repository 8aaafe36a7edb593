"""Dates, times and ages as DICOM writes them (PS3.5 6.2): moved, checked, capped.

Whatever is not a date in one of the forms below gives None: what cannot be moved must not stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

# DA as it is, as ACR-NEMA 2.0 had it (PS3.5 6.2, note), and as careless writers have it.
_DATE = re.compile(r"(\d{4})([.\-/]?)(\d{2})\2(\d{2})")
_DATE_RANGE = re.compile(r"(\d{8})?-(\d{8})?")
_DATETIME = re.compile(
    r"(?P<year>\d{4})(?:(?P<month>\d{2})(?:(?P<day>\d{2})"
    r"(?P<time>\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?)?)?"
    r"(?P<zone>[+-]\d{4})?"
)
_TIME = re.compile(r"(\d{2})(?:(\d{2})(?:(\d{2})(?:\.\d{1,6})?)?)?")
_LEGACY_TIME = re.compile(r"(\d{2}):(\d{2})(?::(\d{2})(?:\.\d{1,6})?)?")
_AGE = re.compile(r"(\d{1,3})([DWMY])")
_ZONE_MINUTES = (-12 * 60, 14 * 60)
_PADDING = " \0"

_MIDDLE_MONTH = 7
_MIDDLE_DAY = 15

_OLDEST_YEARS = 89
_CAPPED_AGE = "090Y"


def shift_date(value: str, days: int) -> str | None:
    """A value of VR DA, moved.

    Args:
        value: one date, several separated by backslashes, or a range of a query
            (``20200101-20200131``, open at one end or not). Empty values stay empty. The forms
            ``2020.01.31``, ``2020-01-31`` and ``2020/01/31`` are moved within their form.
        days: how far; negative goes back.

    Returns:
        None if any value is no date, or the result is before year 1 or after 9999.
    """
    return _each(value, lambda one: _shift_one_date(one, days))


def shift_datetime(value: str, days: int) -> str | None:
    """A value of VR DT, moved by whole days; time of day and offset from UTC stay as written.

    A year or a month alone is moved as its middle would be, and comes back as precise as it was.
    Ranges and several values as in :func:`shift_date`.
    """
    return _each(value, lambda one: _shift_one_datetime(one, days))


def shift(value: str, vr: str, days: int) -> str | None:
    """A value moved as its VR wants it: DA, DT; TM stays if it is a time; None for others."""
    if vr == "DA":
        return shift_date(value, days)
    if vr == "DT":
        return shift_datetime(value, days)
    if vr == "TM":
        return value if is_time(value) else None
    return None


def is_time(value: str) -> bool:
    """Whether every value is a time of day (VR TM), a range of times, or empty."""
    return all(_is_one_time(one.strip(_PADDING)) for one in value.split("\\"))


def days_between(earlier: str, later: str) -> int | None:
    """Days from one DA to another; None unless both are single dates."""
    first, second = _parse_date(earlier.strip(_PADDING)), _parse_date(later.strip(_PADDING))
    return None if first is None or second is None else (second - first).days


def cap_age(value: str) -> str | None:
    """A value of VR AS with nobody older than 89 years: above that, ``090Y``.

    One or two digits are filled up to three (``45Y`` becomes ``045Y``); None if it is no age.
    """
    return _each(value, _cap_one_age)


def _each(value: str, change: Callable[[str], str | None]) -> str | None:
    changed = []
    for one in value.split("\\"):
        bare = one.strip(_PADDING)
        new = change(bare) if bare else ""
        if new is None:
            return None
        changed.append(new)
    return "\\".join(changed)


def _parse_date(text: str) -> date | None:
    found = _DATE.fullmatch(text)
    if found is None or not text.isascii():
        return None
    return _day(int(found[1]), int(found[3]), int(found[4]))


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _moved(day: date | None, days: int) -> date | None:
    try:
        return None if day is None else day + timedelta(days=days)
    except OverflowError:
        return None


def _shift_one_date(text: str, days: int) -> str | None:
    span = _DATE_RANGE.fullmatch(text)
    if span is not None and text.isascii():
        ends = [_shift_one_date(end, days) if end else "" for end in (span[1], span[2])]
        return None if None in ends or not any(ends) else "-".join(end or "" for end in ends)
    day = _moved(_parse_date(text), days)
    if day is None:
        return None
    return (
        text[4:5].strip("0123456789").join((f"{day.year:04}", f"{day.month:02}", f"{day.day:02}"))
    )


def _shift_one_datetime(text: str, days: int) -> str | None:
    found = _DATETIME.fullmatch(text)
    if found is None or not text.isascii():
        return _shift_datetime_range(text, days)
    if not _plausible(found["time"], found["zone"]):
        return None
    year, month, day = (None if found[part] is None else int(found[part]) for part in _PARTS)
    moved = _moved(_day(year or 0, month or _MIDDLE_MONTH, day or _MIDDLE_DAY), days)
    if moved is None or 0 in (month, day):
        return None
    text = f"{moved.year:04}"
    text += "" if month is None else f"{moved.month:02}"
    text += "" if day is None else f"{moved.day:02}"
    return text + (found["time"] or "") + (found["zone"] or "")


_PARTS = ("year", "month", "day")


def _shift_datetime_range(text: str, days: int) -> str | None:
    """A range of date-times: the hyphen that leaves a date-time, or nothing, on either side."""
    for place in (index for index, letter in enumerate(text) if letter == "-"):
        ends = [text[:place], text[place + 1 :]]
        if all(not end or _DATETIME.fullmatch(end) for end in ends) and any(ends):
            moved = [_shift_one_datetime(end, days) if end else "" for end in ends]
            return None if None in moved else "-".join(end or "" for end in moved)
    return None


def _plausible(time: str | None, zone: str | None) -> bool:
    if time and not _is_one_time(time):
        return False
    if not zone:
        return True
    minutes = int(zone[1:3]) * 60 + int(zone[3:])
    signed = -minutes if zone[0] == "-" else minutes
    return int(zone[3:]) < 60 and _ZONE_MINUTES[0] <= signed <= _ZONE_MINUTES[1]


def _is_one_time(text: str) -> bool:
    if not text:
        return True
    if not text.isascii():
        return False
    if "-" in text:
        ends = text.split("-")
        return len(ends) == 2 and any(ends) and all(_is_one_time(end) for end in ends)
    found = _TIME.fullmatch(text) or _LEGACY_TIME.fullmatch(text)
    if found is None:
        return False
    hour, minute, second = (int(part or 0) for part in found.groups())
    return hour < 24 and minute < 60 and second <= 60  # 60: a leap second


def _cap_one_age(text: str) -> str | None:
    found = _AGE.fullmatch(text)
    if found is None or not text.isascii():
        return None
    number, unit = int(found[1]), found[2]
    # 999 months, the most that fits, are 83 years: only ages in years can be too high.
    return _CAPPED_AGE if unit == "Y" and number > _OLDEST_YEARS else f"{number:03}{unit}"
