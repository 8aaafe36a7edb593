"""Options: what is wrong cannot be built; JSON in and out."""

from __future__ import annotations

from typing import Any

import pytest

from isocenter.core.contours.options import BurnIn, ContourOptions, PreviewOptions, RoiChoice
from isocenter.core.contours.outputs import WRITERS, writer
from isocenter.core.errors import ConfigurationError


def test_options_come_back_from_json() -> None:
    options = ContourOptions(
        formats=("overlay", "seg"),
        choice=RoiChoice(include=("ptv",)),
        burn_in=BurnIn("text", "top-left", 12),
        preview=PreviewOptions(window_center=40, window_width=400),
    )
    assert ContourOptions.from_json(options.to_json()) == options


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"serie_number": 1}, "did you mean series_number"),
        ({"choice": {"ignored": []}}, "did you mean ignore"),
        ({"formats": ["pdf"]}, "one of overlay"),
        ({"formats": []}, "formats must be a list"),
        ({"nesting": "odd"}, "one of depth"),
        ({"overlay_mode": "x"}, "one of merged"),
        ({"overlay_type": "X"}, "one of R"),
        ({"series_number": -1}, "at least 0"),
        ({"series_description": "x" * 65}, "64 characters"),
        ({"study_id": "x" * 17}, "16 characters"),
        ({"choice": {"include": ["("]}}, "no regular expression"),
        ({"choice": {"ignore": "skull"}}, "list of texts"),
        ({"burn_in": {"text": " "}}, "printable line"),
        ({"burn_in": {"text": "two\nlines"}}, "printable line"),
        ({"burn_in": {"position": "middle"}}, "one of top-left"),
        ({"burn_in": {"size": -1}}, "at least 0"),
        ({"preview": {"image_format": "gif"}}, "one of png"),
    ],
)
def test_what_is_wrong_is_refused_by_name(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        ContourOptions.from_json(values)


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_has_its_writer(name: str) -> None:
    assert writer(name).format == name


def test_a_format_that_there_is_not() -> None:
    with pytest.raises(ConfigurationError, match="no output format"):
        writer("pdf")
