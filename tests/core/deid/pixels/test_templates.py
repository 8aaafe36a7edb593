"""Templates: what the shipped ones match, and what a site's file may say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.deid.pixels.inspection import Facts
from isocenter.core.deid.pixels.rectangles import Rectangle, around, merged
from isocenter.core.deid.pixels.templates import TemplateSet
from isocenter.core.dicom.reading import read_dataset
from isocenter.core.errors import ConfigurationError


def test_the_shipped_ones_know_a_real_device(shared_data: Path) -> None:
    facts = Facts.of(read_dataset(shared_data / "us/GREYSCALE_IMAGE.dcm"))
    found = TemplateSet.shipped().match(facts)
    assert [template.name for template in found] == ["EPIQ 7G"]
    assert found[0].rectangles == (Rectangle(0, 0, 1024, 49),)


def test_the_shipped_ones_name_their_source() -> None:
    shipped = TemplateSet.shipped()
    assert shipped.source.startswith("deid ")
    assert len(shipped.templates) > 90
    assert all(template.conditions for template in shipped.templates)


@pytest.mark.parametrize(
    "text",
    [
        "templates: [",
        "[]",
        "templates: [{name: a, rectangles: [[0, 0, 1, 1]]}]",
        "templates: [{name: a, modality: US}]",
        "templates: [{name: a, modality: US, rectangles: [[0, 0, 1]]}]",
        "templates: [{name: a, modality: US, rectangles: [[0, 0, 0, 5]]}]",
        "templates: [{name: a, colour: red, rectangles: [[0, 0, 1, 1]]}]",
    ],
)
def test_a_wrong_file_says_what_is_wrong(text: str) -> None:
    with pytest.raises(ConfigurationError):
        TemplateSet.from_text(text)


def test_a_rectangle_from_text() -> None:
    assert Rectangle.from_text(" 1,2, 30,4 ") == Rectangle(1, 2, 30, 4)
    for wrong in ("1,2,3", "0,0,0,4", "a,b,c,d", "-1,0,4,4"):
        with pytest.raises(ConfigurationError):
            Rectangle.from_text(wrong)


_RECTANGLES = st.builds(
    Rectangle,
    *(st.integers(0, 30), st.integers(0, 30), st.integers(1, 20), st.integers(1, 20)),
)


@settings(max_examples=60)
@given(st.lists(_RECTANGLES, min_size=1, max_size=8))
def test_merging_loses_no_pixel(rectangles: list[Rectangle]) -> None:
    def pixels(some: list[Rectangle]) -> set[tuple[int, int]]:
        return {(x, y) for r in some for x in range(r.x, r.right) for y in range(r.y, r.bottom)}

    kept = merged(rectangles)
    assert pixels(kept) == pixels(rectangles)
    assert all(around(rectangles).covers(rectangle) for rectangle in kept)
    assert merged(reversed(rectangles)) == kept
