"""The study page: what it waits for, what a person does about it, what comes of it."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from isocenter.core.phantoms import head_phantom
from stand import odd_studies
from stand.browser import WAIT_MS


def incomplete(site, folder: Path, key: str):
    """A structure set alone: the study waits for the series that it names."""
    phantom = head_phantom(key, slices=5, rows=64, columns=64, spacing_mm=4, slice_distance_mm=30)
    *_, structure_set = phantom.write(folder / key)
    site.platform.cli("import", structure_set)
    site.platform.wait_for(lambda: study(site, phantom.study_uid).get("state") == "waiting")
    return phantom


def study(site, study_uid: str) -> dict:
    rows = site.platform.json("studies", "list", "--limit", "500")
    return next((row for row in rows if row["study_uid"] == study_uid), {})


def test_complete_by_hand_by_keyboard_and_what_follows_without_reload(site, person, tmp_path):
    phantom = incomplete(site, tmp_path, "by-hand")
    someone = person("physician")
    page = someone.go(f"/studies/{phantom.study_uid}/")
    assert page.get_by_text("Waits for").is_visible()

    someone.tab_to("complete now")
    page.keyboard.press("Enter")
    page.locator("dialog[open]").wait_for()
    someone.tab_to("^complete$", most=3)
    page.keyboard.press("Enter")

    page.get_by_text("completed by hand").wait_for()
    page.evaluate("window.stayed = true")
    runs = page.locator("#part-runs")
    runs.get_by_text("failed", exact=True).wait_for(timeout=4 * WAIT_MS)  # there are no images
    site.platform.cli("import", tmp_path / "by-hand")
    runs.get_by_text("done", exact=True).wait_for(timeout=4 * WAIT_MS)
    page.get_by_text(re.compile("Segmentation")).first.wait_for()
    assert page.evaluate("window.stayed") is True
    someone.assert_fits()


def test_a_refresh_under_way_does_not_take_the_question_s_form_away(site, person, tmp_path):
    phantom = incomplete(site, tmp_path, "late-refresh")
    page = person("physician").go(f"/studies/{phantom.study_uid}/")
    asked = []

    def hold(route):
        asked.append(route)

    page.route("**/*part=live*", hold)
    page.wait_for_timeout(100)
    while not asked:
        page.wait_for_timeout(100)

    page.get_by_role("button", name="Complete now").click()
    page.locator("dialog[open]").wait_for()
    with page.expect_response("**/*part=live*"):
        asked[0].fulfill(body='<div id="part-state" hx-swap-oob="outerHTML">Refreshed</div>')
    page.wait_for_timeout(300)  # for htmx to take it in
    page.unroute("**/*part=live*")
    page.locator("dialog[open]").get_by_role("button", name="Complete").click()

    page.get_by_text("completed by hand").wait_for()


def test_a_pipeline_is_run_by_keyboard(site, person):
    uid = odd_studies.by_key("chinese").study_uid
    someone = person("physician")
    page = someone.go(f"/studies/{uid}/")
    someone.tab_to("^run$")
    page.keyboard.press("Enter")
    someone.tab_to("^what$")
    page.keyboard.type("copy")
    someone.tab_to("^start on revision")
    with page.expect_navigation():
        page.keyboard.press("Enter")

    page.goto(f"/studies/{uid}/")
    page.locator("#part-runs").get_by_text("copy").first.wait_for()


def test_download_is_a_zip_of_the_files(site, person, tmp_path):
    page = person("physician").go(f"/studies/{odd_studies.by_key('russian').study_uid}/")
    with page.expect_download() as told:
        page.get_by_role("link", name="Download").click()
    told.value.save_as(tmp_path / "study.zip")

    with zipfile.ZipFile(tmp_path / "study.zip") as archive:
        assert archive.testzip() is None
        assert len([name for name in archive.namelist() if not name.endswith("/")]) == 3
    assert "Люкc" not in told.value.suggested_filename, "no name of a patient in a file's name"


def test_delete_asks_first_and_then_it_is_gone(site, person, tmp_path):
    phantom = head_phantom("deleted", slices=2, rows=64, columns=64, slice_distance_mm=60)
    *_, structure_set = phantom.write(tmp_path / "deleted")
    structure_set.unlink()  # with it a route would begin a run, and a study at work is not deleted
    site.platform.cli("import", tmp_path / "deleted")
    site.platform.wait_for(lambda: study(site, phantom.study_uid))
    someone = person()
    page = someone.go(f"/studies/{phantom.study_uid}/")

    def ask():
        page.get_by_role("button", name="More actions").click()
        page.get_by_role("button", name="Delete study").click()
        return page.locator("dialog[open]")

    ask().get_by_role("button", name="Cancel").click()
    assert study(site, phantom.study_uid)
    with someone.expecting("HTTP 404", "status of 404"):  # pictures that were just asked for
        ask().get_by_role("button", name="Delete").click()
        page.wait_for_url(lambda url: phantom.study_uid not in url, timeout=4 * WAIT_MS)
    site.platform.wait_for(lambda: not study(site, phantom.study_uid))


@pytest.mark.parametrize(
    ("role", "sees", "lacks"),
    [
        ("student", (), ("Run", "Download", "Import more", "More actions", "Complete now")),
        ("researcher", ("Run", "Import more"), ("Download", "More actions")),
        ("physician", ("Run", "Download", "Import more"), ("More actions",)),
        ("administrator", ("Run", "Download", "Import more", "More actions"), ()),
    ],
)
def test_everybody_sees_what_they_may_do(site, person, role, sees, lacks):
    page = person(role).go(f"/studies/{site.seeds['studies']['held']}/")
    shown = {
        (element.get_attribute("aria-label") or element.inner_text()).strip()
        for element in page.locator("a, button").all()
        if element.is_visible()
    }

    assert set(sees) <= shown
    assert not set(lacks) & shown


def test_many_series_are_filtered_as_one_types(site, person):
    page = person().go(f"/studies/{odd_studies.MANY_SERIES_UID}/")
    page.fill("#series-filter", "177 t1")
    page.get_by_text(re.compile(r"\b1\b.*200|1 of 200")).first.wait_for()
