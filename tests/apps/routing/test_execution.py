"""Runs: from a complete study to artifacts that are kept, published, used again and superseded."""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pydicom
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from isocenter.apps.archive import queries as archive
from isocenter.apps.archive.incoming import FilePayload, Incoming
from isocenter.apps.archive.ingest import ingest_records
from isocenter.apps.archive.models import Instance
from isocenter.apps.audit.queries import events
from isocenter.apps.routing import artifacts, queries
from isocenter.apps.routing.execution import claim, execute
from isocenter.apps.routing.models import Artifact, QuarantineItem, Route, Run, RunStep
from isocenter.apps.routing.quarantining import resolve_run
from isocenter.apps.routing.services import (
    cancel_run,
    evaluate,
    quarantine_run,
    retry_quarantined,
    retry_run,
    start_run,
)
from isocenter.apps.routing.step_execution import log_text
from isocenter.apps.routing.steps.burn_in import BurnIn
from isocenter.apps.routing.sweeping import sweep
from isocenter.core.errors import RoutingError

from .conftest import SENDER

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_study_with_a_structure_set_becomes_an_overlay_series(
    stored, apply, go, send_all, folder_node
):
    apply()
    study, revision = stored()

    run = go(revision)

    assert (run.state, run.trace) == (Run.State.DONE, ""), run.reason
    outputs = list(artifacts.outputs_of(run))
    assert len(outputs) == len(study.phantom.images)
    assert {item.step.name for item in outputs} == {"burn_in"}
    assert all(item.state == Artifact.State.ACTIVE for item in outputs)
    before = Artifact.objects.filter(run=run, step__name="contours")
    assert {item.state for item in before} == {Artifact.State.INTERMEDIATE}
    in_archive = Instance.objects.filter(is_derived=True)
    assert set(in_archive.values_list("sop_uid", flat=True)) == {item.sop_uid for item in outputs}

    send_all(run)

    files = list(folder_node.rglob("*.dcm"))
    assert len(files) == len(outputs)
    assert {pydicom.dcmread(path).SOPInstanceUID for path in files} == {
        item.sop_uid for item in outputs
    }
    assert files[0].parent.parent.name == study.study_uid
    assert run.deliveries.get().state == "done"


def test_the_same_content_again_is_not_made_again(stored, apply, go):
    apply()
    _, revision = stored()
    first = go(revision)
    uids = set(artifacts.outputs_of(first).values_list("sop_uid", flat=True))

    second = start_run(revision, first.pipeline, route=first.route)
    execute(second.pk)

    second.refresh_from_db()
    assert second.state == Run.State.DONE, second.reason
    assert not Artifact.objects.filter(run=second).exists()
    assert set(artifacts.outputs_of(second).values_list("sop_uid", flat=True)) == uids
    assert {item.state for item in artifacts.outputs_of(second)} == {Artifact.State.ACTIVE}


def test_a_late_instance_makes_the_overlay_anew_and_supersedes_the_old_one(stored, apply, go):
    apply()
    study, revision = stored(only=slice(1, None))
    first = go(revision)
    late = study.take(study.files[0])

    second = go(late)

    assert second.revision.number == 2
    new, old = artifacts.outputs_of(second), Artifact.objects.filter(run=first)
    assert {item.state for item in new} == {Artifact.State.ACTIVE}
    assert {item.state for item in old} == {Artifact.State.SUPERSEDED}
    assert len(new) == len(study.phantom.images)
    assert not {a.sop_uid for a in new} & {a.sop_uid for a in old}


def test_other_instances_leave_what_they_do_not_change_as_it_was(stored, apply, go, tmp_path):
    apply()
    study, revision = stored()
    first = go(revision)
    ds = pydicom.dcmread(study.files[0])
    ds.SeriesInstanceUID, ds.SOPInstanceUID = "1.2.3.4.9", "1.2.3.4.9.1"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.FrameOfReferenceUID, ds.Modality = "1.2.3.4.8", "US"
    other = tmp_path / "other.dcm"
    ds.save_as(other)

    second = go(study.take(other))

    assert second.state == Run.State.DONE, second.reason
    assert set(artifacts.outputs_of(second)) == set(artifacts.outputs_of(first))
    assert {item.state for item in artifacts.outputs_of(second)} == {Artifact.State.ACTIVE}


