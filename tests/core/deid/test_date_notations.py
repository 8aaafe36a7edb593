"""Dates as people write them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.deid.text.date_notations import written_dates

NOTATIONS = (
    "{0:%Y%m%d}",
    "{0:%Y-%m-%d}",
    "{0:%Y.%m.%d}",
    "{0:%Y/%m/%d}",
    "{0:%d.%m.%Y}",
    "{0:%d/%m/%Y}",
    "{0:%m/%d/%Y}",
    "{0:%d-%m-%y}",
    "{0:%d.%m.%y}",
    "{0:%d%m%Y}",
    "{0:%y%m%d}",
    "{0:%d-%b-%Y}",
    "{0:%d%b%Y}",
    "{0:%d %B %Y}",
    "{0:%B} {0.day}, {0:%Y}",
    "{0.day}. {0.month}. {0:%Y}",
    "{0:%Y%m%d%H%M%S}",
    "{0:%Y}年{0.month}月{0.day}日",
)


def days_in(text: str) -> set[str]:
    return {day for found in written_dates(text) for day in found.days}


@settings(max_examples=60, deadline=None)
@given(st.dates(date(1925, 1, 1), date(2040, 12, 31)), st.sampled_from(NOTATIONS))
def test_a_day_is_found_in_every_notation(day: date, notation: str) -> None:
    text = f"seen on {notation.format(day)}, as before"
    assert day.strftime("%Y%m%d") in days_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "15. Januar 2004",
        "15 de enero de 2004",
        "15 de janeiro de 2004",
        "15 janvier 2004",
        "15th of January 2004",
        "Jan-15-2004",
        "2004 Jan 15",
        "15.JAN.04",
        "ID_20040115_CT",
    ],
)
def test_months_are_read_in_other_languages(text: str) -> None:
    assert "20040115" in days_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "1.2.840.10008.5.1.4.1.1.2",
        "1.3.12.2.1107.5.1.4.1234",
        "syngo 4.3.12.1",
        "512 512 60",
        "may be 3",
        "1234567890123",
        "99999999",
        "",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert days_in(text) == set()
