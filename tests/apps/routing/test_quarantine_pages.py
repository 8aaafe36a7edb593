"""The list of the quarantine and the page of an item."""

from __future__ import annotations

import io
import uuid
import zipfile
from datetime import timedelta

import pytest
from django.utils import timezone

from isocenter.apps.audit.models import Event
from isocenter.apps.routing.models import QuarantineItem, Route
from isocenter.apps.routing.services import quarantine_instance
from signed_in import browser, text_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def instance(db, tmp_path):
    """An instance in quarantine."""

    def make(name="a", **values):
        path = tmp_path / f"{name}.dcm"
        path.write_bytes(f"no DICOM, {name}".encode())
        item = quarantine_instance(
            path,
            "it is no DICOM",
            study_uid="1.2.3",
            sop_uid=f"1.2.3.{ord(name)}",
            source="SENDER",
        )
        QuarantineItem.objects.filter(pk=item.pk).update(**values)
        item.refresh_from_db()
        return item

    return make


@pytest.fixture
def failed(stored, apply, go):
    """A run that failed for the lack of a structure set, in quarantine."""
    apply()
    Route.objects.update(condition="")
    _, revision = stored(only=slice(0, 3))
    run = go(revision)
    return QuarantineItem.objects.get(run=run)


def test_an_empty_quarantine_says_what_it_is_for(db):
    assert "Nothing is held" in text_of(browser("student").get("/quarantine/"))


def test_items_are_filtered(instance):
    old = instance("a", first_at=timezone.now() - timedelta(days=10), attempts=3)
    new = instance("b", reason="two data sets")
    over = instance("c", state="released")
    client = browser()

    def shown(**query):
        page = text_of(client.get("/quarantine/", query))
        return {item.sop_uid for item in (old, new, over) if f"/quarantine/{item.pk}/" in page}

    assert shown() == {old.sop_uid, new.sop_uid}
    assert shown(state="released") == {over.sop_uid}
    assert shown(age="7") == {old.sop_uid}
    assert shown(attempts="2") == {old.sop_uid}
    assert shown(reason="DATA SETS") == {new.sop_uid}
    assert shown(kind="run") == set()
    assert shown(study="1.2.3") == {old.sop_uid, new.sop_uid}
    assert "Nothing matches" in text_of(client.get("/quarantine/", {"kind": "run"}))


def test_a_run_says_why_and_what_to_do(failed):
    page = text_of(browser("staff").get(f"/quarantine/{failed.pk}/"))
    assert page.index("the study has no RTSTRUCT") < page.index("Files that are kept")
    assert "Send the structure set" in page
    assert f"/runs/{failed.run_id}/" in page
    assert "originals/" in page
    assert Event.objects.filter(kind="STUDY_VIEWED", detail__what="quarantine").exists()


def test_traces_and_file_names_are_for_those_who_handle_them(instance):
    item = instance(trace="Traceback of the step")
    page = text_of(browser("staff").get(f"/quarantine/{item.pk}/"))
    assert "Traceback of the step" in page
    assert "1.2.3.97.dcm" in page
    page = text_of(browser("student").get(f"/quarantine/{item.pk}/"))
    assert "it is no DICOM" in page
    assert "Traceback of the step" not in page
    assert "1.2.3.97.dcm" not in page
    assert "<form" not in page.partition("<main")[2].partition("</main>")[0]


def test_retry_release_and_delete(failed, instance):
    staff, administrator = browser("staff"), browser("administrator")
    staff.post(f"/quarantine/{failed.pk}/retry/")
    failed.refresh_from_db()
    assert failed.state == "retrying"
    assert failed.run.state == "queued"
    staff.post(f"/quarantine/{failed.pk}/release/")
    failed.refresh_from_db()
    assert failed.state == "released"
    held = instance()
    page = text_of(staff.post(f"/quarantine/{held.pk}/release/", follow=True))
    assert "the only copy of this instance" in page
    page = text_of(staff.post(f"/quarantine/{held.pk}/retry/", follow=True))
    assert "held again" in page
    assert staff.post(f"/quarantine/{held.pk}/delete/").status_code == 403
    administrator.post(f"/quarantine/{held.pk}/delete/")
    held.refresh_from_db()
    assert held.state == "deleted"
    assert "went when it was deleted" in text_of(staff.get(f"/quarantine/{held.pk}/"))
    event = Event.objects.get(kind="QUARANTINE_DELETED")
    assert event.actor == "a-administrator"


def test_what_is_kept_is_exported_to_those_who_may_know_whose_it_is(instance):
    item = instance()
    answer = browser("staff").get(f"/quarantine/{item.pk}/export/")
    content = b"".join(answer.streaming_content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert set(archive.namelist()) == {"1.2.3.97.dcm", "item.json"}
    assert int(answer.headers["Content-Length"]) == len(content)
    event = Event.objects.get(kind="STUDY_DOWNLOADED")
    assert (event.actor, event.detail["files"]) == ("a-staff", 2)
    assert browser("physician").get(f"/quarantine/{item.pk}/export/").status_code == 403
    assert browser("student").get(f"/quarantine/{item.pk}/export/").status_code == 403


def test_several_at_once(failed, instance):
    held = instance()
    staff = browser("staff")
    ids = [str(failed.pk), str(held.pk)]
    page = text_of(staff.post("/quarantine/-/bulk/", {"act": "release", "item": ids}, follow=True))
    assert "1 is released" in page
    assert "Not done for 1" in page
    failed.refresh_from_db()
    held.refresh_from_db()
    assert (failed.state, held.state) == ("released", "held")
    for post in ({"act": "release"}, {"act": "burn", "item": ids}, {"item": ids}):
        assert "Tick some first" in text_of(staff.post("/quarantine/-/bulk/", post, follow=True))
    assert browser("physician").post("/quarantine/-/bulk/").status_code == 403


def test_an_item_that_is_not_there(db):
    assert browser().get(f"/quarantine/{uuid.uuid4()}/").status_code == 404
