"""Names as the world has them: long, right to left, Asian, hostile; and hidden."""

from __future__ import annotations

import pytest

from stand import odd_studies
from stand.browser import DESKTOP, TABLET

NAMED = [study for study in odd_studies.STUDIES if study.name]


@pytest.mark.parametrize("study", NAMED, ids=lambda study: study.key)
def test_study_page_shows_the_name(site, person, study):
    someone = person()
    page = someone.go(f"/studies/{study.study_uid}/")

    assert study.shown in someone.text()
    assert page.evaluate("typeof window.alerted") == "undefined"
    named = page.locator(f"[dir=auto]:has-text({study.shown!r})")
    assert named.count(), "the name runs in its own direction"


@pytest.mark.parametrize("size", [DESKTOP, TABLET], ids=["desktop", "tablet"])
def test_worklist_holds_every_name_in_its_column(site, person, size):
    someone = person("administrator", size)
    someone.go("/")

    text = someone.text()
    for study in NAMED:
        assert study.shown in text, study.key
    someone.assert_fits()


def test_who_may_not_know_sees_no_name_anywhere(site, person):
    someone = person("student")
    study = odd_studies.by_key("arabic")
    for path in ("/", f"/studies/{study.study_uid}/", "/runs/"):
        page = someone.go(path)
        source = page.content()
        for odd in NAMED:
            assert odd.shown not in source, f"{odd.key} on {path}"
            assert odd.patient_id not in source or len(odd.patient_id) < 5, f"{odd.key} on {path}"
        assert "State^" not in source


def test_two_hundred_series_are_all_there_at_once(site, person):
    someone = person()
    page = someone.go(f"/studies/{odd_studies.MANY_SERIES_UID}/")

    text = someone.text()
    assert "200" in text
    page.get_by_text("200 t1_mprage", exact=False).first.scroll_into_view_if_needed()
    someone.assert_fits()
