"""Instances into the archive."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from isocenter.apps.archive import rows, services, staging
from isocenter.apps.archive.models import Instance, Series, SpoolCursor, Study
from isocenter.apps.audit.models import Event
from isocenter.apps.routing.models import QuarantineItem

from .conftest import MARK, SERIES, STUDY, Intake, encoded, image, structure_set, the_study


def test_an_instance_is_filed_byte_for_byte_and_indexed(intake: Intake) -> None:
    payload = encoded(image(7))
    intake.take(payload)
    row = Instance.objects.get()
    archived = intake.layout.archive / row.path
    assert row.path == f"{STUDY}/{SERIES}/{SERIES}.7.dcm"
    assert archived.read_bytes() == payload
    offset = payload.index(b"\x08\x00\x16\x00")  # the data set's first element
    assert row.digest == hashlib.sha256(payload[offset:]).hexdigest()
    study = the_study()
    assert (study.state, study.instance_count, study.series_count) == ("receiving", 1, 1)
    assert study.modalities == ["CT"]
    assert study.patient_id == f"{MARK}1"
    assert study.source is not None
    assert study.source.calling_ae_title == "SCANNER"
    assert study.due_at is not None


def test_many_studies_in_one_batch(intake: Intake) -> None:
    intake.take(*(image(n, study=f"{STUDY}.{n % 3}") for n in range(30)))
    assert {s.instance_count for s in Study.objects.all()} == {10}
    assert {s.instance_count for s in Series.objects.all()} == {10}
    assert len(intake.files()) == 30
    assert Event.objects.filter(kind="INSTANCE_STORED").count() == 30


def test_the_same_instance_twice_is_stored_once(intake: Intake) -> None:
    intake.take(image(1), image(1), image(2))
    intake.take(image(2), image(1))
    assert the_study().instance_count == 2
    assert Series.objects.get().instance_count == 2
    assert len(intake.files()) == 2
    assert QuarantineItem.objects.count() == 0
    assert Event.objects.filter(kind="INSTANCE_DUPLICATE").count() == 3


def test_the_same_data_set_in_another_syntax_is_a_duplicate(intake: Intake) -> None:
    intake.take(image(1))
    intake.take(encoded(image(1), syntax=ImplicitVRLittleEndian))
    assert QuarantineItem.objects.count() == 0
    assert the_study().instance_count == 1


def test_a_different_data_set_with_the_same_uid_goes_to_quarantine(intake: Intake) -> None:
    intake.take(image(1))
    intake.take(image(1, StudyDescription="changed"))
    item = QuarantineItem.objects.get()
    assert "SOPInstanceUID" in item.reason
    assert item.sop_uid == f"{SERIES}.1"
    kept = pydicom.dcmread(intake.files()[0])
    assert kept.StudyDescription == "head"
    copies = list((intake.layout.quarantine / item.path).rglob("*.dcm"))
    assert pydicom.dcmread(copies[0]).StudyDescription == "changed"


def test_replace_keeps_the_new_one_and_puts_the_old_one_aside(
    intake: Intake, configured: Callable[..., Any]
) -> None:
    configured(storage={"duplicate_policy": "replace"})
    intake.take(image(1), image(2))
    intake.take(image(1, StudyDescription="changed"))
    row = Instance.objects.get(sop_uid=f"{SERIES}.1")
    kept = pydicom.dcmread(intake.layout.archive / row.path)
    assert kept.StudyDescription == "changed"
    assert the_study().instance_count == 2
    assert len(intake.files()) == 2
    item = QuarantineItem.objects.get()
    copies = list((intake.layout.quarantine / item.path).rglob("*.dcm"))
    assert pydicom.dcmread(copies[0]).StudyDescription == "head"


def test_replaced_three_times_in_one_batch(intake: Intake, configured: Callable[..., Any]) -> None:
    configured(storage={"duplicate_policy": "replace"})
    intake.take(*(image(1, StudyDescription=text) for text in ("a", "b", "c", "b")))
    row = Instance.objects.get()
    assert pydicom.dcmread(intake.layout.archive / row.path).StudyDescription == "b"
    assert len(intake.files()) == 1
    assert QuarantineItem.objects.count() == 3


def test_the_same_uid_in_another_study_is_never_replaced(
    intake: Intake, configured: Callable[..., Any]
) -> None:
    configured(storage={"duplicate_policy": "replace"})
    intake.take(image(1))
    intake.take(image(1, StudyInstanceUID="1.2.99"))
    assert not Study.objects.filter(study_uid="1.2.99").exists()
    assert STUDY in QuarantineItem.objects.get().reason


def test_one_bad_record_does_not_hold_up_the_others(intake: Intake) -> None:
    intake.take(image(1), b"\0" * 128 + b"DICM no data set at all", b"", image(2))
    assert the_study().instance_count == 2
    assert QuarantineItem.objects.filter(kind="instance").count() == 2
    assert Event.objects.filter(kind="INSTANCE_REJECTED").count() == 2


def test_a_sequence_that_is_a_number_is_kept_and_its_references_are_unknown(intake: Intake) -> None:
    """(3006,0010) with VR UL and a length of 2: pydicom raises what nothing else raises."""
    poison = structure_set()
    del poison.ReferencedFrameOfReferenceSequence
    content = encoded(poison) + b"\x06\x30\x10\x00UL\x02\x00\x01\x02"
    intake.take(content, image(1), sop_uid="")
    assert the_study().instance_count == 2
    assert "references-unreadable" in [flag["code"] for flag in the_study().flags]


@pytest.mark.parametrize("place", ["staging.entry_of", "rows.instance_row"])
def test_an_instance_that_brings_about_what_nobody_thought_of_goes_to_quarantine_alone(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    module, name = place.split(".")
    target = {"staging": staging, "rows": rows}[module]
    real = getattr(target, name)

    def breaks(*args: Any, **more: Any) -> Any:
        found = real(*args, **more)
        fields = found.instance if hasattr(found, "instance") else vars(found)
        if fields["instance_number"] == 2:
            raise RuntimeError("nobody thought of this: Meier^Hans")
        return found

    monkeypatch.setattr(target, name, breaks)
    intake.take(image(1), image(2), image(3))
    assert the_study().instance_count == 2
    (item,) = QuarantineItem.objects.all()
    assert "RuntimeError" in item.reason
    assert "Meier" not in item.reason


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"StudyInstanceUID": ""}, "empty-study-uid"),
        ({"SeriesInstanceUID": ""}, "empty-series-uid"),
        ({"SOPInstanceUID": ""}, "empty-sop-uid"),
    ],
)
def test_empty_uids_are_kept_indexed_and_flagged(
    intake: Intake, changes: dict[str, str], code: str
) -> None:
    for number in (1, 2):
        ds = image(number)
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
        intake.take(encoded(ds, sop_uid=f"1.2.3.{number}"), sop_uid=f"1.2.3.{number}")
    study = Study.objects.get()
    assert study.instance_count == 2
    assert study.series_count == 1
    assert code in {flag["code"] for flag in study.flags}
    assert len(intake.files()) == 2
    assert Event.objects.filter(kind="STUDY_FLAGGED").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom warns of what we send on purpose
@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2.x", "1..2", "0001.2", "1" * 65])
def test_uids_that_are_no_uids_never_become_paths(intake: Intake, uid: str) -> None:
    ds = image(1)
    ds.StudyInstanceUID = ds.SeriesInstanceUID = uid
    intake.take(ds)
    study = Study.objects.get()
    assert study.study_uid == uid
    assert "invalid-study-uid" in {flag["code"] for flag in study.flags}
    (file,) = intake.files()
    assert file.is_relative_to(intake.layout.archive)
    assert file.parent.parent.name.startswith("x")


def test_two_patients_in_one_study_are_flagged(intake: Intake) -> None:
    intake.take(image(1), image(2, PatientID="OTHER"))
    study = the_study()
    assert [flag["code"] for flag in study.flags] == ["two-patients"]
    assert study.patient_id == f"{MARK}1"
    assert study.instance_count == 2
    assert "OTHER" not in str(study.flags)


def test_a_name_spelt_differently_is_the_same_patient(intake: Intake) -> None:
    intake.take(image(1), image(2, PatientName=f"{MARK.lower()}^name^^"))
    assert the_study().flags == []


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_over_long_values_are_accepted(intake: Intake) -> None:
    intake.take(image(1, AccessionNumber="A" * 20, StudyID="S" * 20, StudyDescription="d" * 5000))
    study = the_study()
    assert study.accession_number == "A" * 20
    assert study.study_id == "S" * 20
    assert len(study.study_description) == 1024
    assert [flag["code"] for flag in study.flags] == ["long-value"]


def test_nul_bytes_in_text_do_not_break_the_index(intake: Intake) -> None:
    payload = encoded(image(1, StudyDescription="he00ad")).replace(b"he00ad", b"he\0\0ad")
    intake.take(payload, image(2))
    assert the_study().instance_count == 2


def test_attributes_that_came_empty_are_filled_in_later(intake: Intake) -> None:
    intake.take(image(1, StudyDescription=""))
    intake.take(image(2))
    assert the_study().study_description == "head"


def test_what_an_object_names_is_indexed(intake: Intake) -> None:
    intake.take(structure_set(instances=("1.2.3.4",)))
    row = Instance.objects.get()
    assert row.references == {"series": [SERIES], "instances": ["1.2.3.4"]}


def test_a_segment_goes_when_all_of_it_is_in_the_archive(intake: Intake) -> None:
    intake.take(image(1))
    assert SpoolCursor.objects.count() == 1
    intake.send(image(2))
    intake.seal()
    intake.reader.drain()
    assert the_study().instance_count == 2
    assert not list((intake.layout.spool / "segments").iterdir())
    assert SpoolCursor.objects.count() == 0


def test_what_was_put_aside_can_be_taken_in_again(intake: Intake) -> None:
    path = intake.layout.root / "again.dcm"
    path.write_bytes(encoded(image(1)))
    assert services.take_in(path, source="SCANNER").outcome == "stored"
    path.write_bytes(encoded(image(1, StudyID="9")))
    assert services.take_in(path).is_in_quarantine


def test_an_archive_that_lost_a_file_keeps_the_copy_that_comes(intake: Intake) -> None:
    intake.take(image(1))
    intake.files()[0].unlink()
    intake.take(image(1))
    assert "lost" in QuarantineItem.objects.get().reason


def test_staging_leaves_nothing_behind(intake: Intake) -> None:
    intake.take(image(1), image(1), b"nonsense")
    assert not list((intake.layout.archive / ".staging").iterdir())


def test_the_archive_is_private(intake: Intake) -> None:
    intake.take(image(1))
    (file,) = intake.files()
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


def test_no_identity_in_any_log_or_event(
    intake: Intake, capfd: pytest.CaptureFixture[str], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        intake.take(image(1), image(1), image(1, StudyDescription=MARK), image(2, PatientID="X"))
        broken = encoded(image(3))
        intake.take(broken[: len(broken) - 50], broken[:200], structure_set())
    lines = (intake.layout.logs / "transactions.jsonl").read_text()
    assert "INSTANCE_STORED" in lines
    printed = capfd.readouterr()
    for text in (lines, printed.out, printed.err, str(list(Event.objects.values()))):
        assert MARK not in text
    assert MARK not in str(list(QuarantineItem.objects.values("reason", "trace")))
