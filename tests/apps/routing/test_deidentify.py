"""Step ``deidentify``, and what may leave after it."""

from __future__ import annotations

import json
import shutil

import pydicom
import pytest
from django.conf import settings

from isocenter.apps.archive.models import Instance
from isocenter.apps.deid.models import Project
from isocenter.apps.deid.services import (
    ProjectDocument,
    change_project,
    create_project,
    delete_project,
    order_for,
    read_file,
)
from isocenter.apps.routing import artifacts, queries
from isocenter.apps.routing.documents import read_yaml, write_yaml
from isocenter.apps.routing.execution import execute
from isocenter.apps.routing.models import (
    Artifact,
    Pipeline,
    RunStep,
)
from isocenter.apps.routing.netrt import NODE, translate
from isocenter.apps.routing.services import (
    apply_yaml,
    drop_outputs,
    start,
    start_run,
)
from isocenter.core.deid.pseudonyms.secrets import PatientKey
from isocenter.core.isolation import run_isolated

from .identified import (
    CONTOURS,
    DEIDENTIFY,
    DELIVER,
    PLAIN,
    arrived,
    held,
    identified_study,
    ok,
    outputs,
    survivors,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_is_delivered_names_nobody(study, project, apply, go, send_all, folder_node):
    project()
    apply(steps=PLAIN)
    stored, revision = study

    run = ok(go(revision))
    send_all(run)

    files = arrived(folder_node)
    assert len(files) == len(stored.files), "and no report"
    assert not survivors(files, stored)
    assert {pydicom.dcmread(path).PatientIdentityRemoved for path in files} == {"YES"}
    assert not Instance.objects.filter(is_derived=True).exists(), "not beside the study"
    assert "identifiers" in run.steps.get(name="deliver").message


def test_the_report_stays_in_the_house_until_it_is_asked_for(
    study, project, apply, go, send_all, folder_node
):
    project()
    apply(steps=[DEIDENTIFY, {"step": "deliver", "with": {"kinds": ["report"]}}])
    run = ok(go(study[1]))
    send_all(run)

    files = arrived(folder_node)
    assert {path.name for path in files} == {"report.json", "report.html", "actions.jsonl"}
    assert not survivors(files, study[0])


@pytest.mark.parametrize("dates", ["remove", "shift", "keep"])
def test_steps_after_it_see_what_it_left(study, project, apply, go, send_all, folder_node, dates):
    project(dates=dates)
    steps = [
        DEIDENTIFY,
        {"step": "select", "with": {"referenced_by": "RTSTRUCT"}},
        {"step": "contours", "with": {"formats": ["overlay", "seg", "nifti", "nrrd", "stl",
                                                   "json", "preview"]}},
        {"step": "burn_in"},
        DELIVER,
    ]  # fmt: skip
    apply(steps=steps)
    stored, revision = study
    run = ok(go(revision))
    send_all(run)

    files = arrived(folder_node)
    kinds = {path.suffix for path in files}
    assert kinds >= {".dcm", ".gz", ".nrrd", ".stl", ".json", ".png"}
    left = survivors(files, stored)
    assert {word for _, word in left} <= ({b"20240229"} if dates == "keep" else set())
    overlays = list(artifacts.outputs_of(run).filter(kind="overlay"))
    ds = pydicom.dcmread(artifacts.absolute(overlays[0]))
    alias = order_for("trial").pseudonyms.alias_for(PatientKey("", "HX-778812"), {})
    assert ds.PatientID == alias.patient_id
    today = f"{run.created_at:%Y%m%d}"
    assert (ds.ContentDate == today) == (dates == "keep")
    assert len(files) == artifacts.outputs_of(run).exclude(kind="report").count()
    assert not Instance.objects.filter(is_derived=True).exists()


def test_what_earlier_steps_made_is_deidentified_or_stays(
    study, project, apply, go, send_all, folder_node
):
    project()
    contours = {"step": "contours", "with": {"formats": ["overlay", "json"]}}
    everything = {"step": "deliver", "with": {"kinds": ["overlay", "json"], "what": "all"}}
    apply(steps=[contours, {"step": "burn_in"}, DEIDENTIFY, everything])
    stored, revision = study
    run = ok(go(revision))
    send_all(run)

    files = arrived(folder_node)
    assert len(files) == len(stored.phantom.images), "overlays alone"
    assert not survivors(files, stored)
    assert "other kinds" in run.steps.get(name="deidentify").message
    assert {item.domain == "" for item in artifacts.outputs_of(run).filter(kind="json")} == {True}


def test_a_study_in_which_something_is_found_is_held(project, apply, go, tmp_path, folder_node):
    project(private_keep=({"creator": "ACME", "group": 0x0019, "element": 0x10},))

    def plant(ds):
        block = ds.private_block(0x0019, "ACME", create=True)
        block.add_new(0x10, "UN", b"acquired by Quintanilla, for Zimmermann")

    stored = identified_study(tmp_path / "planted", change=plant)
    apply(steps=PLAIN)

    run = go(stored.take(*stored.files))

    held(run, "the verifier found what identifies: name at (0019,1010)")
    assert "Zimmermann" not in run.reason
    assert not arrived(folder_node)
    assert not Artifact.objects.filter(run=run).exists()
    left = [path for path in arrived(settings.LAYOUT.runs) if path.suffix == ".dcm"]
    assert not left, "what was held is not kept twice"


def test_the_same_project_and_study_make_the_same(study, project, apply, go):
    project()
    apply(steps=[DEIDENTIFY, CONTOURS, DELIVER])
    first = ok(go(study[1]))

    second = start_run(study[1], first.pipeline, route=first.route)
    execute(second.pk)
    second.refresh_from_db()

    ok(second)
    assert outputs(second) == outputs(first)
    assert not Artifact.objects.filter(run=second).exists()
    assert "as an earlier run" in second.steps.get(name="deidentify").message


def test_a_changed_project_makes_all_anew(study, project, apply, go):
    made = project()
    apply(steps=[DEIDENTIFY, CONTOURS, DELIVER])
    first = ok(go(study[1]))
    change_project("trial", ProjectDocument(), description="new", version=made.version, actor="t")

    second = start_run(study[1], first.pipeline, route=first.route)
    execute(second.pk)
    second.refresh_from_db()

    ok(second)
    assert not outputs(second) & outputs(first)
    assert {item.state for item in Artifact.objects.filter(pk__in=outputs(first))} == {"superseded"}


def test_another_project_of_the_same_name_makes_all_anew(study, project, apply, go):
    project()
    apply(steps=[DEIDENTIFY, CONTOURS, DELIVER])
    first = ok(go(study[1]))
    uids = set(artifacts.outputs_of(first).values_list("sop_uid", flat=True)) - {""}
    Project.objects.all().delete()
    project()

    second = start_run(study[1], first.pipeline, route=first.route)
    execute(second.pk)
    second.refresh_from_db()

    ok(second)
    assert not outputs(second) & outputs(first)
    assert not uids & set(artifacts.outputs_of(second).values_list("sop_uid", flat=True))


def test_a_retry_gives_the_same_bytes(study, project, apply, go, again):
    project(dates="shift")
    apply(steps=PLAIN)
    run = ok(go(study[1]))
    before = {
        item.sop_uid: item.digest for item in artifacts.outputs_of(run).filter(kind="deidentified")
    }
    shutil.rmtree(settings.LAYOUT.runs / str(run.pk))
    drop_outputs(run)

    ok(again(run, "deidentify"))

    after = artifacts.outputs_of(run).filter(kind="deidentified")
    assert {item.sop_uid: item.digest for item in after} == before


def test_dropped_outputs_are_not_sent_as_if_they_were_there(study, project, apply, go, again):
    project()
    apply(steps=PLAIN)
    run = ok(go(study[1]))
    run.deliveries.all().delete()
    shutil.rmtree(settings.LAYOUT.runs / str(run.pk))
    drop_outputs(run)

    run = again(run, "deliver")

    assert "is gone" in run.reason
    assert not run.deliveries.exists()


def test_a_project_that_changed_meanwhile_wants_it_done_again(
    study, project, apply, go, again, folder_node
):
    made = project()
    apply(steps=PLAIN)
    run = ok(go(study[1]))
    run.deliveries.all().delete()
    change_project("trial", ProjectDocument(dates="shift"), version=made.version, actor="t")

    held(again(run, "deliver"), "was changed since this run de-identified")
    ok(again(run, "deidentify"))
    assert run.deliveries.count() == 1


def test_a_project_that_is_gone_fails_the_run(study, project, apply, go, folder_node):
    project()
    apply(steps=PLAIN)
    Project.objects.all().delete()

    held(go(study[1]), "there is no project 'trial'")


def test_a_project_that_a_pipeline_names_cannot_be_removed(project, apply):
    project()
    apply(steps=PLAIN)
    with pytest.raises(Exception, match="overlay"):
        delete_project("trial", actor="t")


def test_two_patients_in_one_study_are_refused(project, apply, go, tmp_path):
    project()
    apply(steps=PLAIN)
    seen = []

    def another(ds):
        seen.append(ds)
        if len(seen) == 1:
            ds.PatientID = "SOMEBODY-ELSE-1"

    stored = identified_study(tmp_path / "mixed", change=another)

    held(go(stored.take(*stored.files)), "different patients")


def test_an_object_that_must_not_leave_holds_its_study_or_is_left_out(
    project, apply, go, tmp_path, again
):
    project(faces="refuse")

    def head(ds):
        if ds.Modality == "CT":
            ds.BodyPartExamined = "HEAD"

    stored = identified_study(tmp_path / "head", change=head)
    apply(steps=PLAIN)
    revision = stored.take(*stored.files)

    held(go(revision), "an object of it was refused: an image of a head")
    apply(
        steps=[{"step": "deidentify", "with": {"project": "trial", "on_refused": "skip"}}, DELIVER]
    )
    run = start(stored.study_uid, route_name="overlay")
    execute(run.pk)
    run.refresh_from_db()
    ok(run)
    assert artifacts.outputs_of(run).filter(kind="deidentified").count() == 1
    assert "5 left out: an image of a head" in run.steps.get(name="deidentify").message


def test_the_secret_is_in_no_row_and_no_file(study, project, apply, go, monkeypatch):
    project(dates="shift")
    apply(steps=[DEIDENTIFY, CONTOURS, DELIVER])
    asked = []

    def spy(target, request, **more):
        asked.append(json.dumps(request))
        return run_isolated(target, request, **more)

    monkeypatch.setattr("isocenter.apps.routing.step_execution.run_isolated", spy)
    run = ok(go(study[1]))

    key = order_for("trial").secret.key
    secrets = [key, key.hex().encode()]
    rows = json.dumps([
        run.definition, run.reason,
        *RunStep.objects.values_list("parameters", "result", "inputs", "message"),
        *Artifact.objects.values_list("determinant", "domain", "role", "path"),
    ])  # fmt: skip
    texts = [rows.encode(), *(text.encode() for text in asked)]
    texts += [path.read_bytes() for path in arrived(settings.LAYOUT.runs)]
    assert len(asked) == 3
    assert not [text for text in texts for secret in secrets if secret in text]
    assert not [text for text in asked if "Zimmermann" in text or "HX-778812" in text]


def test_what_netrt_did_with_anonymisation_on(study, go, send_all, folder_node):
    text = """
dicom_destination: {ip: 127.0.0.1, port: 104, ae_title: PACS}
anonymization: {enabled: true, site_code: CH, rules: {remove_tags: [PatientSex]}}
"""
    result = translate(read_yaml(text), text=text)
    document, _ = read_file(write_yaml(result.project))
    create_project("netrt", document, actor="test")
    nodes = [{"name": NODE, "kind": "folder", "folder": str(folder_node)}]
    apply_yaml(write_yaml(result.routes | {"nodes": nodes}))

    run = ok(go(study[1]))
    send_all(run)

    files = arrived(folder_node)
    assert len(files) == len(study[0].phantom.images)
    assert not survivors(files, study[0])
    objects = [pydicom.dcmread(path) for path in files]
    assert {ds.get("PatientSex", "") for ds in objects} == {""}
    assert {ds.PatientID[:8] for ds in objects} == {"CH_0001_"}
    assert all(ds.SeriesDescription.startswith("RESEARCH ONLY") for ds in objects)
    drawn = {roi["name"] for pair in run.steps.get(name="contours").result["data"]["pairs"]
             for roi in pair["rois"]}  # fmt: skip
    assert {"Brain", "GTV"} <= drawn
    assert "Skull" not in drawn, "what is not to be drawn is still known by its name"
    assert any(ds.overlay_array(0x6000).any() for ds in objects)


def test_a_late_instance_makes_the_study_anew(project, apply, go, tmp_path):
    project()
    apply(steps=PLAIN)
    stored = identified_study(tmp_path / "late")
    first = ok(go(stored.take(*stored.files[1:])))

    second = ok(go(stored.take(stored.files[0])))

    new = artifacts.outputs_of(second).filter(kind="deidentified")
    assert len(new) == len(stored.files)
    assert {item.state for item in Artifact.objects.filter(run=first)} == {"superseded"}
    old = dict(first.artifacts.filter(kind="deidentified").values_list("sop_uid", "digest"))
    assert old.items() <= dict(new.values_list("sop_uid", "digest")).items(), "the same bytes"


def test_pipelines_name_their_projects(project, apply):
    project()
    apply(steps=PLAIN)
    assert Pipeline.objects.get(name="overlay").steps[0]["with"] == {"project": "trial"}
    assert queries.pipelines_with("deidentify", project="trial") == ["overlay"]
