"""Studies that were here before the search table."""

from __future__ import annotations

from typing import Any

import pytest

from isocenter.apps.archive.models import SearchFilling, StudySearch
from isocenter.apps.archive.queries import IndexNotReady, Level, Question, search, studies_to_fill
from isocenter.apps.archive.search import filling
from isocenter.apps.archive.services import fill_search

from .conftest import Intake, image

pytestmark = pytest.mark.django_db


def five_old_studies(intake: Intake) -> None:
    for number in range(5):
        intake.take(image(1, study=f"1.2.3.{number}"))
    StudySearch.objects.all().delete()
    SearchFilling.objects.all().delete()


def found(**keys: Any) -> int:
    return len(list(search(Question(Level.STUDY, {0x00100010: "zzsecretzz^n*"}))))


def test_few_are_filled_by_who_asks(intake: Intake) -> None:
    five_old_studies(intake)

    assert found() == 5
    assert studies_to_fill() == 0


def test_many_are_filled_in_the_background(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    five_old_studies(intake)
    monkeypatch.setattr(filling, "_BY_THE_WAY", 1)
    monkeypatch.setattr(filling, "AT_ONCE", 2)

    with pytest.raises(IndexNotReady, match="being built"):
        found()
    assert fill_search(seconds=0) == 2
    intake.take(image(1, study="1.2.3.9"))  # new ones are there at once
    with pytest.raises(IndexNotReady):
        found()
    while fill_search(seconds=0):
        pass
    assert studies_to_fill() == 0
    assert found() == 6


def test_rows_of_another_version_are_made_anew(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    five_old_studies(intake)
    assert found() == 5
    StudySearch.objects.update(patient_name="folded otherwise")
    monkeypatch.setattr(filling, "VERSION", filling.VERSION + 1)

    assert found() == 5
