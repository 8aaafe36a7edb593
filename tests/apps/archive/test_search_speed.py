"""What keeps searches of large indexes short: spans of days by the index, walks in few steps."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from isocenter.apps.archive.queries import Level, Question, search
from isocenter.apps.archive.search.conditions import conditions
from isocenter.apps.archive.search.keys import Span, days_of

from .conftest import Intake, image

BIRTH_DATE, SERIES_DESCRIPTION = 0x00100030, 0x0008103E


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        ("20240228", "20240301", ["20240228", "20240229", "20240301"]),
        ("00011231", "00020101", ["00011231", "00020101"]),
        ("20240101", "20240101", ["20240101"]),
        ("20240101", "20240104", []),
        ("20240101", "", []),
        ("", "20240101", []),
    ],
)
def test_days_of_a_span(first: str, last: str, days: list[str]) -> None:
    assert days_of(Span(first, last, is_range=True), 3) == days


@pytest.mark.django_db
def test_spans_of_birth_dates(intake: Intake) -> None:
    for number, date in enumerate(("19500101", "19500131", "19700601", ""), 1):
        intake.take(image(1, study=f"1.2.3.{number}", PatientBirthDate=date))

    def found(text: str) -> list[str]:
        matches = search(Question(Level.STUDY, {BIRTH_DATE: text}))
        return sorted(match.study_uid[-1] for match in matches)

    assert found("19500101") == ["1"]
    assert found("19500101-19500131") == ["1", "2"]
    assert found("19500102-19700601") == ["2", "3"]
    assert found("19500101-19500130\\19700601") == ["1", "3"]
    assert found("-19600101") == ["1", "2"]
    (part,) = conditions(Question(Level.STUDY, {BIRTH_DATE: "19500101-19500131"})).parts
    assert "pieces &&" in part[0]


@pytest.mark.django_db
def test_a_small_page_without_matches_needs_few_statements(
    intake: Intake,
) -> None:
    for number in range(40):
        intake.take(image(1, study=f"1.2.3.{number}"))

    assert len(list(search(Question(Level.STUDY, {})))) == 40
    with CaptureQueriesContext(connection) as queries:
        question = Question(Level.SERIES, {SERIES_DESCRIPTION: "nothing*"}, limit=1)
        assert list(search(question)) == []
    assert len(queries) < 16  # of 40 studies one by one: more than 80
