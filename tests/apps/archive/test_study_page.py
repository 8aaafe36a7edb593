"""The study page: what it shows to whom, what can be done there, what changes by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from isocenter.apps.accounts.models import User
from isocenter.apps.archive import jobs, thumbnails
from isocenter.apps.archive.models import Series, Study
from isocenter.apps.archive.services import force_complete, protect
from isocenter.apps.archive.thumbnail_rendering import render
from isocenter.apps.audit import services as audit
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.models import Event
from isocenter.apps.routing.models import (
    Artifact,
    Delivery,
    DeliveryItem,
    Pipeline,
    Route,
    Run,
    RunStep,
)
from isocenter.runtime.layout import Layout

from .conftest import MARK, SERIES, STUDY, Intake, after, image, structure_set, the_study

Look = Callable[[str], Client]
PAGE = f"/studies/{STUDY}/"


@pytest.fixture
def as_role(db: None) -> Look:
    """A browser in which somebody of a role is signed in."""

    def make(role: str) -> Client:
        user, _ = User.objects.get_or_create(username=f"a-{role}", defaults={"role": role})
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def study(intake: Intake) -> Study:
    """A complete study of three slices."""
    intake.take(image(1), image(2), image(3))
    jobs.tick(after(the_study(), 61))
    return the_study()


@pytest.fixture
def run(study: Study) -> Run:
    """A run of it that is at work."""
    pipeline = Pipeline.objects.create(name="overlay", steps=[{"step": "preview", "with": {}}])
    made = Run.objects.create(
        pipeline=pipeline,
        pipeline_name="overlay",
        route_name="to-pacs",
        definition={},
        study=study,
        revision=study.revisions.get(),
        state="running",
        started_at=timezone.now(),
    )
    RunStep.objects.create(
        run=made, index=0, name="preview", state="running", progress=0.5, message="slice 7"
    )
    return made


def artifact(run: Run, layout: Layout, name: str, content: bytes = b"x", **more: Any) -> Artifact:
    path = layout.runs / str(run.pk) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    values = {"kind": "nifti", "role": "GTV mask", **more}
    return Artifact.objects.create(
        run=run,
        step=run.steps.get(),
        study=run.study,
        determinant="d",
        path=f"{run.pk}/{name}",
        size=len(content),
        digest="e" * 64,
        **values,
    )


def body(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def live(client: Client, page: str) -> Any:
    """Asks as the page does: with the digests that it has."""
    have = re.findall(r'name="have" value="([^"]+)"', page)
    assert len(have) == 6
    (seen,) = re.findall(r'name="seen" value="([^"]+)"', page)
    return client.get(PAGE, {"part": "live", "have": have, "seen": seen})


def test_a_complete_study(study: Study, as_role: Look) -> None:
    page = body(as_role("physician").get(PAGE))
    assert MARK in page
    assert "Revision 1" in page
    assert "3 instances" in page
    assert "SCANNER" in page
    assert "Complete now" not in page
    assert "Delete study" not in page
    assert Event.objects.filter(kind="STUDY_VIEWED", actor="a-physician").count() == 1


def test_who_looked_is_told_to_those_who_may_see_events(study: Study, as_role: Look) -> None:
    as_role("physician").get(PAGE)
    assert "a-physician" in body(as_role("staff").get(PAGE))
    for role in ("physician", "student"):
        page = body(as_role(role).get(PAGE))
        assert "Events</h2>" not in page
        assert "Study viewed" not in page


@pytest.mark.parametrize("role", ["researcher", "student"])
def test_identity_is_hidden_from_those_who_may_not_know_it(
    study: Study, as_role: Look, role: str
) -> None:
    client = as_role(role)
    page = body(client.get(PAGE))
    assert MARK not in page
    assert "hidden" in page
    assert MARK not in body(client.get(PAGE, {"part": "live"}))


def test_what_one_may_not_do_is_not_offered(study: Study, as_role: Look) -> None:
    student = body(as_role("student").get(PAGE))
    for word in ("Import more", "Download", "run-form", "Delete study", "<form"):
        assert word not in student.split("<main")[1].split("</main>")[0]
    administrator = body(as_role("administrator").get(PAGE))
    for word in ("Import more", "Download", "run-form", "Delete study", "Protect"):
        assert word in administrator


def test_nobody_is_sent_to_sign_in(study: Study) -> None:
    assert Client().get(PAGE).status_code == 302


def test_a_study_that_is_not_here(as_role: Look) -> None:
    assert as_role("staff").get("/studies/1.2.3/").status_code == 404


def test_a_page_whose_study_is_deleted_goes_to_the_worklist(as_role: Look) -> None:
    answer = as_role("staff").get("/studies/1.2.3/", {"part": "live"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/")


def test_an_address_for_uids_that_are_none(intake: Intake, as_role: Look) -> None:
    intake.take(image(1))
    for uid in ("a/b %2F?é", "..", "?", "%", "a b"):
        Study.objects.update(study_uid=uid)
        page = body(as_role("staff").get(reverse("study", args=[uid])))
        assert f"/studies/{STUDY}" not in page


def test_states_say_what_they_wait_for(intake: Intake, as_role: Look) -> None:
    client = as_role("staff")
    intake.take(structure_set())
    page = body(client.get(PAGE))
    assert "Instances are still coming in" in page
    jobs.tick(after(the_study(), 61))
    page = body(client.get(PAGE))
    assert "something is missing" in page
    assert f"Series {SERIES} named by RTSTRUCT" in page
    assert "Complete now" in page
    Study.objects.update(state="held")
    assert "It waited too long" in body(client.get(PAGE))
    Study.objects.update(revision=2, complete_revision=2)
    page = body(client.get(PAGE))
    assert "Revision 2 is complete, but a route waited too long for more." in page
    assert "It waited too long" not in page


def test_flags_and_warnings_are_explained(study: Study, as_role: Look) -> None:
    study.flags = [{"code": "two-patients", "text": "instances name different patients"}]
    study.warnings = ["RTSTRUCT 1.2 names 3 instances that are not here"]
    study.save()
    page = body(as_role("staff").get(PAGE))
    assert "Instances name different patients." in page
    assert "Ask the sender which patient is right" in page
    assert "names 3 instances" in page


def test_whether_a_guess_of_the_patient_is_right_cannot_be_read_from_a_flag(
    study: Study, as_role: Look
) -> None:
    study.flags = [
        {"code": "two-patients", "text": "instances name different patients"},
        {"code": "long-value", "text": "study_id is longer"},
    ]
    study.save()
    client = as_role("researcher")
    for page in (body(client.get(PAGE)), body(client.get(PAGE, {"part": "live"}))):
        assert "different patients" not in page
        assert "which patient is right" not in page
        assert "Study_id is longer" in page


def test_a_forced_revision_says_what_was_missing(study: Study, as_role: Look) -> None:
    study.revisions.update(reason="forced", missing=["10 instances at least (3 here)"])
    page = body(as_role("staff").get(PAGE))
    assert "the time to wait was over" in page
    assert "Without: 10 instances at least" in page


def test_200_series_are_lazy_and_can_be_filtered(study: Study, as_role: Look) -> None:
    Series.objects.bulk_create(
        Series(
            study=study,
            series_uid=f"9.{n}",
            modality="MR",
            series_number=n,
            series_description=f"t{n} <b>قلب</b>",
            instance_count=1,
        )
        for n in range(200)
    )
    client = as_role("staff")
    page = body(client.get(PAGE))
    assert page.count('class="series-card"') == 201
    assert 'id="series-filter"' in page
    assert "<b>قلب" not in page
    assert live(client, page).status_code == 204


def test_asking_for_parts_costs_few_questions(
    run: Run, as_role: Look, django_assert_max_num_queries: Any
) -> None:
    client = as_role("staff")
    page = body(client.get(PAGE))
    with django_assert_max_num_queries(30):
        assert client.get(PAGE, {"part": "live"}).status_code == 200
    with django_assert_max_num_queries(14):  # session, person, study; then the stamp
        assert live(client, page).status_code == 204


def test_an_open_page_notices_whatever_changes(run: Run, intake: Intake, as_role: Look) -> None:
    """Each of these alone; a stamp that stays would hide it."""
    client = as_role("staff")
    delivery = Delivery.objects.create(run=run, study=run.study, node_name="pacs", state="sending")
    items = [
        DeliveryItem.objects.create(delivery=delivery, path=str(n), digest="d") for n in range(2)
    ]
    made = artifact(run, intake.layout, "a.nii.gz", kind="nifti")
    step = run.steps.get()

    def received() -> None:
        intake.take(image(9))

    changes: list[tuple[str, Callable[[], Any]]] = [
        ("state", lambda: Study.objects.update(waiting_for=["a structure set"])),
        ("state", lambda: protect(STUDY, True, actor="a-staff")),
        ("series", received),
        ("series", lambda: render(STUDY)),
        ("runs", lambda: RunStep.objects.filter(pk=step.pk).update(message="slice 99")),
        ("runs", lambda: Run.objects.update(state="done", finished_at=timezone.now())),
        ("outputs", lambda: Artifact.objects.filter(pk=made.pk).update(state="superseded")),
        ("outputs", lambda: artifact(run, intake.layout, "b.nii.gz", kind="nifti")),
        ("outputs", lambda: Run.objects.update(reports=["r.html"])),
        ("deliveries", lambda: DeliveryItem.objects.filter(pk=items[0].pk).update(state="sent")),
        ("deliveries", lambda: Delivery.objects.update(state="done", finished_at=timezone.now())),
        ("events", lambda: audit.record(Kind.STUDY_COMPLETE, study_uid=STUDY)),
    ]
    for part, change in changes:
        page = body(client.get(PAGE))
        change()
        assert f'id="part-{part}"' in body(live(client, page)), part


def test_what_an_open_page_gets_makes_the_next_question_cheap(run: Run, as_role: Look) -> None:
    client = as_role("staff")
    page = body(client.get(PAGE))
    RunStep.objects.update(message="slice 12")
    changed = body(live(client, page))
    seen = re.findall(r'id="seen" name="seen" value="([^"]+)"', changed)
    assert client.get(PAGE, {"part": "live", "seen": seen}).status_code == 204


def test_only_what_changed_comes_again(run: Run, as_role: Look) -> None:
    client = as_role("staff")
    page = body(client.get(PAGE))
    assert live(client, page).status_code == 204
    assert Event.objects.filter(kind="STUDY_VIEWED").count() == 1
    RunStep.objects.update(progress=0.9, message="slice 12")
    changed = body(live(client, page))
    assert re.findall(r'id="part-(\w+)"', changed) == ["runs"]
    assert 'hx-swap-oob="outerHTML"' in changed
    assert "slice 12" in changed


def test_runs_are_told_with_their_step(run: Run, as_role: Look) -> None:
    page = body(as_role("staff").get(PAGE))
    assert f"/runs/{run.pk}/" in page
    assert 'value="50"' in page
    assert "slice 7" in page
    Run.objects.update(state="failed", reason="the structure set names no series")
    assert "the structure set names no series" in body(as_role("staff").get(PAGE))


def test_a_derived_series_names_its_run(run: Run, intake: Intake, as_role: Look) -> None:
    Series.objects.create(
        study=run.study, series_uid="9.9", modality="CT", is_derived=True, instance_count=1
    )
    artifact(run, intake.layout, "o.dcm", kind="overlay", series_uid="9.9", sop_uid="9.9.1")
    page = body(as_role("staff").get(PAGE))
    assert re.search(rf'href="/runs/{run.pk}/" title="Made by a run of overlay"', page)


def test_outputs_are_for_those_who_may_have_them(run: Run, intake: Intake, as_role: Look) -> None:
    mask = artifact(run, intake.layout, "mask.nii.gz", b"mask")
    dicom = artifact(run, intake.layout, "o.dcm", b"dicom", sop_uid="1.9", series_uid="1")
    picture = artifact(run, intake.layout, "montage.png", b"png", kind="preview", role="Montage")
    old = artifact(run, intake.layout, "old.png", b"p", kind="preview", state="superseded")

    def status(role: str, made: Artifact) -> int:
        url = reverse("study-output", args=[STUDY, made.pk])
        return int(as_role(role).get(url).status_code)

    assert [status("student", made) for made in (mask, dicom, picture)] == [403, 403, 200]
    assert [status("researcher", made) for made in (mask, dicom, picture)] == [200, 403, 200]
    assert [status("physician", made) for made in (mask, dicom, picture)] == [200, 200, 200]
    page = body(as_role("physician").get(PAGE))
    assert reverse("study-output", args=[STUDY, picture.pk]) in page
    assert "1 older output" in page
    previews = body(as_role("student").get(reverse("study-previews", args=[STUDY, run.pk])))
    assert previews.count("<figure") == 1
    assert old.pk
    got = as_role("physician").get(reverse("study-output", args=[STUDY, mask.pk]))
    assert b"".join(got.streaming_content) == b"mask"
    assert "attachment" in got.headers["Content-Disposition"]


def test_an_output_of_another_study_is_not_found(run: Run, intake: Intake, as_role: Look) -> None:
    made = artifact(run, intake.layout, "m.nii")
    url = reverse("study-output", args=["1.2.3", made.pk])
    assert as_role("administrator").get(url).status_code == 404


def test_reports(run: Run, intake: Intake, as_role: Look) -> None:
    report = intake.layout.reports / "report.html"
    report.write_text("<style>p{}</style><p>well")
    Run.objects.update(reports=[str(report)])
    url = reverse("study-report", args=[STUDY, run.pk, "html"])
    client = as_role("student")
    assert url in body(client.get(PAGE))
    answer = client.get(url)
    assert answer.content == report.read_bytes()
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert client.get(url.replace(".html", ".json")).status_code == 404
    assert client.get(url.replace(".html", ".py")).status_code == 404


def test_deliveries_say_why_and_can_be_tried_again(run: Run, as_role: Look) -> None:
    delivery = Delivery.objects.create(
        run=run,
        study=run.study,
        node_name="pacs",
        target={"node": "pacs"},
        state="failed",
        attempts=8,
        reason="connection refused",
    )
    DeliveryItem.objects.create(delivery=delivery, path="a", digest="d", state="sent")
    DeliveryItem.objects.create(delivery=delivery, path="b", digest="d", state="pending")
    page = body(as_role("student").get(PAGE))
    assert "connection refused" in page
    assert "1 of 2" in page
    assert "Retry" not in page
    client = as_role("staff")
    assert "Retry" in body(client.get(PAGE))
    url = reverse("study-delivery-retry", args=[STUDY, delivery.pk])
    assert client.post(url).status_code == 302
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("queued", 0)
    assert Event.objects.filter(kind="SENDING_RETRY", actor="a-staff").exists()
    assert "is queued" in body(client.post(url, follow=True))


def test_completing_by_hand(intake: Intake, as_role: Look) -> None:
    intake.take(image(1))
    client = as_role("staff")
    page = body(client.post(reverse("study-complete", args=[STUDY]), follow=True))
    assert "revision 1" in page
    assert the_study().state == "complete"


def test_starting_a_route_or_a_pipeline(study: Study, as_role: Look) -> None:
    pipeline = Pipeline.objects.create(name="copy", steps=[{"step": "deliver", "with": {}}])
    Route.objects.create(name="night", pipeline=pipeline, destinations=["pacs"], enabled=False)
    client = as_role("staff")
    assert "night: copy → pacs (disabled)" in body(client.get(PAGE))
    url = reverse("study-run", args=[STUDY])
    refused = body(as_role("physician").post(url, {"what": "route:night"}, follow=True))
    assert "may not send identified studies to pacs" in refused
    for what in ("route:night", "pipeline:copy"):
        assert "is queued" in body(client.post(url, {"what": what}, follow=True))
    assert [run.route_name for run in Run.objects.order_by("created_at")] == ["night", ""]
    assert {run.actor for run in Run.objects.all()} == {"a-staff"}
    assert "Choose a route" in body(client.post(url, {"what": "route:x"}, follow=True))
    assert as_role("student").post(url, {"what": "pipeline:copy"}).status_code == 403


def test_a_study_without_a_revision_cannot_be_run(intake: Intake, as_role: Look) -> None:
    intake.take(image(1))
    Pipeline.objects.create(name="copy", steps=[])
    client = as_role("staff")
    assert "has no revision yet" in body(client.get(PAGE))
    answer = client.post(reverse("study-run", args=[STUDY]), {"what": "pipeline:copy"}, follow=True)
    assert "is not complete yet" in body(answer)


def test_protecting_and_deleting(study: Study, as_role: Look) -> None:
    client = as_role("administrator")
    delete, guard = (reverse(f"study-{what}", args=[STUDY]) for what in ("delete", "protect"))
    assert as_role("staff").post(delete).status_code == 403
    client.post(guard, {"on": "1"})
    assert "protected" in body(client.get(PAGE))
    assert "is protected" in body(client.post(delete, follow=True))
    client.post(guard, {"on": "0"})
    render(STUDY)
    assert "The study is deleted" in body(client.post(delete, follow=True))
    assert not Study.objects.exists()
    assert client.get(delete).status_code == 405


def test_a_thumbnail_is_served_once(study: Study, as_role: Look) -> None:
    client = as_role("student")
    url = reverse("series-thumbnail", args=[STUDY, SERIES])
    assert client.get(url).status_code == 404
    assert "soon" in body(client.get(PAGE))
    render(STUDY)
    assert "soon" not in body(client.get(PAGE))
    answer = client.get(url)
    assert answer.content.startswith(b"\x89PNG")
    assert "private" in answer.headers["Cache-Control"]
    again = client.get(url, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert client.get(reverse("series-thumbnail", args=[STUDY, "1.2"])).status_code == 404


def test_a_thumbnail_with_identity_is_hidden(intake: Intake, as_role: Look) -> None:
    intake.take(image(1, Modality="US"))
    render(STUDY)
    url = reverse("series-thumbnail", args=[STUDY, SERIES])
    assert as_role("student").get(url).status_code == 403
    assert as_role("staff").get(url).status_code == 200
    assert "may name the patient" in body(as_role("student").get(PAGE))


def test_opening_the_page_asks_for_what_lacks(study: Study, as_role: Look) -> None:
    ProcrastinateJob.objects.all().delete()
    assert thumbnails.is_lacking(study)
    as_role("student").get(PAGE)
    jobs_ = ProcrastinateJob.objects.filter(task_name="archive.render_thumbnails")
    assert jobs_.count() == 1


def test_long_and_foreign_names(intake: Intake, as_role: Look) -> None:
    intake.take(image(1))
    name = "قباني^لنزار" * 20
    Study.objects.update(patient_name=name, study_description="山" * 60)
    force_complete(STUDY)
    protect(STUDY, True, actor="anna")
    Study.objects.update(first_received_at=timezone.now() - timedelta(days=400))
    page = body(as_role("physician").get(PAGE))
    assert "قباني" in page
    assert 'dir="auto"' in page
    assert Path(PAGE).name in page