def test_no_structure_set_where_one_is_demanded(stored, apply, go):
    apply(condition='Modality == "CT"')
    study, revision = stored(only=slice(0, -1))

    run = go(revision)

    assert (run.state, run.reason) == (Run.State.FAILED, "the study has no RTSTRUCT")
    item = QuarantineItem.objects.get(run=run)
    assert (item.state, item.reason) == ("held", run.reason)
    folder = settings.LAYOUT.quarantine / str(item.pk)
    assert len(list((folder / "originals").rglob("*.dcm"))) == len(study.files) - 1

    newer = go(study.take(study.files[-1]))  # the structure set came after all

    assert newer.state == Run.State.DONE
    item.refresh_from_db()
    assert item.state == "resolved"
    assert not folder.exists()
    with pytest.raises(RoutingError, match="revision 2"):
        retry_run(run.pk)


@pytest.mark.parametrize("policy", ["skip", "continue"])
def test_no_structure_set_where_it_does_not_matter(stored, apply, go, policy):
    steps = [
        {"step": "contours", "with": {"on_missing_rtstruct": policy}},
        {"step": "deliver", "with": {"what": "originals"}},
    ]
    apply(condition="", steps=steps)
    _, revision = stored(only=slice(0, -1))
    run = go(revision)
    assert run.state == Run.State.DONE
    deliver = run.steps.get(name="deliver")
    assert deliver.state == ("skipped" if policy == "skip" else "done")
    assert run.deliveries.count() == (0 if policy == "skip" else 1)


def test_all_rois_ignored(stored, apply, go):
    steps = [{"step": "contours", "with": {"choice": {"exclude": [".*"]}}}, {"step": "deliver"}]
    apply(steps=steps)
    run = go(stored()[1])
    assert run.state == Run.State.FAILED
    assert "no ROI is left" in run.reason
    assert QuarantineItem.objects.get().run == run


