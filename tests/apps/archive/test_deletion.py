"""Deleting and protecting studies: rows, then files; whatever happens between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from isocenter.apps.archive import deletion, services
from isocenter.apps.archive.models import Instance, Series, Study, Tombstone
from isocenter.apps.audit.models import Event
from isocenter.core.errors import NotFound, Refused

from .conftest import STUDY, Intake, image, the_study

OTHER = f"{STUDY}.5"


def kinds() -> list[str]:
    return list(Event.objects.filter(actor="alice").order_by("pk").values_list("kind", flat=True))


def test_a_study_goes_with_its_files_and_nothing_of_another(intake: Intake) -> None:
    intake.take(image(1), image(2), image(1, study=OTHER))
    counts = services.delete_study(STUDY, actor="alice")
    assert counts["instances"] == 2
    assert counts["bytes"] > 0
    assert list(Study.objects.values_list("study_uid", flat=True)) == [OTHER]
    assert [path.parts[-3] for path in intake.files()] == [OTHER]
    assert not (intake.layout.archive / STUDY).exists()
    assert not Tombstone.objects.exists()
    event = Event.objects.get(kind="STUDY_DELETED")
    assert (event.study_uid, event.actor, event.detail["instances"]) == (STUDY, "alice", 2)
    assert Event.objects.filter(study_uid=STUDY, kind="INSTANCE_STORED").count() == 2


def test_a_study_that_is_not_here(db: None) -> None:
    with pytest.raises(NotFound):
        services.delete_study(STUDY, actor="alice")
    with pytest.raises(NotFound):
        services.protect(STUDY, True, actor="alice")


def test_a_protected_study_stays(intake: Intake) -> None:
    intake.take(image(1))
    services.protect(STUDY, True, actor="alice")
    services.protect(STUDY, True, actor="alice")
    with pytest.raises(Refused, match="protected by alice"):
        services.delete_study(STUDY, actor="bob")
    with pytest.raises(Refused, match="protected by alice"):
        services.delete_series(STUDY, f"{STUDY}.1", actor="bob")
    assert len(intake.files()) == 1
    services.protect(STUDY, False, actor="alice")
    services.delete_study(STUDY, actor="alice")
    assert kinds() == ["STUDY_PROTECTED", "STUDY_UNPROTECTED", "STUDY_DELETED"]


def test_one_series_goes(intake: Intake) -> None:
    second = f"{STUDY}.2"
    intake.take(image(1), image(1, series=second, Modality="MR"), image(2, series=second))
    with pytest.raises(NotFound, match=r"has no series 9\.9"):
        services.delete_series(STUDY, "9.9", actor="alice")
    assert services.delete_series(STUDY, second, actor="alice")["instances"] == 2
    study = the_study()
    assert (study.series_count, study.instance_count, study.modalities) == (1, 1, ["CT"])
    assert [path.parent.name for path in intake.files()] == [f"{STUDY}.1"]
    assert Event.objects.get(kind="SERIES_DELETED").detail["series_uid"] == second
    services.delete_series(STUDY, f"{STUDY}.1", actor="alice")
    assert not Study.objects.exists()
    assert kinds() == ["SERIES_DELETED", "STUDY_DELETED"]


def test_the_same_study_can_come_again(intake: Intake) -> None:
    intake.take(image(1), image(2))
    services.delete_study(STUDY, actor="alice")
    intake.take(image(1))
    assert the_study().instance_count == 1
    assert len(intake.files()) == 1


def test_a_crash_between_rows_and_files_is_made_good(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.take(*[image(number) for number in range(1, 6)])
    real = deletion._remove_instances

    def crash(study_uid: str, archive: Path, paths: Any) -> None:
        real(study_uid, archive, paths[:2])
        raise KeyboardInterrupt

    monkeypatch.setattr(deletion, "_remove_instances", crash)
    with pytest.raises(KeyboardInterrupt):
        services.delete_study(STUDY, actor="alice")
    assert not Instance.objects.exists()
    assert len(intake.files()) == 3
    monkeypatch.undo()
    assert services.finish_deletions() == 0  # somebody may still be at it
    Tombstone.objects.update(at=timezone.now() - 2 * deletion._SETTLED)
    assert services.finish_deletions() == 1
    assert intake.files() == []
    assert services.finish_deletions() == 0


def test_what_came_again_meanwhile_is_not_removed(intake: Intake) -> None:
    """Its file has the very place of the one that is to be removed."""
    intake.take(image(1), image(2))
    study = the_study()
    tombstone, _ = deletion.bury(study, actor="alice")
    intake.take(image(2))
    deletion.remove_files(tombstone)
    assert [path.name for path in intake.files()] == [f"{STUDY}.1.2.dcm"]
    assert Instance.objects.get().path.endswith("1.2.dcm")


def test_a_file_that_cannot_be_removed_is_tried_again(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.take(image(1))
    tombstone, _ = deletion.bury(the_study(), actor="alice")
    Tombstone.objects.update(at=timezone.now() - 2 * deletion._SETTLED)
    monkeypatch.setattr(
        Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(PermissionError(1, "not now"))
    )
    assert services.finish_deletions() == 0
    monkeypatch.undo()
    assert Tombstone.objects.filter(pk=tombstone.pk).exists()
    assert services.finish_deletions() == 1
    assert intake.files() == []


def test_a_folder_that_was_removed_is_synced_when_it_is_made_anew(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The filer remembers which names are on disk; a deletion makes that untrue."""
    from isocenter.apps.archive import filing

    intake.take(image(1))
    services.delete_study(STUDY, actor="alice")
    synced: list[Path] = []
    real = filing.sync_folder
    monkeypatch.setattr(filing, "sync_folder", lambda folder: (synced.append(folder), real(folder)))
    intake.take(image(1))
    study = intake.layout.archive / STUDY
    assert {study / f"{STUDY}.1", study, intake.layout.archive} <= set(synced)


