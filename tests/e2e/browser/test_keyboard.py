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
    someone.tab_to("^text$")
    page.keyboard.type("yamada")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?*")

    someone.tab_to("/studies/")
    enter(someone)
    page.wait_for_url(f"**/studies/{odd_studies.by_key('japanese').study_uid}/")
