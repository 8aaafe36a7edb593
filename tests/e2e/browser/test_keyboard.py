"""The everyday path without a mouse; the focus is always seen (`AsPerson.focus` insists)."""

from __future__ import annotations

import re

from stand import odd_studies


def enter(someone):
    someone.page.keyboard.press("Enter")
    someone.page.wait_for_load_state("load")


def test_sign_in(site, person):
    someone = person(None)
    page = someone.go("/runs/")
    assert "/sign-in/" in page.url

    if someone.focus().get("name") != "username":
        someone.tab_to("^username$")
    page.keyboard.type(site.seeds["users"]["physician"])
    someone.tab_to("^password$", most=3)
    page.keyboard.type(site.seeds["password"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/")


def test_the_first_tab_leads_past_the_navigation(site, person):
    someone = person()
    page = someone.go("/")
    page.keyboard.press("Tab")

    assert re.search("skip|content", someone.focus()["text"], re.IGNORECASE)


def test_search_the_worklist_and_open_a_study(site, person):
    someone = person()
    page = someone.go("/")
    someone.tab_to("patient_name|^name$")
    page.keyboard.type("yamada")
    page.keyboard.press("Enter")
    page.wait_for_function("!document.body.innerText.includes('Hong')")

    someone.tab_to("/studies/")
    enter(someone)
    page.wait_for_url(f"**/studies/{odd_studies.by_key('japanese').study_uid}/")


def test_force_complete(site, person):
    someone = person("physician")
    page = someone.go(f"/studies/{site.seeds['studies']['waiting']}/")
    someone.tab_to("complete now|force complete|complete$")
    page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    if dialog.count():
        confirm = dialog.locator(
            "button[type=submit], button[value=yes], .btn-primary, .btn-danger"
        )
        confirm.first.focus()
        page.keyboard.press("Enter")
    page.wait_for_function(
        "document.querySelector('main, .page-wrapper').innerText.match(/revision 1|complete/i)"
    )
    site.platform.wait_for(
        lambda: (
            next(
                row["state"]
                for row in site.platform.json("studies", "list", "--limit", "500")
                if row["study_uid"] == site.seeds["studies"]["waiting"]
            )
            == "complete"
        )
    )
