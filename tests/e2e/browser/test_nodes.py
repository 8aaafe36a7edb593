"""Nodes in the browser: made, wrong, tested, removed."""

from __future__ import annotations

import re


def test_a_node_is_made_tested_and_removed(site, person, tmp_path):
    someone = person()
    page = someone.go("/nodes/")
    page.get_by_role("link", name="New node").click()
    page.fill("input[name=name]", "made-here")
    page.get_by_role("radio", name="Folder").check()
    page.fill("input[name=folder]", str(tmp_path / "made-here"))
    page.get_by_role("button", name="Make the node").click()
    page.wait_for_url("**/nodes/**")
    page.goto("/nodes/made-here/")
    page.get_by_role("button", name="Test").click()
    page.get_by_text("can be written").first.wait_for()

    page.get_by_role("button", name="Remove").click()
    page.locator("dialog[open]").get_by_role("button", name="Remove").click()
    page.wait_for_url("**/nodes/")
    assert "made-here" not in page.inner_text("table")


def test_what_is_wrong_is_told_at_its_field(site, person):
    someone = person()
    page = someone.go("/nodes/new/")
    page.fill("input[name=name]", "not a name!")
    page.fill("input[name=ae_title]", "THIS_IS_MUCH_TOO_LONG")
    page.fill("input[name=port]", "99999")
    with someone.expecting("HTTP 4", "status of 4"):
        page.get_by_role("button", name="Make the node").click()
        page.wait_for_selector(".is-invalid")

    for name in ("name", "ae_title", "port", "host"):
        field = page.locator(f"[name={name}]")
        assert "is-invalid" in (field.get_attribute("class") or ""), name
        told = field.get_attribute("aria-describedby")
        assert told, f"{name}: the message belongs to its field"
    assert page.input_value("input[name=ae_title]") == "THIS_IS_MUCH_TOO_LONG", "nothing is lost"


def test_a_node_that_is_down_says_why(site, person):
    someone = person()
    page = someone.go("/nodes/pacs-that-is-down/")
    page.get_by_role("button", name="Test").click()
    page.get_by_text(re.compile("refused|cannot be reached", re.IGNORECASE)).first.wait_for()
