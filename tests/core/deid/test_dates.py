"""Dates, times and ages in every form of PS3.5 6.2."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.deid.pseudonyms.dates import (
    cap_age,
    days_between,
    is_time,
    shift,
    shift_date,
    shift_datetime,
)

DAYS = st.dates(date(2, 1, 1), date(9998, 12, 31))
SHIFTS = st.integers(-365, -1)


def written(day: date) -> str:
    return f"{day.year:04}{day.month:02}{day.day:02}"


@given(DAYS, SHIFTS)
@settings(max_examples=200)
def test_a_date_is_moved_by_days(day: date, days: int) -> None:
    assert shift_date(written(day), days) == written(day + timedelta(days=days))
    assert shift_datetime(written(day), days) == written(day + timedelta(days=days))


@given(DAYS, DAYS, SHIFTS)
@settings(max_examples=100)
def test_intervals_stay(first: date, second: date, days: int) -> None:
    moved = [shift_date(written(day), days) or "" for day in (first, second)]
    assert days_between(*moved) == (second - first).days


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("20200301", "20200229"),
        ("20200301 ", "20200229"),
        ("20200301\0", "20200229"),
        ("2020.03.01", "2020.02.29"),
        ("2020-03-01", "2020-02-29"),
        ("2020/03/01", "2020/02/29"),
        ("20200301\\20210101", "20200229\\20201231"),
        ("20200301\\", "20200229\\"),
        ("20200301-20200302", "20200229-20200301"),
        ("-20200301", "-20200229"),
        ("20200301-", "20200229-"),
        ("", ""),
        (" ", ""),
    ],
)
def test_forms_of_da(value: str, moved: str) -> None:
    assert shift_date(value, -1) == moved


@pytest.mark.parametrize(
    "value",
    [
        "20200230", "20201301", "2020", "202003", "2020030", "202003011", "00000101", "00010101",
        "TODAY", "2020.03-01", "20200301\\X", "-", "20200301-X", "٢٠٢٠٠٣٠١", "20200301120000",
    ],
)  # fmt: skip
def test_what_is_no_date_cannot_stay(value: str) -> None:
    assert shift_date(value, -1) is None


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("20200301120000.123456+0130", "20200229120000.123456+0130"),
        ("20200301120000.1", "20200229120000.1"),
        ("20200301235960", "20200229235960"),
        ("2020030112", "2020022912"),
        ("202003011230-0500", "202002291230-0500"),
        ("20200301+1400", "20200229+1400"),
        ("202003", "202003"),
        ("2020", "2020"),
        ("2020-0500", "2020-0500"),
        ("20200301120000-20200302120000", "20200229120000-20200301120000"),
        ("20200301-0500-20200302-0500", "20200229-0500-20200301-0500"),
        ("20200301120000\\2020", "20200229120000\\2020"),
        ("", ""),
    ],
)
def test_forms_of_dt(value: str, moved: str) -> None:
    assert shift_datetime(value, -1) == moved


def test_a_partial_date_moves_as_its_middle_would() -> None:
    assert shift_datetime("202003", -40) == "202002"
    assert shift_datetime("2020", -300) == "2019"


@pytest.mark.parametrize(
    "value",
    ["20200230", "202013", "202000", "2020033012", "20200301250000", "202003011260", "2020+2500",
     "20200301120000.1234567", "20200301+0160", "NOW", "0000", "20", "-"],
)  # fmt: skip
def test_what_is_no_date_time_cannot_stay(value: str) -> None:
    if value == "2020033012":  # a date with an hour, not a mistake
        assert shift_datetime(value, -1) == "2020032912"
    else:
        assert shift_datetime(value, -1) is None


@given(st.text(max_size=30), SHIFTS)
@settings(max_examples=200)
def test_no_text_breaks_them(text: str, days: int) -> None:
    for vr in ("DA", "DT", "TM", "LO"):
        shift(text, vr, days)
    cap_age(text)


@given(st.text("0123456789.+-\\ :", max_size=30), SHIFTS)
@settings(max_examples=200)
def test_what_was_moved_moves_back(text: str, days: int) -> None:
    moved = shift_date(text, days)
    if moved is not None:
        back = shift_date(moved, -days)
        assert back == "\\".join(part.strip() for part in text.split("\\"))


@pytest.mark.parametrize("value", ["", "12", "1230", "123059", "123059.1", "123059.123456",
    "12:30:59", "12:30", "1200-1300", "-1300", "12\\13", "235960"])  # fmt: skip
def test_times(value: str) -> None:
    assert is_time(value)
    assert shift(value, "TM", -1) == value


@pytest.mark.parametrize("value", ["24", "1260", "123061", "1", "123", "noon", "123059.", "-",
    "12\\x", "１２"])  # fmt: skip
def test_what_is_no_time_cannot_stay(value: str) -> None:
    assert not is_time(value)
    assert shift(value, "TM", -1) is None


@pytest.mark.parametrize(
    ("age", "capped"),
    [
        ("089Y", "089Y"), ("090Y", "090Y"), ("091Y", "090Y"), ("120Y", "090Y"), ("45Y", "045Y"),
        ("003M", "003M"), ("999M", "999M"), ("010D", "010D"), ("", ""), ("045Y ", "045Y"),
        ("95", None), ("095y", None), ("old", None), ("1000D", None),
    ],
)  # fmt: skip
def test_nobody_is_older_than_ninety(age: str, capped: str | None) -> None:
    assert cap_age(age) == capped
