"""Runs, routes, pipelines and quarantine, by keyboard where a person would."""

from __future__ import annotations

from stand import odd_studies


def answer(page, name: str) -> None:
    """Say yes in the dialog that asks."""
    page.locator("dialog[open]").get_by_role("button", name=name, exact=True).click()


def test_a_condition_that_cannot_be_read_is_told_while_it_is_typed(site, person):
    page = person().go("/routes/new/")
    page.fill("#id_condition", '"CT" in ModalitiesInStudy and Studydescription ~ "head"')
    page.locator("#condition-said").get_by_text("Studydescription is no DICOM keyword").wait_for()
    page.fill("#id_condition", '"CT" in ModalitiesInStudy')
    page.locator("#condition-said").get_by_text("It can be read").wait_for()


def test_a_route_is_tried_on_stored_studies_with_reasons(site, person):
    page = person().go("/routes/new/")
    page.fill("#id_condition", 'PatientID == "JP-1"')
    page.get_by_role("button", name="Try").click()

    trial = page.locator("#trial")
    trial.get_by_text("Yamada").first.wait_for()
    assert "Hong" in trial.inner_text(), "those that do not match are shown too, with why"


def test_a_route_is_edited_and_kept_by_keyboard(site, person):
    someone = person("staff")
    page = someone.go("/routes/")
    someone.tab_to("/routes/night-copy/")
    page.keyboard.press("Enter")
    page.wait_for_url("**/routes/night-copy/")
    someone.tab_to("^description$")
    page.keyboard.press("Control+A")
    page.keyboard.type("Changed in the browser")
    someone.tab_to("^keep$")
    page.keyboard.press("Enter")
    page.get_by_role("status").or_(page.locator(".alert-success")).first.wait_for()

    page.goto("/routes/night-copy/")
    assert page.input_value("input[name=description]") == "Changed in the browser"
    history = page.locator("#history").inner_text()
    assert site.seeds["users"]["staff"] in history, "who changed it"


def test_what_is_wrong_with_a_route_is_told_at_its_field(site, person):
    someone = person()
    page = someone.go("/routes/new/")
    page.fill("input[name=name]", "no good name!")
    page.fill("#id_condition", "Modality ==")
    page.get_by_role("button", name="Make the route").click()
    page.locator("[name=name].is-invalid").wait_for()
    assert "is-invalid" in page.locator("#id_pipeline").get_attribute("class")
    assert "is-invalid" in page.locator("#id_condition").get_attribute("class")
    assert page.input_value("#id_condition") == "Modality ==", "nothing is lost"


def test_a_route_is_switched_on_and_off_in_the_list(site, person):
    page = person().go("/routes/")
    row = page.locator("tr", has=page.get_by_role("link", name="night-copy"))
    row.get_by_role("button", name="Switch on").click()
    page.get_by_text("The route night-copy is on.").wait_for()
    row.locator("summary").click()
    row.get_by_label("Why").fill("the disk is full again")
    row.get_by_role("button", name="Switch night-copy off").click()
    page.get_by_text("The route night-copy is off.").wait_for()
    row.get_by_text("the disk is full again").wait_for()


def test_a_failed_run_is_retried_by_keyboard(site, person):
    someone = person("physician")
    page = someone.go(f"/runs/{site.seeds['runs']['cancelled']}/")
    someone.tab_to("retry|run again")
    page.keyboard.press("Enter")
    if page.locator("dialog[open]").count():
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
    page.wait_for_load_state("load")
    site.platform.wait_for(
        lambda: any(
            row["id"] != site.seeds["runs"]["cancelled"] or row["state"] != "cancelled"
            for row in site.platform.json("runs", "list")
            if row["study_uid"] == site.seeds["studies"]["complete"]
        )
    )


def test_a_waiting_run_is_put_first_and_cancelled(site, person):
    page = person("staff").go(f"/runs/{site.seeds['runs']['queued']}/")
    page.get_by_role("button", name="Cancel").first.click()
    page.locator("dialog[open] button[value=yes]").click()
    page.get_by_text("cancelled", exact=True).first.wait_for()


def test_runs_are_filtered_by_state(site, person):
    page = person().go("/runs/")
    page.get_by_label("failed", exact=True).check()
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**failed**")
    badges = page.locator("tbody tr td:first-child .badge").all_inner_texts()
    assert badges
    assert set(badges) == {"failed"}


def test_a_held_delivery_is_released(site, person):
    page = person("staff").go(f"/quarantine/{site.seeds['quarantine']['delivery']}/")
    page.get_by_role("button", name="Release").click()
    page.locator("dialog[open] button[value=yes]").click()
    page.wait_for_load_state("load")
    page.goto(f"/quarantine/{site.seeds['quarantine']['delivery']}/")
    page.get_by_text("released", exact=True).first.wait_for()


def test_what_is_held_can_be_exported(site, person, tmp_path):
    page = person("staff").go(f"/quarantine/{site.seeds['quarantine']['instance-held']}/")
    with page.expect_download() as told:
        page.get_by_text("Export as ZIP").click()
    told.value.save_as(tmp_path / "held.zip")
    assert (tmp_path / "held.zip").stat().st_size > 100


def test_a_pipeline_is_put_together(site, person):
    someone = person()
    page = someone.go("/pipelines/copy/")
    assert page.get_by_text("select").first.is_visible()
    someone.assert_fits()
    page.get_by_role("button", name="YAML").click()
    page.locator("#id_yaml").wait_for()
    assert "step: select" in page.locator("#id_yaml").input_value()


def test_a_run_tells_its_study_by_name_only_to_those_who_may(site, person):
    uid = odd_studies.by_key("arabic").study_uid
    page = person("student").go(f"/runs/?study_uid={uid}")
    assert odd_studies.by_key("arabic").shown not in page.content()
