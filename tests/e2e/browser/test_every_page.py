"""Every page, as an administrator sees it: whole, readable, quiet, within the screen."""

from __future__ import annotations

import pytest

from stand.addresses import EMPTY, page_addresses
from stand.browser import DESKTOP, PHONE, TABLET

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
EMPTY_LISTS = {"/", "/runs/", "/nodes/", "/projects/", "/quarantine/", "/groups/"}
# Red, green and blue of what is behind everything, whatever way it is written in.
BACKGROUND = """() => {
  const canvas = document.createElement('canvas').getContext('2d');
  canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""

# Red, green and blue of the border of a box that is not ticked, and of what it stands on.
BOX = """box => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const seen = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const card = getComputedStyle(box.closest('.card') ?? document.body);
  return [seen(getComputedStyle(box).borderTopColor), seen(card.backgroundColor)];
}"""


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


def test_no_page_scrolls_sideways_on_a_phone(site, person):
    someone = person("administrator", PHONE)
    for name, path in page_addresses(site.seeds).items():
        if name not in NOT_JUDGED:
            someone.go(path)
            someone.assert_fits()


def test_what_asks_before_deleting_can_be_read(site, person):
    someone = person()
    page = someone.go(page_addresses(site.seeds)["study"])
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("button", name="Delete study").click()
    page.locator("dialog[open]").wait_for()
    assert someone.grave_findings() == []


@pytest.mark.parametrize("path", EMPTY)
def test_page_of_an_empty_installation(empty_site, newcomer, path):
    someone = newcomer()
    page = someone.go(path)

    assert page.locator("h1").count() == 1
    someone.assert_fits()
    assert someone.grave_findings() == []
    if path in EMPTY_LISTS:
        empty = page.locator(".empty").first
        assert empty.is_visible()
        assert len(empty.inner_text().split()) > 5, "it says what to do"


def test_the_dark_theme_is_dark_and_the_light_one_light(site, person):
    def brightness(scheme):
        page = person("administrator", scheme=scheme).go("/")
        return sum(page.evaluate(BACKGROUND))

    assert brightness("dark") < 200
    assert brightness("light") > 600


def luminance(colour):
    """WCAG 2.2, relative luminance."""
    parts = [part / 255 for part in colour]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_box_that_is_not_ticked_can_be_seen(site, person, scheme):
    page = person("administrator", scheme=scheme).go("/routes/new/")
    box = page.locator(".form-check-input:not(:checked)").first
    box.wait_for()

    darker, lighter = sorted(map(luminance, box.evaluate(BOX)))

    assert (lighter + 0.05) / (darker + 0.05) >= 3, "WCAG 1.4.11"


def test_a_theme_that_was_chosen_stays(site, person):
    page = person("physician", scheme="light").go("/")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Dark", exact=True).click()
    page.goto("/uploads/")

    assert sum(page.evaluate(BACKGROUND)) < 200
