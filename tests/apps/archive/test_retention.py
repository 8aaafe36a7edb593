"""Retention: class by class, what nothing speaks for."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from isocenter.apps.archive import queries, retention, services
from isocenter.apps.archive.models import Instance, Study
from isocenter.apps.archive.services import DerivedFile
from isocenter.apps.audit.models import Event
from isocenter.apps.routing.models import Artifact, ArtifactUse, QuarantineItem, Run, RunStep
from isocenter.apps.routing.services import retry_run
from isocenter.runtime.settings import Settings

from .conftest import STUDY, Intake, encoded, image, the_study

Configured = Callable[..., Settings]


def old(days: float = 10) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def complete(*uids: str) -> None:
    Study.objects.filter(study_uid__in=uids or [STUDY]).update(state="complete", due_at=None)


def deleted() -> list[dict[str, Any]]:
    return [event.detail for event in Event.objects.filter(kind="RETENTION_DELETED").order_by("pk")]


def derive(intake: Intake, at: datetime) -> None:
    path = intake.layout.root / "made.dcm"
    path.write_bytes(encoded(image(1, series=f"{STUDY}.8", SOPInstanceUID="1.2.3.4")))
    services.store_derived([DerivedFile(path)], the_study())
    Instance.objects.filter(is_derived=True).update(received_at=at)


def test_without_settings_everything_stays(intake: Intake) -> None:
    intake.take(image(1), at=old(9999))
    complete()
    assert services.sweep_retention() == 0
    assert list(queries.retention_plan()) == []


def test_originals_that_are_old_enough_go(intake: Intake, configured: Configured) -> None:
    configured(retention={"originals_days": 7})
    young = f"{STUDY}.2"
    intake.take(image(1), image(2), at=old())
    intake.take(image(1, study=young), at=old(6))
    complete(STUDY, young)
    (candidate,) = queries.retention_plan()
    assert (candidate.study_uid, candidate.instances, candidate.kept) == (STUDY, 2, "")
    assert services.sweep_retention() == 1
    assert list(Study.objects.values_list("study_uid", flat=True)) == [young]
    assert len(intake.files()) == 1
    assert deleted()[0]["class"] == "originals"
    assert deleted()[0]["whole_study"] is True
    assert Event.objects.get(kind="RETENTION_DELETED").actor == "retention of 7 days"
    assert services.sweep_retention() == 0


def test_what_speaks_for_a_study_keeps_it_and_is_said(
    intake: Intake, configured: Configured
) -> None:
    configured(retention={"originals_days": 7})
    uids = [f"{STUDY}.{number}" for number in range(2, 7)]
    intake.take(*[image(1, study=uid) for uid in uids], at=old())
    protected, waiting, running, quarantined, sent_again = uids
    complete(protected, running, quarantined)
    services.protect(protected, True, actor="alice")
    Study.objects.filter(study_uid=waiting).update(state="waiting")
    revision = services.force_complete(running)
    Run.objects.create(
        pipeline_name="p", definition={}, study=the_study(running), revision=revision
    )
    QuarantineItem.objects.create(kind="instance", study_uid=quarantined, reason="")
    kept = {item.study_uid: item.kept for item in queries.retention_plan()}
    assert kept == {
        protected: "protected by alice",
        waiting: "it is waiting",
        running: "1 run queued",
        quarantined: "1 instance in quarantine",
        sent_again: "it is receiving",
    }
    assert services.sweep_retention() == 0
    assert Study.objects.count() == 5


def test_originals_go_and_what_was_made_stays(intake: Intake, configured: Configured) -> None:
    configured(retention={"originals_days": 7})
    intake.take(image(1), at=old())
    derive(intake, old())
    complete()
    assert services.sweep_retention() == 1
    assert (the_study().instance_count, the_study().series.count()) == (0, 1)
    assert [path.parent.name for path in intake.files()] == [f"{STUDY}.8"]
    assert services.sweep_retention() == 0
    configured(retention={"originals_days": 7, "derived_days": 7})
    assert services.sweep_retention() == 1
    assert not Study.objects.exists()
    assert [(found["class"], found["whole_study"]) for found in deleted()] == [
        ("originals", False),
        ("derived", True),
    ]


def test_what_was_made_goes_and_originals_stay(intake: Intake, configured: Configured) -> None:
    configured(retention={"derived_days": 7})
    intake.take(image(1), at=old())
    derive(intake, old(6))
    complete()
    assert services.sweep_retention() == 0
    Instance.objects.filter(is_derived=True).update(received_at=old())
    assert services.sweep_retention() == 1
    assert [path.parent.name for path in intake.files()] == [f"{STUDY}.1"]
    assert the_study().instance_count == 1


def _run(intake: Intake, finished_at: datetime, **more: Any) -> Run:
    revision = services.force_complete(STUDY)
    run = Run.objects.create(
        pipeline_name="p",
        definition={},
        study=the_study(),
        revision=revision,
        finished_at=finished_at,
        **{"state": "done", **more},
    )
    folder = intake.layout.runs / str(run.pk)
    (folder / "0-contours").mkdir(parents=True)
    (folder / "0-contours" / "a.dcm").write_bytes(b"12345")
    then = time.time() - 100 * 86400
    os.utime(folder, (then, then))
    return run


def test_outputs_of_old_runs_go(intake: Intake, configured: Configured) -> None:
    configured(retention={"derived_days": 7})
    intake.take(image(1), at=old())
    report = intake.layout.reports / "report.txt"
    report.write_text("x")
    gone = _run(intake, old(), reports=[str(report)])
    young = _run(intake, old(6))
    at_work = _run(intake, old(), state="running")
    held = _run(intake, old(), state="failed")
    QuarantineItem.objects.create(kind="run", run=held, study_uid=STUDY, reason="")
    used = _run(intake, old())
    step = RunStep.objects.create(run=used, index=0, name="contours")
    artifact = Artifact.objects.create(
        run=used, step=step, study=the_study(), kind="seg", determinant="", path="x", size=1
    )
    later = RunStep.objects.create(run=young, index=0, name="contours")
    ArtifactUse.objects.create(step=later, artifact=artifact)
    (candidate,) = queries.retention_plan()
    assert (candidate.what, candidate.size) == (f"outputs of run {gone.pk}", 5)
    assert services.sweep_retention() == 1
    left = {path.name for path in intake.layout.runs.iterdir()}
    assert left == {str(run.pk) for run in (young, at_work, held, used)}
    assert not report.exists()
    assert Run.objects.count() == 5
    assert Run.objects.get(pk=gone.pk).reports == []
    assert deleted() == [{"class": "derived", "run": str(gone.pk), "bytes": 5}]
    services.protect(STUDY, True, actor="alice")
    configured(retention={"derived_days": 1})
    assert services.sweep_retention() == 0


def test_runs_without_outputs_are_looked_at_once(intake: Intake, configured: Configured) -> None:
    configured(retention={"derived_days": 7})
    intake.take(image(1), at=old())
    empty = _run(intake, old())
    RunStep.objects.create(run=empty, index=1, name="contours")
    shutil.rmtree(intake.layout.runs / str(empty.pk))
    assert list(queries.retention_plan()) == []
    assert services.sweep_retention() == 0
    assert deleted() == []
    empty.refresh_from_db()
    assert empty.outputs_dropped_at is not None
    again = retry_run(empty.pk, from_step="contours")
    assert again.outputs_dropped_at is None


def test_exports_go_by_their_age(intake: Intake, configured: Configured) -> None:
    configured(retention={"exports_days": 7})
    folder = intake.layout.exports
    for name in ("old", "young"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_bytes(b"123")
    then = time.time() - 8 * 86400
    os.utime(folder / "old", (then, then))
    assert [item.what for item in queries.retention_plan()] == ["old"]
    assert services.sweep_retention() == 1
    assert [path.name for path in folder.iterdir()] == ["young"]
    assert deleted() == [{"class": "exports", "bytes": 3}]


def test_a_round_is_bounded_and_comes_again_at_once(
    intake: Intake, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(retention={"originals_days": 7})
    monkeypatch.setattr(retention, "STUDIES_PER_ROUND", 2)
    uids = [f"{STUDY}.{number}" for number in range(2, 7)]
    intake.take(*[image(1, study=uid) for uid in uids], at=old())
    complete(*uids)
    rounds = services.RetentionRounds()
    assert [rounds.sweep_when_due() for _ in range(5)] == [2, 2, 1, 0, 0]
    intake.take(image(1), at=old())
    complete()
    assert rounds.sweep_when_due() == 0  # looks again in ten minutes


@pytest.mark.parametrize(
    ("older", "newer", "days"), [(None, None, None), (5, None, 5), (None, 6, 6), (5, 6, 6)]
)
def test_the_quarantine_is_set_in_either_place(
    tmp_path: Path, older: int | None, newer: int | None, days: int | None
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        quarantine={"retention_days": older},
        retention={"quarantine_days": newer},
    )
    assert settings.quarantine_days == days


def test_the_quarantine_of_a_protected_study_stays(intake: Intake, configured: Configured) -> None:
    from isocenter.apps.routing.jobs import sweep

    configured(retention={"quarantine_days": 7})
    other = f"{STUDY}.5"
    for uid in (STUDY, other):
        intake.take(image(1, study=uid))
        QuarantineItem.objects.create(kind="instance", study_uid=uid, reason="")
    QuarantineItem.objects.update(last_at=timezone.now() - timedelta(days=8))
    services.protect(STUDY, True, actor="alice")
    sweep()
    states = dict(QuarantineItem.objects.values_list("study_uid", "state"))
    assert states == {STUDY: "held", other: "deleted"}
