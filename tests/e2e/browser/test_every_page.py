"""Every page, as an administrator sees it: whole, readable, quiet, within the screen."""

from __future__ import annotations

import pytest

from stand.addresses import EMPTY, page_addresses
from stand.browser import DESKTOP, TABLET

NAMES = list(
    page_addresses(
        {
            "studies": dict.fromkeys(("complete", "waiting", "held"), ""),
            "runs": dict.fromkeys(("queued", "running", "done", "failed", "cancelled"), ""),
            "quarantine": dict.fromkeys(("run", "delivery", "instance-held"), ""),
        }
    )
)
# Not ours to mend: the page that shows the API is Swagger UI.
NOT_JUDGED = {"api-docs"}


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (TABLET, "dark")], ids=["desktop-light", "tablet-dark"]
)
@pytest.mark.parametrize("name", NAMES)
def test_page_is_whole(site, person, name, size, scheme):
    someone = person("administrator", size, scheme)
    page = someone.go(page_addresses(site.seeds)[name])

    assert page.title().strip() not in ("", "Isocenter"), "a title of its own, for tabs"
    someone.assert_fits()
    if name not in NOT_JUDGED:
        assert page.locator("h1").count() == 1
        assert someone.grave_findings() == []


@pytest.mark.parametrize("path", EMPTY)
def test_page_of_an_empty_installation(empty_site, newcomer, path):
    someone = newcomer()
    page = someone.go(path)

    assert page.locator("h1").count() == 1
    someone.assert_fits()
    assert someone.grave_findings() == []


@pytest.mark.parametrize("path", ["/", "/runs/", "/quarantine/", "/groups/"])
def test_an_empty_list_says_what_to_do(empty_site, newcomer, path):
    page = newcomer().go(path)

    assert page.locator(".empty").is_visible()
    assert len(page.locator(".empty").inner_text().split()) > 5


def test_the_dark_theme_is_dark_and_the_light_one_light(site, person):
    def background(scheme):
        page = person("administrator", scheme=scheme).go("/")
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour[4:-1].split(",")[:3])

    assert background("dark") < 150
    assert background("light") > 600
