"""Projects in the browser: made, understood while it is written, asked who somebody is."""

from __future__ import annotations

import re

from stand.browser import TABLET


def test_a_project_is_made_and_a_pseudonym_looked_up(site, person, tmp_path):
    someone = person()
    page = someone.go("/projects/")
    page.get_by_role("link", name="New project").click()
    page.fill("input[name=name]", "made-here")
    gone = page.locator("#meaning dl.fates").last
    assert "Birth date" in gone.inner_text()

    page.get_by_role("radio", name=re.compile("^Move them")).check()
    page.get_by_role("checkbox", name="Move the birth date too").check()
    page.locator("#meaning", has_text="moved by the patient's secret number of days").wait_for()
    page.get_by_label("An attribute").fill("PatientBirthDate")
    page.locator("#attribute").get_by_text("moved by the patient's").wait_for()
    assert someone.grave_findings() == []
    page.get_by_role("button", name="Make the project").click()
    page.wait_for_url("**/projects/made-here/")

    listed = tmp_path / "list.csv"
    listed.write_text("PatientID,Pseudonym\nORIGINAL-77,TRIAL-1\n")
    page.get_by_role("link", name="Patients").click()
    page.get_by_label("A file").set_input_files(listed)
    page.get_by_role("button", name="Take in").click()
    page.get_by_text("1 new, 0 known before").wait_for()
    assert "ORIGINAL-77" not in someone.text()

    page.get_by_label("Pseudonym", exact=True).fill("TRIAL-1")
    page.get_by_role("button", name="Look up").click()
    page.locator("#found").wait_for()
    assert "ORIGINAL-77" in page.inner_text("#found")
    assert page.url.endswith("/projects/made-here/patients/"), "nobody is named in an address"
    assert someone.grave_findings() == []
    someone.assert_fits()

    page.goto("/events/")
    assert "ORIGINAL-77" not in someone.text()


def test_a_mistake_in_rules_is_one_click_from_its_line(site, person):
    someone = person("staff", TABLET, "dark")
    page = someone.go("/projects/new/")
    page.get_by_text("Exceptions of your own").click()
    rules = page.get_by_label("Rules of your own (YAML)")
    rules.fill("rules:\n  - tags: PatientNme\n    action: remove\n")
    page.get_by_role("button", name="Line 2").click()
    chosen = rules.evaluate("f => f.value.slice(f.selectionStart, f.selectionEnd)")
    assert chosen == "  - tags: PatientNme"
    assert someone.grave_findings() == []
    rules.fill("rules:\n  - tags: PatientName\n    action: remove\n")
    page.get_by_text("The rules can be read.").wait_for()
    someone.assert_fits()


def test_staff_see_pseudonyms_and_not_whose_they_are(site, person):
    someone = person("staff")
    page = someone.go("/projects/lung-trial/patients/")
    assert "BERN_0001" in someone.text()
    assert page.get_by_role("button", name="Look up").count() == 0
    assert page.get_by_role("button", name="The secret").count() == 0


def test_a_project_is_removed_by_typing_its_name(site, person):
    someone = person()
    page = someone.go("/projects/new/")
    page.fill("input[name=name]", "for-a-moment")
    page.get_by_role("button", name="Make the project").click()
    page.wait_for_url("**/projects/for-a-moment/")
    page.get_by_text("Remove this project").click()
    page.fill("input[name=typed]", "for-a-moment")
    page.get_by_role("button", name="Remove").click()
    page.locator("dialog[open]").get_by_role("button", name="Remove").click()
    page.wait_for_url("**/projects/")
    assert "for-a-moment" not in page.inner_text("table")
