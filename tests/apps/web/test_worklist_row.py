"""Rows of the worklist are kept, and never show what is not so any more, or not for all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.safestring import mark_safe

from isocenter.apps.archive.models import Source, Study
from isocenter.apps.routing.queries import Standing
from isocenter.apps.web import worklist_row
from isocenter.apps.web.kept import Kept
from isocenter.apps.web.worklist_row import row_html


def study(**values: object) -> Study:
    return Study(
        **{
            "study_uid": "1.2.3",
            "patient_name": "Müller^Anna",
            "patient_id": "4711",
            "accession_number": "A-9",
            "patient_birth_date": "19700101",
            "study_date": "20240229",
            "study_time": "101112.5",
            "study_description": "Head <b>",
            "modalities": ["CT", "PT", "RTSTRUCT", "SEG"],
            "instance_count": 1,
            "series_count": 1,
            "state": "waiting",
            "waiting_for": ["images of series 5", "quiet"],
            "flags": [{"code": "x", "text": "two identities"}],
            "last_received_at": timezone.now() - timedelta(days=2),
            "source": Source(kind="dimse", calling_ae_title="SCANNER_1", address="192.0.2.7"),
            **values,
        }
    )


def test_a_row_shows_what_it_has() -> None:
    html = row_html(study(), Standing({"failed": 2}, {"sent": 1}), identified=True)
    for text in ("Müller", "4711", "A-9", "1970-01-01", "2024-02-29", "10:11", "Head &lt;b&gt;"):
        assert text in html
    for text in ("+1", "CT, PT, RTSTRUCT, SEG", "1 instance ", "two identities", "SCANNER_1"):
        assert text in html
    assert "images of series 5 +1" in html
    assert "2 runs failed" in html
    assert "2 d ago" in html


def test_who_may_not_see_identities_never_gets_the_row_of_who_may() -> None:
    seen = row_html(study(), Standing(), identified=True)
    hidden = row_html(study(), Standing(), identified=False)
    assert "Anna" in seen
    for text in ("Anna", "4711", "1970", "A-9"):
        assert text not in hidden


@pytest.mark.parametrize(
    "change",
    [
        {"patient_name": "Meier"},
        {"patient_sex": "F"},
        {"study_date": ""},
        {"study_description": ""},
        {"modalities": ["MR"]},
        {"instance_count": 2},
        {"series_count": 2},
        {"source": None},
        {"state": "complete"},
        {"waiting_for": []},
        {"flags": []},
        {"last_received_at": timezone.now() - timedelta(days=3)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changed_is_shown(change: dict[str, object]) -> None:
    before = row_html(study(), Standing(), identified=True)
    assert row_html(study(**change), Standing(), identified=True) != before


def test_runs_and_deliveries_that_changed_are_shown() -> None:
    one = row_html(study(), Standing({"running": 1}), identified=True)
    two = row_html(study(), Standing({"done": 1}), identified=True)
    assert "at work" in one
    assert "at work" not in two


def test_a_row_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = []
    original = worklist_row._render
    monkeypatch.setattr(worklist_row, "_kept", Kept(1))
    monkeypatch.setattr(
        worklist_row, "_render", lambda shown: rendered.append(shown) or original(shown)
    )
    received = timezone.now() - timedelta(days=2)
    for name in ("A", "A", "B", "A"):
        row_html(study(patient_name=name, last_received_at=received), Standing(), identified=True)
    assert [shown.patient_name for shown in rendered] == ["A", "B", "A"]


def test_the_longest_unused_goes_first() -> None:
    kept = Kept(2)
    made = []

    def get(key: str) -> None:
        kept.get(key, lambda: made.append(key) or mark_safe(key))

    for key in "abacab":
        get(key)
    assert made == ["a", "b", "c", "b"]
