"""The index rebuilt from files, and compared with them."""

from __future__ import annotations

from typing import Any

import pytest

from isocenter.apps.archive import reindexing
from isocenter.apps.archive.models import Instance, Revision, Series, Study, StudySearch
from isocenter.apps.archive.queries import Level, Question, search
from isocenter.apps.archive.services import check, protect, reindex
from isocenter.apps.audit.models import Event
from isocenter.core.errors import Refused

from .conftest import SERIES, STUDY, Intake, image, structure_set, the_study

pytestmark = pytest.mark.django_db

OTHER = "1.2.3.4"
_FROM_FILES = ("sop_uid", "path", "size", "digest", "transfer_syntax_uid", "references")


def take_three(intake: Intake) -> None:
    named = structure_set(instances=(f"{SERIES}.1",))
    intake.take(image(1), image(2), named)
    values = {"PatientName": "Ünal^A", "PatientID": "", "SeriesDescription": "Ä"}
    intake.take(image(1, study=OTHER, SpecificCharacterSet="ISO_IR 192", **values))


def forget_everything() -> None:
    Revision.objects.all().delete()
    Instance.objects.all().delete()
    Series.objects.all().delete()
    Study.objects.all().delete()


def content() -> list[Any]:
    return [
        list(Instance.objects.order_by("sop_uid").values(*_FROM_FILES)),
        list(Series.objects.order_by("series_uid").values("series_uid", "modality", "folded",
             "series_description", "instance_count", "is_derived")),
        list(Study.objects.order_by("study_uid").values("study_uid", "patient_name", "patient_id",
             "study_date", "modalities", "series_count", "instance_count")),
        list(StudySearch.objects.order_by("study__study_uid").values_list("patient_name",
             "modalities", "sop_classes", "pieces")),
    ]  # fmt: skip


def test_an_empty_index_is_rebuilt(intake: Intake) -> None:
    take_three(intake)
    before = content()
    forget_everything()

    done = reindex()

    assert content() == before
    assert (done.studies, done.files, done.added, done.refreshed) == (2, 4, 4, 0)
    assert done.is_clean
    study = the_study()
    assert (study.state, study.due_at, study.revision) == (Study.State.COMPLETE, None, 1)
    assert Revision.objects.get(study=study).instance_count == 3
    assert len(list(search(Question(Level.STUDY, {0x00100010: "unal"})))) == 1
    assert check().is_clean
    assert Event.objects.filter(kind="REINDEXED").exists()


def test_rows_that_are_there_keep_what_files_do_not_tell(intake: Intake) -> None:
    take_three(intake)
    before = content()
    receipts = list(Instance.objects.order_by("pk").values("pk", "received_at", "source"))
    Series.objects.update(series_description="wrong", modality="XX")
    Study.objects.update(patient_name="wrong")
    Instance.objects.update(sop_class_uid="9")

    done = reindex()

    assert (done.added, done.refreshed) == (0, 4)
    assert content() == before
    assert list(Instance.objects.order_by("pk").values("pk", "received_at", "source")) == receipts
    assert the_study().state == Study.State.RECEIVING


def test_it_goes_on_where_it_was_stopped(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 5):
        intake.take(image(1, study=f"1.2.3.{number}"))
    forget_everything()
    monkeypatch.setattr(reindexing, "_STATE_EVERY_S", 0)

    def stop(fraction: float, folder: str) -> None:
        if folder == "1.2.3.3":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reindex(on_progress=stop)
    seen: list[str] = []
    done = reindex(on_progress=lambda fraction, folder: seen.append(folder))

    assert seen[:2] == ["1.2.3.3", "1.2.3.4"]
    assert (done.studies, done.added, done.resumed) == (4, 4, True)
    assert Study.objects.count() == 4
    assert not reindex().resumed


