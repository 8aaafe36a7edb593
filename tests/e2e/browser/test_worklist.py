"""The worklist: searched, sorted, kept, and alive."""

from __future__ import annotations

import pytest

from isocenter.core.phantoms import head_phantom
from stand import odd_studies
from stand.browser import DESKTOP, TABLET


def names(page):
    return page.locator("#rows tr td:first-child a").all_inner_texts()


def search(page, text):
    page.fill("input[name=text]", text)
    page.press("input[name=text]", "Enter")
    page.wait_for_url("**/?*")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("wolfeschlegel", "long"),
        ("قباني", "arabic"),
        ("山田", "japanese"),
        ("やまだ", "japanese"),
        ("שרון", "hebrew"),
        ("ACC-chinese", "chinese"),
        ("금", None),
    ],
)
def test_search_finds_by_any_letters(site, person, text, key):
    page = person().go("/")
    search(page, text)

    if key is None:
        assert page.locator(".empty").is_visible()
        assert page.input_value("input[name=text]") == text
    else:
        found = page.locator("#rows tr").evaluate_all("rows => rows.map(row => row.dataset.study)")
        assert found == [odd_studies.by_key(key).study_uid]


def test_what_was_searched_for_does_not_stand_in_the_address(site, person):
    page = person().go("/")
    search(page, "yamada")

    assert "yamada" not in page.url.lower()
    page.reload()
    assert len(names(page)) == 1, "the address still holds the search"


def test_sorted_by_name_and_back(site, person):
    page = person().go("/")
    page.get_by_role("link", name="Patient").click()
    page.wait_for_selector("th[aria-sort=ascending]")
    up = names(page)
    page.get_by_role("link", name="Patient").click()
    page.wait_for_selector("th[aria-sort=descending]")

    assert names(page) == up[::-1]


def test_a_wrong_filter_is_told_at_its_field(site, person):
    someone = person()
    page = someone.go("/")
    page.get_by_role("button", name="Filter").click()
    page.fill("input[name=study_from]", "2026-02-01")
    page.fill("input[name=study_to]", "2026-01-01")
    with someone.expecting("400"):
        page.locator("#more button[type=submit]").click()
        page.wait_for_selector(".is-invalid")

    assert "before" in page.locator(".invalid-feedback:visible").first.inner_text()


def test_a_search_is_kept_and_found_again(site, person):
    page = person("physician").go("/")
    search(page, "head")
    page.get_by_role("button", name="Saved").click()
    page.fill("#filter-name", "My heads")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto("/")
    page.get_by_role("button", name="Saved").click()
    page.get_by_role("link", name="My heads").click()

    page.wait_for_url("**/?*")
    assert page.input_value("input[name=text]") == "head"


def test_a_study_that_comes_in_is_told_of_without_reload(site, person, tmp_path):
    page = person().go("/")
    page.evaluate("window.stayed = true")
    phantom = head_phantom("live", slices=3, rows=64, columns=64, slice_distance_mm=40.0)
    phantom.write(tmp_path / "live")
    site.platform.cli("import", tmp_path / "live")

    page.wait_for_selector("#new-studies a")
    assert page.evaluate("window.stayed") is True


@pytest.mark.parametrize("size", [DESKTOP, TABLET], ids=["desktop", "tablet"])
def test_the_state_is_seen_without_scrolling(site, person, size):
    page = person("administrator", size).go("/")
    badge = page.locator("#rows .badge", has_text="held").first.bounding_box()

    assert badge["x"] + badge["width"] <= size["width"]
    frame = page.locator(".worklist").evaluate(
        "table => [table.scrollWidth, table.parentElement.clientWidth]"
    )
    assert frame[0] <= frame[1] + 1, "the table is no wider than what holds it"
