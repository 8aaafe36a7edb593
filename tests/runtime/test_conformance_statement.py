"""docs/conformance.md is made from the code's own tables."""

from __future__ import annotations

import re
from pathlib import Path

from pydicom.uid import UID

from isocenter.apps.archive.search.attributes import SEARCHABLE, Level
from isocenter.apps.dicomweb import errors, frames, wado_uri
from isocenter.apps.dicomweb.capabilities import RESOURCES
from isocenter.core.network.registry import TRANSFER_SYNTAXES
from isocenter.core.network.sop_classes import FIND_CLASSES, GET_CLASSES, MOVE_CLASSES
from isocenter.runtime.conformance import conformance_page

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == conformance_page(), "make docs"


def test_it_says_everything_that_the_code_does() -> None:
    page = conformance_page()
    for uid in (*FIND_CLASSES, *GET_CLASSES, *MOVE_CLASSES, *TRANSFER_SYNTAXES):
        assert f"`{uid}`" in page
    for level in Level:
        for attribute in SEARCHABLE[level].values():
            assert f"`{attribute.keyword}`" in page
    for _, path, *_ in RESOURCES:
        assert f"`{path}`" in page


def test_it_says_every_status_form_and_parameter_of_dicomweb() -> None:
    page = conformance_page()
    told = page[page.index("### Statuses of DICOMweb") :]
    for status in {number for _, number in errors._STATUS} | {405, 413, 415, 500, 507}:
        assert re.search(rf"^\| (\d+, )?{status}\b", told, re.MULTILINE), status
    for kinds in frames.ENCODED.values():
        assert all(f"`{kind}`" in page for kind in kinds)
    for name in wado_uri.KNOWN:
        assert f"`{name}`" in page


def test_names_are_those_of_the_standard() -> None:
    page = conformance_page()
    for uid in ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.4.201"):
        assert f"{UID(uid).name} | `{uid}`" in page