def test_an_interrupted_run_goes_on_at_its_first_step_that_is_not_done(stored, apply, monkeypatch):
    apply()
    (run,) = evaluate(stored()[1])

    def die(*_args):
        raise KeyboardInterrupt  # what no handler of a run takes for a failure

    monkeypatch.setattr("isocenter.apps.routing.steps.burn_in.BurnIn.prepare", die)
    with pytest.raises(KeyboardInterrupt):
        execute(run.pk)
    monkeypatch.undo()
    run.refresh_from_db()
    assert run.state == Run.State.RUNNING  # as after kill -9
    made = run.steps.get(name="contours").finished_at
    execute(run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.RUNNING  # its worker may be alive: the lease is not over
    time.sleep(1.1)

    execute(run.pk)

    run.refresh_from_db()
    assert run.state == Run.State.DONE, run.reason
    assert run.steps.get(name="contours").finished_at == made
    assert run.steps.get(name="contours").attempt == 1
    assert run.steps.get(name="burn_in").attempt == 2


def test_a_worker_that_was_thought_dead_changes_nothing(stored, apply, monkeypatch):
    apply()
    (run,) = evaluate(stored()[1])
    work = BurnIn.prepare

    def slow(step, context, parameters):
        Run.objects.filter(pk=run.pk).update(lease_token=uuid.uuid4())  # somebody took it over
        return work(step, context, parameters)

    monkeypatch.setattr(BurnIn, "prepare", slow)
    execute(run.pk)

    run.refresh_from_db()
    assert run.state == Run.State.RUNNING
    assert run.steps.get(name="burn_in").state == RunStep.State.RUNNING
    assert not Artifact.objects.filter(run=run, step__name="burn_in").exists()


def test_cancel_ends_a_running_step(stored, apply, monkeypatch, sleeper):
    apply()
    (run,) = evaluate(stored()[1])
    monkeypatch.setattr("isocenter.apps.routing.steps.contours.Contours.target", f"{sleeper}:sleep")
    worker = threading.Thread(target=_in_thread, args=(run.pk,))
    worker.start()
    _wait(lambda: RunStep.objects.get(run=run, name="contours").message == "asleep")
    cancel_run(run.pk, actor="test")
    worker.join(60)

    assert not worker.is_alive()
    run.refresh_from_db()
    assert run.state == Run.State.CANCELLED
    assert {step.state for step in run.steps.all()} == {RunStep.State.CANCELLED}
    assert "before it slept" in log_text(run.steps.get(name="contours"))


def test_a_child_that_died_is_tried_once_more_and_one_that_failed_is_not(
    stored, apply, monkeypatch, sleeper
):
    apply()
    _, revision = stored()
    for function, attempts in (("die", 2), ("fail", 1)):
        monkeypatch.setattr(
            "isocenter.apps.routing.steps.contours.Contours.target", f"{sleeper}:{function}"
        )
        run = start_run(revision, queries.pipeline("overlay"), destinations=["out"])
        execute(run.pk)
        run.refresh_from_db()
        assert run.state == Run.State.FAILED
        assert run.steps.get(name="contours").attempt == attempts
    assert "ValueError" in run.reason
    assert "ValueError" in run.trace


def test_one_run_of_a_study_and_pipeline_at_once(stored, apply, go):
    apply()
    _, revision = stored()
    pipeline = queries.pipeline("overlay")
    first = start_run(revision, pipeline, destinations=["out"])
    second = start_run(revision, pipeline, destinations=["out"])
    lease = claim(first.pk)
    assert lease is not None
    assert claim(second.pk) is None
    second.refresh_from_db()
    assert second.state == Run.State.QUEUED
    Run.objects.filter(pk=first.pk).update(state=Run.State.DONE)
    assert claim(second.pk) is not None


def test_a_newer_revision_takes_the_place_of_a_run_that_nobody_began(stored, apply):
    apply()
    study, revision = stored(only=slice(1, None))
    (older,) = evaluate(revision)
    (newer,) = evaluate(study.take(study.files[0]))
    older.refresh_from_db()
    assert (older.state, newer.state) == (Run.State.CANCELLED, Run.State.QUEUED)
    assert "revision 2" in older.reason


def test_routes_that_share_a_pipeline_do_not_settle_each_other_s_matters(stored, apply):
    """One route's run failed; the other one's success is no reason to forget that."""
    apply()
    study, revision = stored(only=slice(1, None))
    overlay = queries.route("overlay")
    twin = Route.objects.create(name="twin", pipeline=overlay.pipeline, destinations=["out"])
    failed, waits = (
        start_run(revision, overlay.pipeline, route=route) for route in (overlay, twin)
    )
    Run.objects.filter(pk=failed.pk).update(state=Run.State.FAILED, reason="its node is off")
    failed.refresh_from_db()
    item = quarantine_run(failed)
    resolve_run(waits)
    item.refresh_from_db()
    assert item.state == QuarantineItem.State.HELD
    start_run(study.take(study.files[0]), overlay.pipeline, route=overlay)
    waits.refresh_from_db()
    assert waits.state == Run.State.QUEUED


def test_a_revision_that_lost_instances_to_newer_copies_is_not_drawn_on(
    stored, apply, go, configure
):
    """Without them the overlay would silently have fewer slices than the revision."""
    configure(storage={"duplicate_policy": "replace"})
    apply()
    study, revision = stored()
    ds = pydicom.dcmread(study.files[0])
    ds.SeriesDescription = "corrected"
    ds.save_as(study.files[0])
    ingest_records([Incoming(FilePayload(study.files[0]), SENDER, timezone.now())])

    run = go(revision)

    assert run.state == Run.State.FAILED
    assert "1 instance(s) of revision 1 were replaced" in run.reason
    assert go(study.take()).state == Run.State.DONE
    assert not QuarantineItem.objects.filter(state=QuarantineItem.State.HELD, kind="run").exists()


def test_a_retry_that_was_cancelled_is_a_person_s_matter_again(stored, apply):
    apply()
    run = start_run(stored()[1], queries.route("overlay").pipeline)
    Run.objects.filter(pk=run.pk).update(state=Run.State.FAILED, reason="broken")
    run.refresh_from_db()
    item = quarantine_run(run)
    retry_quarantined(item.pk)
    cancel_run(run.pk)
    sweep()
    item.refresh_from_db()
    assert item.state == QuarantineItem.State.HELD


def test_evaluating_twice_starts_one_run(stored, apply):
    apply()
    _, revision = stored()
    assert len(evaluate(revision)) == 1
    assert evaluate(revision) == []


def test_retry_from_a_step_keeps_the_artifacts(stored, apply, go):
    apply()
    run = go(stored()[1])
    before = {item.pk: item.digest for item in artifacts.outputs_of(run)}
    retry_run(run.pk, from_step="contours")
    execute(run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.DONE, run.reason
    assert {item.pk: item.digest for item in artifacts.outputs_of(run)} == before
    assert Artifact.objects.filter(run=run, state="active").count() == len(before)


def test_lost_files_are_made_again_with_the_same_uids(stored, apply, go):
    apply()
    run = go(stored()[1])
    before = set(artifacts.outputs_of(run).values_list("sop_uid", "digest"))
    shutil.rmtree(settings.LAYOUT.runs / str(run.pk))
    retry_run(run.pk, from_step="contours")
    execute(run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.DONE, run.reason
    assert set(artifacts.outputs_of(run).values_list("sop_uid", "digest")) == before


def test_select_narrows_what_later_steps_see(stored, apply, go, folder_node, send_all):
    steps = [
        {"step": "select", "with": {"modalities": ["CT"], "referenced_by": "RTSTRUCT"}},
        {"step": "deliver", "with": {"what": "originals"}},
    ]
    apply(steps=steps)
    study, revision = stored()
    run = go(revision)
    send_all(run)
    assert run.state == Run.State.DONE, run.reason
    assert run.steps.get(name="select").result["data"]["instances"] == len(study.phantom.images)


def test_select_that_lacks_what_it_requires(stored, apply, go):
    apply(steps=[{"step": "select", "with": {"requires": ["MR"]}}, {"step": "contours"}])
    run = go(stored()[1])
    assert (run.state, run.reason) == (Run.State.FAILED, "the study has no MR")


def test_the_sweep_finds_runs_that_nobody_works_on(stored, apply):
    apply()
    (run,) = evaluate(stored()[1])
    Run.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert sweep() == 0  # it has a job
    _delete_jobs()
    assert sweep() == 1
    assert sweep() == 0
    claim(run.pk)
    _delete_jobs()
    assert sweep() == 0  # its lease lives
    Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep() == 1


def test_reports_are_written_also_for_failures(stored, apply, go):
    apply(condition="")
    study, revision = stored(only=slice(0, -1))
    failed = go(revision)
    done = go(study.take(study.files[-1]))
    for run in (failed, done):
        run.refresh_from_db()
        texts = {Path(p).suffix: Path(p).read_text("utf-8") for p in run.reports}
        assert set(texts) == {".html", ".json", ".txt"}
        assert study.study_uid in texts[".txt"]
        assert str(study.phantom.images[0].PatientName) not in "".join(texts.values())
    assert "no RTSTRUCT" in Path(failed.reports[0]).read_text("utf-8")
    assert "GTV" in Path(done.reports[0]).read_text("utf-8")


def test_events_of_a_run(stored, apply, go):
    apply()
    run = go(stored()[1])
    kinds = [e.kind for e in events(run.study.study_uid) if e.kind.startswith("PROCESSING")]
    assert sorted(kinds) == ["PROCESSING_START", "PROCESSING_SUCCESS"]


def test_a_test_of_routes_says_why_and_why_not(stored, apply):
    apply(condition='Modality == "MR"')
    study, _ = stored()
    (row,) = queries.test_routes(["overlay"], [study.study])
    assert row["matched"] is False
    assert "Modality is CT, RTSTRUCT" in row["reason"]
    assert not Run.objects.exists()


def test_what_routes_demand_is_awaited(stored, apply):
    apply(condition='Modality == "CT"')
    study, _ = stored(only=slice(0, -1))
    facts = archive.study_facts(study.study)
    assert list(queries.awaited_modalities(facts).values()) == [["RTSTRUCT"]]
    apply(condition='"RTSTRUCT" in ModalitiesInStudy')
    assert queries.awaited_modalities(facts) == {}


@pytest.fixture
def sleeper(tmp_path, monkeypatch) -> str:
    """A module whose functions sleep, die or fail in a child process."""
    (tmp_path / "sleepy_steps.py").write_text(
        "import os, time\n"
        "def sleep(request, progress):\n"
        "    print('before it slept', flush=True); progress(0.5, 'asleep'); time.sleep(600)\n"
        "def die(request, progress):\n"
        "    os._exit(9)\n"
        "def fail(request, progress):\n"
        "    raise ValueError('this cannot be')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "sleepy_steps"


def _in_thread(run_id) -> None:
    try:
        execute(run_id)
    finally:
        connection.close()


def _wait(condition, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _delete_jobs() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
