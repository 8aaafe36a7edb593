"""Values of the index as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from isocenter.apps.web import wording


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("Doe^Jane", "Doe, Jane"),
        ("Doe", "Doe"),
        ("Adams^John Robert Quincy^^Rev.^B.A.", "Adams, Rev. John Robert Quincy B.A."),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou · 山田 太郎"),
        ("=山田^太郎", "山田 太郎"),
        ("^Jane", "Jane"),
        ("", ""),
        ("^^^^=^^=", ""),
        ("a^b^c^d^e^f^g", "a, d b c e"),
    ],
)
def test_person_names(given: str, read: str) -> None:
    assert wording.person_name(given) == read


def test_dates_times_sizes_and_durations() -> None:
    assert wording.dicom_date("20260102") == "2026-01-02"
    assert wording.dicom_date("2026.01.02") == "2026-01-02"
    assert wording.dicom_date("soon") == "soon"
    assert wording.dicom_time("101112.5") == "10:11:12"
    assert wording.dicom_time("1011") == "10:11"
    assert wording.dicom_time("noon") == "noon"
    assert [wording.size(count) for count in (0, 1023, 1024, 5 << 20, 300 << 30)] == [
        "0 B",
        "1023 B",
        "1.0 KB",
        "5.0 MB",
        "300 GB",
    ]
    assert [wording.duration(value) for value in (0.35, 5, 61, 7800, timedelta(days=2))] == [
        "350 ms",
        "5.0 s",
        "1 min 1 s",
        "2 h 10 min",
        "2 d",
    ]


def test_how_long_ago() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def said(**ago: float) -> str:
        return wording.ago(now - timedelta(**ago), now)

    assert [said(seconds=2), said(seconds=40), said(minutes=3.9), said(hours=5), said(days=2)] == [
        "now",
        "40 s ago",
        "3 min ago",
        "5 h ago",
        "2 d ago",
    ]
    assert said(minutes=-10) == "in 10 min"
    assert said(days=100) == "2025-11-21"
