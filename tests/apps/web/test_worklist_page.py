"""The worklist as somebody sees it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

from isocenter.apps.accounts.models import Group, User
from isocenter.apps.archive import disk
from isocenter.apps.audit.models import Event
from isocenter.apps.web.models import SavedFilter
from isocenter.runtime.layout import Layout
from isocenter.runtime.state_files import write_state

Look = MakeStudy = Callable[..., Any]


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


def live_url(text: str) -> str:
    found = re.search(r'id="rows" hx-get="([^"]+)"', text)
    assert found
    return found.group(1)


def test_an_empty_worklist_says_where_to_send(look: Look) -> None:
    text = text_of(look().get("/"))
    assert "No studies yet" in text
    assert "ISOCENTER" in text
    assert "11112" in text
    assert "testserver" in text


def test_a_row_shows_its_study(look: Look, study: MakeStudy) -> None:
    study(
        patient_name="Müller^Anna",
        patient_birth_date="19700531",
        study_date="20260102",
        study_description="head & neck",
        state="waiting",
        waiting_for=["RTSTRUCT of series 1.2.3"],
        flags=[{"code": "a", "text": "two patients"}],
    )
    text = text_of(look().get("/"))
    for shown in (
        "Müller, Anna",
        "1970-05-31",
        "2026-01-02",
        "head & neck",
        "waiting",
        "RTSTRUCT of series 1.2.3",
        "two patients",
        "1 study",
    ):
        assert shown in text, shown


def test_identities_are_for_those_who_may_see_them(look: Look, study: MakeStudy) -> None:
    study(patient_name="Secret^Name", patient_id="SECRETID", accession_number="SECRETACC")
    assert "Secret, Name" in text_of(look("physician").get("/"))
    text = text_of(look("student").get("/"))
    assert "hidden" in text
    assert "secret" not in text.lower()
    assert 'name="patient_name"' not in text


def test_two_patients_in_a_study_are_told_to_those_who_may_know_them(
    look: Look, study: MakeStudy
) -> None:
    study(flags=[{"code": "two-patients", "text": "different patients"}])
    study(flags=[{"code": "long-value", "text": "too long"}])
    assert "different patients" in text_of(look("physician").get("/?flagged=on"))
    for address in ("/", "/?flagged=on"):
        text = text_of(look("researcher").get(address))
        assert "different patients" not in text
        assert "too long" in text
    assert "1 study" in text


def test_a_search_says_in_its_address_nothing_of_whom_it_is_for(
    look: Look, study: MakeStudy
) -> None:
    study(patient_name="Zebra^Anna")
    study(patient_name="Other^Peter")
    browser = look()
    sent = browser.post("/", {"patient_name": "zebra", "states": ["complete"], "modalities": "ct"})
    assert sent.status_code == 302
    assert "zebra" not in unquote_plus(sent.url).lower()
    assert "states=complete" in sent.url
    text = text_of(browser.get(sent.url))
    assert "Zebra, Anna" in text
    assert "Other" not in text
    assert "Patient name: zebra" in text, "the condition, with the way to drop it"
    for link in re.findall(r'(?:href|hx-get)="([^"]+)"', text):
        assert "zebra" not in link.lower()


def test_an_identity_in_an_address_is_sealed_at_once(look: Look, study: MakeStudy) -> None:
    answer = look().get("/?patient_name=zebra&source=X")
    assert answer.status_code == 302
    assert "zebra" not in answer.url
    assert "source=X" in answer.url


def test_searching_for_somebody_is_an_event_without_the_identity(
    look: Look, study: MakeStudy
) -> None:
    study(patient_name="Zebra^Anna")
    browser = look()
    address = browser.post("/", {"patient_name": "zebra"}).url
    browser.get("/")
    assert not Event.objects.filter(kind="STUDY_QUERIED").exists()
    browser.get(address)
    (event,) = Event.objects.filter(kind="STUDY_QUERIED")
    assert event.actor == "a-administrator"
    assert event.detail == {"fields": "patient_name", "found": 1}


def test_a_wrong_date_is_said_at_its_field(look: Look) -> None:
    answer = look().post(
        "/", {"study_from": "2026-13-45", "instances_min": "5", "instances_max": "2"}
    )
    assert answer.status_code == 400
    text = text_of(answer)
    assert 'id="id_study_from-error"' in text
    assert 'id="id_instances_max-error"' in text
    assert look().get("/?states=lost").status_code == 400


def test_sorting_and_paging(look: Look, study: MakeStudy) -> None:
    for number in range(60):
        study(patient_name=f"N{number:02}", study_description="head")
    browser = look()
    text = text_of(browser.get("/?sort=patient_name"))
    assert 'aria-sort="ascending"' in text
    assert re.findall(r">(N\d\d)</a>", text) == [f"N{n:02}" for n in range(50)]
    onward = re.search(r'rel="next" href="([^"]+)"', text)
    assert onward
    assert "N49" not in onward.group(1)
    second = text_of(browser.get(onward.group(1)))
    assert re.findall(r">(N\d\d)</a>", second) == [f"N{n:02}" for n in range(50, 60)]
    assert 'rel="prev"' in second
    assert "60 studies" in second


def test_rows_are_asked_for_anew_and_come_when_something_changed(
    look: Look, study: MakeStudy
) -> None:
    row = study(state="receiving")
    browser = look()
    url = live_url(text_of(browser.get("/")))
    assert browser.get(url).status_code == 204
    row.state = "complete"
    row.save()
    changed = text_of(browser.get(url))
    assert changed.lstrip().startswith('<tbody id="rows"')
    assert "complete" in changed
    url = live_url(changed)
    assert browser.get(url).status_code == 204
    study()
    study()
    told = text_of(browser.get(url))
    assert "2 new studies" in told
    assert told.count("<tr") == 1, "the list stays as it is until it is asked for"
    row.delete()
    assert text_of(browser.get(live_url(told))).count("<tr") == 0


def test_the_live_part_costs_few_queries(
    look: Look, study: MakeStudy, django_assert_max_num_queries: Any
) -> None:
    for _ in range(50):
        study()
    browser = look()
    url = live_url(text_of(browser.get("/")))
    with django_assert_max_num_queries(9):
        browser.get(url)


def test_saved_searches(look: Look, study: MakeStudy) -> None:
    study(patient_name="Zebra^Anna")
    study(patient_name="Other")
    browser = look()
    said = browser.post("/filters/", {"patient_name": "zebra", "name": " My  zebras "})
    assert said.status_code == 302
    row = SavedFilter.objects.get()
    assert (row.name, row.values) == ("My zebras", {"patient_name": "zebra"})
    text = text_of(browser.get("/"))
    link = re.search(r'href="([^"]+)"><span[^>]*>My zebras', text)
    assert link
    assert "zebra" not in link.group(1)
    assert "Other" not in text_of(browser.get(link.group(1)))

    colleague = look("physician")
    assert "My zebras" not in text_of(colleague.get("/"))
    group = Group.objects.create(name="readers")
    group.members.set(User.objects.all())
    browser.post("/filters/", {"patient_name": "zebra", "name": "My zebras", "group": "readers"})
    assert "My zebras" in text_of(colleague.get("/"))
    assert colleague.post(f"/filters/{row.pk}/delete/").status_code == 404
    browser.post(f"/filters/{row.pk}/delete/")
    assert not SavedFilter.objects.exists()


def test_a_search_without_a_name_or_for_a_strange_group_is_not_saved(look: Look) -> None:
    browser = look()
    for wrong in ({"name": " "}, {"name": "x" * 65}, {"name": "x", "group": "others"}):
        text = text_of(browser.post("/filters/", {"text": "head", **wrong}, follow=True))
        assert "Not saved" in text
    assert not SavedFilter.objects.exists()


def test_every_page_says_that_reception_is_paused(
    look: Look, installation: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_KEPT_S", 0)
    browser = look()
    assert "Reception is paused" not in text_of(browser.get("/"))
    write_state(installation.run / "receive-policy.json", {"paused": "the disk is full"})
    for page in ("/", "/system/", "/settings/", "/no-such-page"):
        text = text_of(browser.get(page))
        assert "Reception is paused" in text
        assert "the disk is full" in text


def test_templates_have_nothing_inline() -> None:
    """The policy would forbid it, and the browser would only say so in its console."""
    folder = Path(__file__).parents[3] / "src" / "isocenter" / "apps"
    templates = list(folder.glob("*/templates/**/*.html"))
    assert templates
    for template in templates:
        text = template.read_text()
        found = re.findall(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|https?://", text)
        assert not found, f"{template.name}: {found}"
