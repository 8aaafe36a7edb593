"""Signing in and out, people and tokens."""

from __future__ import annotations

import re


def test_a_wrong_password_is_told_without_telling_who_exists(site, person):
    someone = person(None)
    told = []
    for name in (site.seeds["users"]["staff"], "nobody-here"):
        page = someone.go("/sign-in/")
        page.fill("input[name=username]", name)
        page.fill("input[name=password]", "wrong")
        with someone.expecting("HTTP 4", "status of 4"):
            page.press("input[name=password]", "Enter")
            page.locator("[role=alert], .invalid-feedback, .alert-danger").first.wait_for()
        told.append(page.locator("[role=alert], .alert-danger").first.inner_text())

    assert told[0] == told[1]


def test_who_waits_for_approval_does_not_get_in(site, person):
    someone = person(None)
    page = someone.go("/sign-in/")
    page.fill("input[name=username]", "waiting-for-yes")
    page.fill("input[name=password]", site.seeds["password"])
    with someone.expecting("HTTP 4", "status of 4"):
        page.press("input[name=password]", "Enter")
        page.locator("[role=alert], .alert-danger").first.wait_for()
    assert "/sign-in/" in page.url


def test_sign_out_ends_the_session(site, person):
    someone = person("service")
    page = someone.go("/")
    page.locator("header .dropdown", has=page.get_by_text("Sign out")).get_by_role(
        "button"
    ).first.click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_load_state("load")
    site.forget("service")

    page.goto("/")
    assert "/sign-in/" in page.url


def test_a_token_is_shown_once(site, person):
    page = person("physician").go("/account/")
    page.fill("input[name=name]", "made in a test")
    page.get_by_label(re.compile("^read")).check()
    page.get_by_role("button", name="Make the token").click()
    page.wait_for_load_state("load")
    token = re.search(r"iso_[\w-]{20,}", page.content())

    assert token
    page.goto("/account/")
    assert "made in a test" in page.content()
    assert token.group() not in page.content()


def test_a_page_without_the_right_says_what_is_lacking(site, person):
    someone = person("student")
    with someone.expecting("HTTP 403", "status of 403"):
        page = someone.go("/people/")
    assert page.locator("h1").count() == 1
    assert re.search("people", someone.text(), re.IGNORECASE)
    assert someone.grave_findings() == []


def test_the_navigation_leads_only_where_one_may_go(site, person):
    someone = person("student")
    page = someone.go("/")
    links = page.locator("header a[href^='/']").evaluate_all("all => all.map(a => a.pathname)")
    assert "/people/" not in links
    for path in sorted(set(links)):
        answer = page.request.get(path)
        assert answer.ok, path


def test_a_person_is_made_gets_in_and_has_to_choose_a_password(site, person):
    page = person().go("/people/")
    page.get_by_role("link", name="New person").click()
    page.fill("input[name=username]", "made-in-browser")
    page.select_option("select[name=role]", "physician")
    page.locator("main button[type=submit]").last.click()
    page.wait_for_load_state("load")
    assert "made-in-browser" in page.inner_text("main")
