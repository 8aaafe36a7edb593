"""The list of runs and the page of a run."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from isocenter.apps.audit.models import Event
from isocenter.apps.routing import keyset
from isocenter.apps.routing.models import (
    Delivery,
    DeliveryItem,
    QuarantineItem,
    Route,
    Run,
    RunStep,
)
from isocenter.apps.routing.services import evaluate
from signed_in import browser, text_of

pytestmark = pytest.mark.django_db(transaction=True)


def make_run(revision, *, state="queued", minutes=0, pipeline="overlay", **values):
    """A run with two steps, as rows."""
    run = Run.objects.create(
        pipeline_name=pipeline,
        definition={"steps": [], "destinations": []},
        study=revision.study,
        revision=revision,
        state=state,
        **values,
    )
    for index, name in enumerate(("contours", "deliver"), start=1):
        RunStep.objects.create(run=run, index=index, name=name)
    at = timezone.now() - timedelta(minutes=minutes)
    Run.objects.filter(pk=run.pk).update(created_at=at)
    run.refresh_from_db()
    return run


def test_an_empty_list_says_what_starts_a_run():
    page = text_of(browser().get("/runs/"))
    assert "No runs yet" in page
    assert "/routes/" in page


def test_runs_are_filtered_by_state_pipeline_route_node_and_time(stored):
    _, revision = stored()
    new = make_run(revision, state="failed", reason="the study has no MR", route_name="mr")
    old = make_run(revision, state="done", minutes=3 * 24 * 60, pipeline="copy")
    Delivery.objects.create(run=old, study=revision.study, node_name="pacs")
    client = browser()

    def shown(**query):
        page = text_of(client.get("/runs/", query))
        return {run for run in (new, old) if f"/runs/{run.pk}/" in page}

    assert shown() == {new, old}
    assert shown(state="failed") == {new}
    assert shown(state=["failed", "done"]) == {new, old}
    assert shown(pipeline="copy") == {old}
    assert shown(route="mr") == {new}
    assert shown(node="pacs") == {old}
    yesterday = (timezone.now() - timedelta(days=1)).date().isoformat()
    assert shown(since=yesterday) == {new}
    assert shown(until=yesterday) == {old}
    assert shown(study="1.2.3") == set()
    assert "No run matches" in text_of(client.get("/runs/", {"study": "1.2.3"}))
    assert "the study has no MR" in text_of(client.get("/runs/"))


def test_pages_of_runs_are_whole_both_ways(stored):
    _, revision = stored()
    for minutes in range(7):
        make_run(revision, minutes=minutes // 2)  # some at nearly the same time
    everything = list(Run.objects.order_by("-created_at", "-pk"))
    first = keyset.newest_first(Run.objects.all(), "created_at", size=3)
    second = keyset.newest_first(Run.objects.all(), "created_at", first.older, size=3)
    third = keyset.newest_first(Run.objects.all(), "created_at", second.older, size=3)
    assert [*first.rows, *second.rows, *third.rows] == everything
    assert (first.newer, third.older) == ("", "")
    back = keyset.newest_first(Run.objects.all(), "created_at", third.newer, size=3)
    assert back.rows == second.rows
    assert back.newer
    again = keyset.newest_first(Run.objects.all(), "created_at", back.newer, size=3)
    assert (again.rows, again.newer) == (first.rows, "")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "o",
        "o1",
        "o1.x",
        "o99999999999999999999.x",
        "o-1.5771a833-052c-44e4-a0a2-3c6301bdb759",
    ],
)
def test_a_made_up_cursor_gives_the_first_page(stored, cursor):
    _, revision = stored()
    run = make_run(revision)
    assert f"/runs/{run.pk}/" in text_of(browser().get("/runs/", {"page": cursor}))


def test_the_list_hides_who_the_patient_is(stored):
    _, revision = stored()
    make_run(revision)
    study = revision.study
    study.patient_name = "Geheim^Gerda"
    study.save()
    assert "Geheim, Gerda" in text_of(browser("staff").get("/runs/"))
    assert "Geheim" not in text_of(browser("student").get("/runs/"))


def test_the_page_of_a_done_run_shows_steps_outputs_and_deliveries(stored, apply, go, send_all):
    apply()
    study, revision = stored()
    run = go(revision)
    send_all(run)
    client = browser()

    page = text_of(client.get(f"/runs/{run.pk}/"))

    for name in ("contours", "burn_in", "deliver"):
        assert name in page
    assert "of 5 sent" in page
    assert 'class="timing"' in page
    event = Event.objects.get(kind="STUDY_VIEWED")
    assert (event.study_uid, event.actor) == (study.study_uid, "a-administrator")
    step = text_of(client.get(f"/runs/{run.pk}/steps/1/", headers={"HX-Request": "true"}))
    made = run.steps.get(index=1)
    assert made.inputs[0]["digest"][:16] in step
    assert made.outputs.first().artifact.sop_uid in step
    assert "html" not in step[:200]
    assert client.get(f"/runs/{run.pk}/steps/1/").headers["Location"].endswith("?step=1")
    assert "1 contours" in text_of(client.get(f"/runs/{run.pk}/?step=1"))
    log = client.get(f"/runs/{run.pk}/steps/1/log/")
    assert log.status_code == 200
    assert "hx-trigger" not in text_of(log), "what is over is not asked again"


def test_the_live_part_comes_only_when_something_changed(stored):
    _, revision = stored()
    run = make_run(revision)
    client = browser()
    part = client.get(f"/runs/{run.pk}/", {"part": "1"})
    digest = part.context["digest"]
    assert f"have={digest}" in text_of(part)
    same = client.get(f"/runs/{run.pk}/", {"part": "1", "have": digest})
    assert same.status_code == 204
    RunStep.objects.filter(run=run, index=1).update(
        state="running", progress=0.4, message="ROI 4 of 10", started_at=timezone.now()
    )
    Run.objects.filter(pk=run.pk).update(state="running", started_at=timezone.now())
    changed = client.get(f"/runs/{run.pk}/", {"part": "1", "have": digest})
    assert "ROI 4 of 10" in text_of(changed)
    assert 'value="40"' in text_of(changed)
    assert "csrfmiddlewaretoken" not in text_of(changed), "it would never be the same twice"


def test_a_failed_run_says_why_first_and_what_to_do(stored, apply, go):
    apply()
    _, revision = stored(only=slice(0, 3))  # no structure set
    Route.objects.update(condition="")
    run = go(revision)
    assert run.state == "failed"

    page = text_of(browser().get(f"/runs/{run.pk}/"))

    assert page.index("the study has no RTSTRUCT") < page.index("Steps</h2>")
    assert "Send the structure set" in page
    assert "Retry from contours" in page
    item = QuarantineItem.objects.get(run=run)
    assert f"/quarantine/{item.pk}/" in page


def test_cancel_retry_priority_and_again_are_done_with_their_events(stored, apply):
    apply()
    _, revision = stored()
    (run,) = evaluate(revision)
    client = browser("physician")

    assert client.post(f"/runs/{run.pk}/priority/", {"priority": "7"}).status_code == 302
    run.refresh_from_db()
    assert run.priority == 7
    client.post(f"/runs/{run.pk}/priority/", {"priority": "many"})
    run.refresh_from_db()
    assert run.priority == 7
    client.post(f"/runs/{run.pk}/cancel/")
    run.refresh_from_db()
    assert run.state == "cancelled"
    client.post(f"/runs/{run.pk}/retry/", {"from_step": "2"})
    run.refresh_from_db()
    assert run.state == "queued"
    answer = client.post(f"/runs/{run.pk}/again/")
    newest = Run.objects.order_by("-created_at").first()
    assert answer.headers["Location"] == f"/runs/{newest.pk}/"
    assert newest.actor == "a-physician"
    kinds = Event.objects.filter(actor="a-physician", kind__startswith="RUN_").order_by("pk")
    assert [event.kind for event in kinds] == [
        "RUN_PRIORITISED",
        "RUN_CANCELLED",
        "RUN_RETRIED",
        "RUN_STARTED",
    ]


def test_what_cannot_be_done_is_said(stored):
    _, revision = stored()
    run = make_run(revision, state="done")
    page = text_of(browser().post(f"/runs/{run.pk}/cancel/", follow=True))
    assert "is done already" in page


def test_a_delivery_that_failed_is_sent_again(stored):
    _, revision = stored()
    run = make_run(revision, state="done")
    delivery = Delivery.objects.create(
        run=run,
        study=run.study,
        node_name="pacs",
        state="failed",
        reason="pacs: given up after 3 attempts, 1 files left: the peer did not answer",
    )
    DeliveryItem.objects.create(
        delivery=delivery, path="x", digest="y", state="refused", note="0x0122 not supported"
    )
    client = browser()
    page = text_of(client.get(f"/runs/{run.pk}/"))
    assert "1 refused" in page
    assert "0x0122 not supported" in page
    client.post(f"/runs/{run.pk}/deliveries/{delivery.pk}/retry/")
    delivery.refresh_from_db()
    assert delivery.state == "queued"
    assert Event.objects.get(kind="SENDING_RETRY").actor == "a-administrator"
    assert client.post(f"/runs/{run.pk}/deliveries/1{delivery.pk}/retry/").status_code == 404


def test_those_who_may_only_look_find_no_buttons(stored):
    _, revision = stored()
    run = make_run(revision)
    client = browser("student")
    page = text_of(client.get(f"/runs/{run.pk}/"))
    assert "formaction" not in page
    for act in ("cancel", "retry", "again", "priority"):
        assert client.post(f"/runs/{run.pk}/{act}/").status_code == 403
    run.refresh_from_db()
    assert run.state == "queued"


def test_a_run_that_is_not_there(db):
    assert browser().get(f"/runs/{uuid.uuid4()}/").status_code == 404


def test_a_deidentified_run_shows_no_new_names_and_offers_no_file_to_whom_it_is_not_for(
    study, project, apply, go
):
    from isocenter.apps.routing import artifacts

    project()
    apply(steps=[{"step": "deidentify", "with": {"project": "trial"}}, {"step": "deliver"}])
    run = go(study[1])
    assert run.state == "done", run.reason
    made = list(artifacts.outputs_of(run))

    page = text_of(browser().get(f"/runs/{run.pk}/"))
    assert "de-identified: not beside the study in the archive" in page
    assert not [item for item in made if item.series_uid and item.series_uid in page]
    assert page.count('aria-label="Download report.json"') == 1, "an administrator may"
