"""The index rebuilt and compared while instances come in: nothing lost, nothing double."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from isocenter.apps.archive import reindexing
from isocenter.apps.archive.models import Instance, Revision, Series, Study, StudySearch
from isocenter.apps.archive.search.search_rows import rows_of
from isocenter.apps.archive.services import check, reindex

from .conftest import SERIES, STUDY, Intake, image

_STUDIES = 6
_ROUNDS = 8
_SEARCHED = ("patient_name", "modalities", "sop_classes", "pieces", "patient_key", "study_date")


def uid(study: int) -> str:
    return f"1.2.3.{study}"


@contextmanager
def coming_in(intake: Intake) -> Iterator[threading.Event]:
    """Instances come in for all studies round after round, one of each round twice; the event is
    set when all are in."""
    done = threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for number in range(100, 100 + _ROUNDS):
                for study in range(_STUDIES):
                    again = [image(number, study=uid(study))] if study == number % 3 else []
                    intake.take(image(number, study=uid(study)), *again)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()
            done.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        thread.join(120)
    assert not errors
    assert not thread.is_alive()


def assert_whole(per_study: int) -> None:
    """Each instance has one row and one file, and everything that is counted fits."""
    archive: Path = settings.LAYOUT.archive
    rows = list(Instance.objects.values_list("sop_uid", "path", "study__study_uid"))
    assert Counter(study for _, _, study in rows) == {uid(n): per_study for n in range(_STUDIES)}
    assert len({sop for sop, _, _ in rows}) == len({path for _, path, _ in rows}) == len(rows)
    assert {path for _, path, _ in rows} == {
        str(path.relative_to(archive))
        for path in archive.rglob("*.dcm")
        if ".staging" not in path.parts
    }
    studies = list(Study.objects.order_by("pk"))
    assert {(study.instance_count, study.series_count) for study in studies} == {(per_study, 1)}
    assert set(Series.objects.values_list("instance_count", flat=True)) == {per_study}
    here = list(StudySearch.objects.order_by("pk").values(*_SEARCHED))
    assert here == [{name: getattr(row, name) for name in _SEARCHED} for row in rows_of(studies)]
    assert check().is_clean


@pytest.mark.django_db(transaction=True)
def test_rows_that_are_there(intake: Intake) -> None:
    for study in range(_STUDIES):
        intake.take(*(image(number, study=uid(study)) for number in range(1, 4)))
    rounds = 0
    with coming_in(intake) as done:
        while not done.is_set() or not rounds:
            found = reindex()
            assert (found.added, found.doubled, found.unreadable, found.missing) == (0, 0, 0, 0)
            assert check().is_clean
            rounds += 1
    assert_whole(3 + _ROUNDS)
    assert {study.state for study in Study.objects.all()} == {Study.State.RECEIVING}
    assert not Study.objects.filter(due_at=None).exists()


@pytest.mark.django_db(transaction=True)
def test_rows_that_were_lost(intake: Intake) -> None:
    for study in range(_STUDIES):
        intake.take(*(image(number, study=uid(study)) for number in range(1, 41)))
    for model in (Revision, Instance, Series, Study):
        model.objects.all().delete()
    with coming_in(intake) as done:
        found = reindex()
        assert (found.doubled, found.unreadable, found.missing) == (0, 0, 0)
        done.wait(120)
    assert found.added >= 40 * _STUDIES
    assert_whole(40 + _ROUNDS)


@pytest.mark.django_db
def test_a_file_that_another_took_the_place_of_meanwhile(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.take(image(1))
    Instance.objects.all().delete()
    other = image(1, StudyDescription="what came now", PatientID="other")
    read = reindexing.read_files

    def slow(*arguments: Any) -> Any:
        files = read(*arguments)
        intake.take(other)
        return files

    monkeypatch.setattr(reindexing, "read_files", slow)
    reindex()

    assert check().is_clean  # the digest is that of what came
    assert Instance.objects.get().sop_uid == f"{SERIES}.1"
    assert Study.objects.get().study_uid == STUDY
