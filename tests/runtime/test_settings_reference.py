"""docs/reference/configuration.md is made from the settings model."""

from __future__ import annotations

from pathlib import Path

from isocenter.runtime.configuration import known_keys
from isocenter.runtime.settings_reference import reference_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == reference_page(), "isocenter config reference > " + str(PAGE)


def test_every_key_is_there() -> None:
    page = reference_page()
    for key in known_keys():
        assert f"`{'.'.join(key)}`" in page
