"""Thumbnails: rendered once, in the background, from real files; failures kept with reasons."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image
from procrastinate.contrib.django.models import ProcrastinateJob

from isocenter.apps.archive import jobs, thumbnails
from isocenter.apps.archive.models import Study
from isocenter.apps.archive.thumbnail_files import file_of, folder_of, read_index
from isocenter.apps.archive.thumbnail_rendering import render

from .conftest import SERIES, STUDY, Intake, after, encoded, image, structure_set, the_study


def states(study: Study, *, identified: bool = True) -> dict[str, str]:
    found = thumbnails.thumbnails(study, identified=identified)
    return {uid: each.state for uid, each in found.items()}


def bytes_of(folder: Path, *names: str) -> list[bytes]:
    return [(folder / name).read_bytes() for name in names]


def waiting_jobs() -> int:
    return ProcrastinateJob.objects.filter(
        task_name="archive.render_thumbnails", status="todo"
    ).count()


def test_a_quiet_study_gets_its_thumbnails_once(intake: Intake) -> None:
    intake.take(*(image(n, Rows=4, Columns=4) for n in range(1, 6)))
    study = the_study()
    assert waiting_jobs() == 0
    assert not thumbnails.is_lacking(study)  # it is still coming in
    jobs.tick(after(study, 61))
    jobs.tick(after(study, 3600))
    assert waiting_jobs() == 1
    study = the_study()
    assert states(study) == {SERIES: "pending"}
    assert thumbnails.is_lacking(study)
    assert render(STUDY) == 1
    found = thumbnails.thumbnail(STUDY, SERIES, identified=True)
    assert found.state == "ready"
    assert found.path is not None
    assert found.version
    with Image.open(found.path) as picture:
        assert picture.size == (192, 192)
    made_at = found.path.stat().st_mtime_ns
    assert render(STUDY) == 0
    assert found.path.stat().st_mtime_ns == made_at
    assert not thumbnails.is_lacking(study)


@pytest.mark.parametrize("uid", [STUDY, "1.2.7.0\r\nX-E: 1", "x" * 4000])
def test_asking_twice_leaves_one_job(intake: Intake, uid: str) -> None:
    thumbnails.want(uid)
    thumbnails.want(uid)
    assert waiting_jobs() == 1
    assert Study.objects.count() == 0  # the transaction is still good


def test_new_instances_make_a_new_picture(intake: Intake) -> None:
    intake.take(image(1), image(2))
    render(STUDY)
    first = thumbnails.thumbnail(STUDY, SERIES, identified=True).version
    intake.take(image(3))
    assert render(STUDY) == 1
    assert thumbnails.thumbnail(STUDY, SERIES, identified=True).version != first


def test_what_has_no_image_is_not_rendered(intake: Intake) -> None:
    plan = structure_set()
    del plan.Rows, plan.Columns
    intake.take(plan)
    assert render(STUDY) == 0
    assert list(states(the_study()).values()) == ["none"]


def test_modalities_of_the_reference_data(intake: Intake, shared_data: Path) -> None:
    files = ("us/GREYSCALE_IMAGE.dcm", "xray/RG3_J2KR.dcm", "mr_enhanced_Philips/IM_0027_fMAP.dcm")
    intake.take(*bytes_of(shared_data, *files))
    for study in Study.objects.all():
        assert render(study.study_uid) == 1
        assert set(states(study).values()) == {"ready"}


def test_a_broken_series_says_why_and_is_left_alone(intake: Intake, shared_data: Path) -> None:
    broken = shared_data / "malformed" / "JPEG2000-embedded-sequence-delimiter.dcm"
    intake.take(broken.read_bytes())
    study = Study.objects.get()
    assert render(study.study_uid) == 0
    (found,) = thumbnails.thumbnails(study, identified=True).values()
    assert found.state == "failed"
    assert "the data set says" in found.reason
    assert not thumbnails.due(study)


def test_the_next_instance_is_tried_where_the_middle_one_is_broken(intake: Intake) -> None:
    short = image(2)
    short.PixelData = b"\0\0"
    intake.take(image(1), short, image(3))
    assert render(STUDY) == 1


def test_a_decoder_that_ends_its_process_costs_one_series(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [f"{STUDY}.{n}" for n in (2, 3, 4)]
    intake.take(image(1), *(image(1, series=uid) for uid in others))
    from isocenter.apps.archive import thumbnail_rendering

    monkeypatch.setattr(thumbnail_rendering, "_TARGET", "crashing_thumbnails:run")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    assert render(STUDY) == 3
    study = the_study()
    assert states(study) == {
        SERIES: "ready",
        others[0]: "failed",
        others[1]: "ready",
        others[2]: "ready",
    }
    assert read_index(STUDY)[others[0]]["reason"] == "the decoder failed on it"
    assert list(folder_of(STUDY).parent.glob(".work-*")) == []


@pytest.mark.parametrize(
    "attributes", [{"Modality": "US"}, {"BurnedInAnnotation": "YES"}, {"Modality": "OT"}]
)
def test_burned_in_identity_is_for_those_who_may_see_it(
    intake: Intake, attributes: dict[str, str]
) -> None:
    intake.take(image(1, **attributes))
    render(STUDY)
    study = the_study()
    assert states(study) == {SERIES: "ready"}
    assert states(study, identified=False) == {SERIES: "hidden"}
    assert thumbnails.thumbnail(STUDY, SERIES, identified=False).path is None


def test_secondary_captures_are_hidden_under_any_modality(intake: Intake) -> None:
    intake.take(image(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="MR"))
    render(STUDY)
    assert states(the_study(), identified=False) == {SERIES: "hidden"}


def test_forgetting_removes_the_files(intake: Intake) -> None:
    intake.take(image(1))
    render(STUDY)
    assert file_of(STUDY, SERIES).exists()
    thumbnails.forget(STUDY)
    assert not folder_of(STUDY).exists()
    thumbnails.forget(STUDY)


def test_work_of_a_killed_process_is_cleared(intake: Intake) -> None:
    left = intake.layout.thumbnails / ".work-left"
    left.mkdir()
    os.utime(left, (0, 0))
    intake.take(image(1))
    render(STUDY)
    assert not left.exists()


def test_a_study_that_is_gone_leaves_nothing(intake: Intake) -> None:
    intake.take(encoded(image(1)))
    assert render("1.2.3") == 0
    assert not folder_of("1.2.3").exists()