def test_a_study_at_work_is_refused_with_what_is_going_on(intake: Intake) -> None:
    from isocenter.apps.routing.models import Delivery, QuarantineItem, Run

    intake.take(image(1))
    revision = services.force_complete(STUDY)
    study = the_study()
    run = Run.objects.create(
        pipeline_name="p", definition={}, study=study, revision=revision, state="running"
    )
    Delivery.objects.create(run=run, study=study, node_name="pacs", state="waiting")
    QuarantineItem.objects.create(kind="run", state="retrying", study_uid=STUDY, reason="")
    with pytest.raises(Refused, match="1 run running, 1 delivery waiting, 1 retry at work"):
        services.delete_study(STUDY, actor="alice")
    assert Series.objects.count() == 1


def test_what_a_study_left_in_quarantine_and_runs_goes_too(intake: Intake) -> None:
    from isocenter.apps.routing.models import QuarantineItem, Run

    intake.take(image(1), image(1, PixelData=b"\2" * 32), image(1, study=OTHER))
    intake.take(image(1, study=OTHER, PixelData=b"\2" * 32))
    revision = services.force_complete(STUDY)
    layout = intake.layout
    report = layout.reports / "report.html"
    report.write_text("x")
    run = Run.objects.create(
        pipeline_name="p",
        definition={},
        study=the_study(),
        revision=revision,
        state="done",
        reports=[str(report)],
    )
    folder = layout.runs / str(run.pk) / "0-contours"
    folder.mkdir(parents=True)
    (folder / "a.dcm").write_text("x")
    keep = layout.runs / "another"
    keep.mkdir()
    counts = services.delete_study(STUDY, actor="alice")
    assert (counts["runs"], counts["quarantined"]) == (1, 1)
    assert not Run.objects.exists()
    assert list(layout.runs.iterdir()) == [keep]
    assert not report.exists()
    held = QuarantineItem.objects.get(state="held")
    assert held.study_uid == OTHER
    assert [path.name for path in layout.quarantine.iterdir()] == [str(held.pk)]