def test_files_that_cannot_be_indexed_are_told(intake: Intake) -> None:
    take_three(intake)
    folder = intake.layout.archive / STUDY / SERIES
    (folder / "junk.dcm").write_bytes(b"no DICOM at all")
    copy = folder / "1.2.9.dcm"
    copy.write_bytes((folder / f"{SERIES}.1.dcm").read_bytes())
    (folder / "notes.txt").write_text("hello")

    done = reindex()

    assert (done.unreadable, done.doubled) == (1, 1)
    assert {problem["path"].rpartition("/")[2] for problem in done.problems} == {
        "junk.dcm",
        "1.2.9.dcm",
    }
    assert not done.is_clean
    assert Instance.objects.count() == 4


def test_rows_without_files_are_told_and_forgotten_when_asked(intake: Intake) -> None:
    take_three(intake)
    (intake.layout.archive / STUDY / SERIES / f"{SERIES}.2.dcm").unlink()
    (intake.layout.archive / Instance.objects.get(study__study_uid=OTHER).path).unlink()

    done = reindex()
    assert (done.missing, done.forgotten, done.is_clean) == (2, 0, False)
    assert check().counts["missing"] == 2

    protect(OTHER, True, actor="test")
    done = reindex(forget_missing=True)
    assert (done.missing, done.forgotten) == (2, 1)
    protect(OTHER, False, actor="test")
    done = reindex(forget_missing=True)
    assert (done.missing, done.forgotten, done.is_clean) == (1, 1, True)
    assert the_study().instance_count == 2
    assert not Study.objects.filter(study_uid=OTHER).exists()


def test_our_own_objects_stay_derived(intake: Intake) -> None:
    from pydicom.dataset import Dataset

    made = image(5, series=f"{STUDY}.7")
    item = Dataset()
    item.Manufacturer = "Isocenter"
    made.ContributingEquipmentSequence = [item]
    intake.take(image(1), made)
    forget_everything()

    reindex()

    assert Series.objects.get(series_uid=f"{STUDY}.7").is_derived
    assert the_study().instance_count == 1


def test_one_at_a_time(intake: Intake) -> None:
    import psycopg
    from django.db import connection

    address = connection.settings_dict
    other = psycopg.connect(
        host=address["HOST"], port=address["PORT"], user=address["USER"],
        password=address["PASSWORD"], dbname=address["NAME"],
    )  # fmt: skip
    with other:
        other.execute("SELECT pg_advisory_lock(%s)", [reindexing._LOCK])
        with pytest.raises(Refused, match="already"):
            reindex()
        other.execute("SELECT pg_advisory_unlock(%s)", [reindexing._LOCK])
    reindex()


def test_every_kind_of_difference_is_found(intake: Intake) -> None:
    take_three(intake)
    folder = intake.layout.archive / STUDY / SERIES
    assert check().is_clean

    first, second = (folder / f"{SERIES}.{number}.dcm" for number in (1, 2))
    content = bytearray(first.read_bytes())
    content[-1] ^= 1
    first.write_bytes(content)
    with second.open("ab") as file:
        file.write(b"\0\0")
    (folder / "1.2.9.dcm").write_bytes(content)
    Instance.objects.get(study__study_uid=OTHER)
    (intake.layout.archive / Instance.objects.get(study__study_uid=OTHER).path).unlink()

    found = check()
    assert found.counts == {"missing": 1, "extra": 1, "size": 1, "digest": 1, "unreadable": 0}
    kinds = {problem["kind"]: problem["path"] for problem in found.problems}
    assert kinds["digest"] == f"{STUDY}/{SERIES}/{SERIES}.1.dcm"
    assert kinds["extra"] == f"{STUDY}/{SERIES}/1.2.9.dcm"
    quick = check(quick=True)
    assert (quick.counts["digest"], quick.digests) == (0, 0)
    assert quick.counts["size"] == 1


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_files_under_names_that_are_no_uids(intake: Intake) -> None:
    intake.take(image(1, study="no uid", series="/../x"))

    assert check().is_clean
    before = content()
    forget_everything()
    reindex()
    assert content() == before
