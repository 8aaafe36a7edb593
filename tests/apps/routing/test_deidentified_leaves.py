"""After ``deidentify``: every way by which something identified could leave."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from django.conf import settings

from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import queries as archive
from isocenter.apps.archive.models import Instance
from isocenter.apps.deid.services import ProjectDocument, change_project
from isocenter.apps.routing import artifacts, queries
from isocenter.apps.routing.delivery import send
from isocenter.apps.routing.execution import execute
from isocenter.apps.routing.models import (
    Artifact,
    DeliveryItem,
    Pipeline,
    QuarantineItem,
    Route,
    Run,
    RunStep,
)
from isocenter.apps.routing.rows import run_detail
from isocenter.apps.routing.run_page import live, step_detail
from isocenter.apps.routing.services import (
    remove,
    rerun,
    retry_delivery,
    retry_run,
    start,
)
from isocenter.core.errors import PipelineError

from .identified import (
    CONTOURS,
    DEIDENTIFY,
    DELIVER,
    PLAIN,
    arrived,
    held,
    ok,
    original_uids,
    survivors,
    with_comment,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_guard_searches_anew_what_is_to_leave(study, project, apply, go, again, folder_node):
    project()
    apply(steps=[DEIDENTIFY, {"step": "deliver", "with": {"nodes": ["out"]}}])
    run = ok(go(study[1]))
    run.deliveries.all().delete()
    item = artifacts.outputs_of(run).filter(kind="deidentified").first()
    with_comment(artifacts.absolute(item), "seen by Dr Quintanilla")
    item.digest = artifacts.file_digest(artifacts.absolute(item))
    item.size = artifacts.absolute(item).stat().st_size
    item.save()

    run = again(run, "deliver")

    held(run, "name at (0010,4000)")
    assert "Quintanilla" not in run.reason
    assert not arrived(folder_node)


KEEPS = "rules:\n  - {{name: as it is, tags: [{}], action: keep}}\n"


@pytest.mark.parametrize("keyword", ["PatientName", "PatientID"])
def test_no_rule_of_a_project_lets_the_patient_out(study, project, apply, go, keyword):
    project(rules=KEEPS.format(f"{keyword}, InstitutionName"))
    apply(steps=PLAIN, deidentified_only=True)

    run = go(study[1])

    held(run, f"site rule as it is lets {keyword} through")
    assert "Zimmermann" not in run.reason
    assert "778812" not in run.reason


def test_what_a_rule_keeps_is_told_and_is_in_no_other_object(
    study, project, apply, go, again, send_all, folder_node
):
    project(rules=KEEPS.format("InstitutionName, AccessionNumber"))
    contours = {"step": "contours", "with": {"formats": ["overlay"]}}
    apply(steps=[DEIDENTIFY, contours, DELIVER])
    run = ok(go(study[1]))
    count = len(study[0].files)
    told = run.steps.get(name="deidentify").message
    assert f"kept by rule: AccessionNumber ({count} times); InstitutionName ({count} times)" in told
    send_all(run)
    kept = [path for path in arrived(folder_node) if b"Oberland" in path.read_bytes()]
    overlays = artifacts.outputs_of(run).filter(kind="overlay").count()
    assert len(kept) == count + overlays, "what was made of it says the same"

    run.deliveries.all().delete()
    overlay = artifacts.outputs_of(run).filter(kind="overlay").first()
    ds = pydicom.dcmread(artifacts.absolute(overlay))
    ds.InstitutionName = "Klinikum Oberland, Haus 3"
    ds.save_as(artifacts.absolute(overlay))
    overlay.digest = artifacts.file_digest(artifacts.absolute(overlay))
    overlay.save()
    held(again(run, "deliver"), "institution at (0008,0080)")


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("json", b'{"roi": ["Zimmermann"]}'),
        ("json", b"plain words on HX-778812"),
        ("stl", b"Klaus Zimmermann".ljust(80) + bytes(4)),
        ("nifti", b"\x1f\x8bnonsense"),
    ],
)
def test_files_of_other_kinds_are_searched_too(
    study, project, apply, go, again, folder_node, kind, content
):
    project()
    contours = {"step": "contours", "with": {"formats": ["json", "stl", "nifti"]}}
    apply(steps=[DEIDENTIFY, contours, DELIVER])
    run = ok(go(study[1]))
    run.deliveries.all().delete()
    item = artifacts.outputs_of(run).filter(kind=kind).first()
    artifacts.absolute(item).write_bytes(content)
    Artifact.objects.filter(pk=item.pk).update(
        digest=artifacts.file_digest(artifacts.absolute(item))
    )

    held(again(run, "deliver"), "must not leave")


def test_a_file_whose_name_identifies_does_not_leave(study, project, apply, go, again):
    project()
    contours = {"step": "contours", "with": {"formats": ["json"]}}
    apply(steps=[DEIDENTIFY, contours, DELIVER])
    run = ok(go(study[1]))
    run.deliveries.all().delete()
    item = artifacts.outputs_of(run).filter(kind="json").first()
    named = artifacts.absolute(item).with_name("zimmermann_klaus.json")
    artifacts.absolute(item).rename(named)
    Artifact.objects.filter(pk=item.pk).update(path=str(named.relative_to(settings.LAYOUT.runs)))

    held(again(run, "deliver"), "name at file name")


def test_what_was_skipped_before_it_lets_nothing_out(project, apply, go, again, study, folder_node):
    project()
    skip = {"step": "select", "with": {"modalities": ["MR"], "on_missing": "skip"}}
    apply(steps=[skip, *PLAIN], condition="")
    run = ok(go(study[1]))
    assert run.steps.get(name="deidentify").state == RunStep.State.SKIPPED

    run = again(run, "deliver")

    assert "was not done" in run.reason
    assert not run.deliveries.exists()


# what may happen between the search of a file and its sending


def test_a_file_that_was_changed_since_is_not_sent(
    study, project, apply, go, send_all, folder_node
):
    project()
    apply(steps=PLAIN)
    run = ok(go(study[1]))
    item = artifacts.outputs_of(run).filter(kind="deidentified").first()
    with_comment(artifacts.absolute(item), "Mr Zimmermann")

    send_all(run)

    assert len(arrived(folder_node)) == len(study[0].files) - 1
    assert not survivors(arrived(folder_node), study[0])
    delivery = run.deliveries.get()
    assert delivery.state == "failed"
    assert "not what was searched" in delivery.reason
    retry_delivery(delivery)
    send(delivery.pk)
    assert delivery.items.get(state="refused").sop_uid == item.sop_uid


def test_an_original_put_into_a_delivery_is_not_sent(
    study, project, apply, go, send_all, folder_node
):
    project()
    apply(steps=PLAIN)
    run = ok(go(study[1]))
    original = Instance.objects.first()
    delivery = run.deliveries.get()
    DeliveryItem.objects.create(
        delivery=delivery,
        sop_uid=original.sop_uid,
        path=f"archive/{original.path}",
        digest=original.digest,
    )

    send_all(run)

    assert delivery.items.get(state="refused").sop_uid == original.sop_uid
    assert not survivors(arrived(folder_node), study[0])


def test_what_an_older_version_of_the_project_made_is_not_sent(
    study, project, apply, go, again, send_all, folder_node
):
    made = project()
    apply(steps=PLAIN)
    run = ok(go(study[1]))
    old = set(run.deliveries.get().items.values_list("path", flat=True))
    change_project("trial", ProjectDocument(dates="shift"), version=made.version, actor="t")
    retry_run(run.pk, from_step="deidentify")

    send_all(run)  # while the run waits
    assert not arrived(folder_node)
    execute(run.pk)
    ok(Run.objects.get(pk=run.pk))
    send_all(run)

    items = run.deliveries.get().items.all()
    assert {item.state for item in items if item.path in old} == {"superseded"}
    assert {item.state for item in items if item.path not in old} == {"sent"}
    assert len(arrived(folder_node)) == len(study[0].files)


def test_what_waited_while_the_run_did_it_again_is_sent_after_all(
    study, project, apply, go, again, send_all, folder_node
):
    project()
    apply(steps=PLAIN)
    run = ok(go(study[1]))
    retry_run(run.pk, from_step="deidentify")
    send_all(run)
    assert not arrived(folder_node)

    execute(run.pk)
    ok(Run.objects.get(pk=run.pk))
    send_all(run)

    assert len(arrived(folder_node)) == len(study[0].files)
    assert run.deliveries.get().state == "done"
    assert not QuarantineItem.objects.filter(state="held").exists()


def test_a_route_that_was_told_so_later_lets_nothing_identified_out(
    study, project, apply, go, send_all, folder_node
):
    project()
    apply(steps=[{"step": "deliver", "with": {"what": "originals"}}])
    run = ok(go(study[1]))
    Route.objects.update(deidentified_only=True)

    send_all(run)
    delivery = run.deliveries.get()
    assert delivery.state == "failed"
    assert "nothing identified may leave by the route overlay" in delivery.reason
    retry_delivery(delivery)
    send(delivery.pk)

    assert not arrived(folder_node)


def test_nor_by_a_run_that_was_waiting(study, project, apply, again, go, folder_node):
    project()
    apply(steps=[CONTOURS, DELIVER])
    run = ok(go(study[1]))
    run.deliveries.all().delete()
    Route.objects.update(deidentified_only=True)

    held(again(run, "deliver"), "nothing identified may leave")


ORIGINALS = [{"step": "deliver", "with": {"what": "originals"}}]


def test_the_removal_of_a_route_that_was_told_so_frees_nothing(
    study, project, apply, go, send_all, folder_node
):
    project()
    apply(steps=ORIGINALS)
    run = ok(go(study[1]))
    apply(steps=PLAIN, deidentified_only=True)
    remove("route", "overlay", actor="ann")

    send_all(run)
    delivery = run.deliveries.get()
    assert delivery.state == "failed"
    assert "nothing identified may leave by the route overlay" in delivery.reason
    retry_delivery(delivery)
    send(delivery.pk)
    assert not arrived(folder_node)

    run.deliveries.all().delete()
    retry_run(run.pk, from_step="deliver")
    execute(run.pk)
    held(Run.objects.get(pk=run.pk), "nothing identified may leave by the route overlay")


def test_a_run_started_anew_is_held_to_its_route_that_is_gone(study, project, apply, go):
    project()
    apply(steps=PLAIN, deidentified_only=True)
    run = ok(go(study[1]))
    assert Run.objects.get(pk=run.pk).deidentified_only
    remove("route", "overlay", actor="ann")
    Pipeline.objects.update(steps=ORIGINALS)

    with pytest.raises(PipelineError, match="nothing identified may leave"):
        rerun(run.pk)


def test_a_route_that_is_free_again_frees_its_runs(
    study, project, apply, go, send_all, folder_node
):
    project()
    apply(steps=ORIGINALS)
    run = ok(go(study[1]))
    apply(steps=PLAIN, deidentified_only=True)
    apply(steps=PLAIN)

    send_all(run)
    assert len(arrived(folder_node)) == len(study[0].files)


def test_return_to_sender_is_no_way_out(study, project, apply, go):
    project()
    apply(
        steps=[{"step": "deliver", "with": {"nodes": ["return-to-sender"]}}, DEIDENTIFY],
        enabled=False,
        deidentified_only=True,
    )
    with pytest.raises(PipelineError, match="before everything that it delivers"):
        start(study[0].study_uid, route_name="overlay")


def test_who_a_pseudonym_is_cannot_be_read_off_a_run(study, project, apply, go):
    project()
    apply(steps=[DEIDENTIFY, CONTOURS, DELIVER])
    run = ok(go(study[1]))
    made = list(artifacts.outputs_of(run))
    known = {value for item in made for value in (item.sop_uid, item.series_uid, item.digest)}
    known |= {str(pydicom.dcmread(artifacts.absolute(made[0])).StudyInstanceUID)}
    known.discard("")

    shown = [
        run_detail(run, links=False),
        *(step_detail(step) for step in run.steps.all()),
        live(run),
        *(Path(path).read_text() for path in Run.objects.get(pk=run.pk).reports),
    ]

    for text in map(repr, shown):
        assert not [value for value in known if value in text]
    objects = [item for item in made if item.kind == "deidentified"]
    output = archive.output(study[0].study_uid, objects[0].pk)
    assert output.rights == (Right.DOWNLOAD, Right.REIDENTIFY)
    assert objects[0].sop_uid in repr(run_detail(run)), "who may look them up sees them"


def test_deidentified_copies_with_their_old_uids_do_not_make_originals_ours(
    study, project, apply, go
):
    project(options=("retain-uids",))
    apply(steps=PLAIN)
    stored, revision = study
    run = ok(go(revision))
    made = set(artifacts.outputs_of(run).exclude(sop_uid="").values_list("sop_uid", flat=True))

    assert made <= {uid.decode() for uid in original_uids(stored)}
    assert not queries.is_artifact(made)
