"""A date of the study in a text that is kept as it is: codes, schemes, versions and names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from isocenter.core.deid.engine import ObjectResult
from isocenter.core.deid.policy import Option

# A date is neither a URN nor a defined term.
pytestmark = pytest.mark.filterwarnings("ignore")

Deidentify = Callable[..., tuple[Dataset, ObjectResult]]
KEPT = ("CodeValue", "CodeMeaning", "CodingSchemeDesignator", "CodingSchemeVersion",
        "LongCodeValue", "Manufacturer", "SoftwareVersions", "SegmentLabel")  # fmt: skip
IN_ASCII = ("URNCodeValue", "ContextIdentifier")
NOTATIONS = ("29.02.2024", "20240229", "2024-02-29", "02/29/2024", "29FEB2024", "2024 Feb 29",
             "29022024", "CT 29.02.2024",
             "2024年2月29日", "２０２４年２月２９日", "２９．０２．２０２４")  # fmt: skip


@pytest.mark.parametrize("text", NOTATIONS)
@pytest.mark.parametrize("character_set", ["ISO_IR 192", "GB18030"])
def test_a_date_of_the_study_leaves_every_kept_text(
    ct: Dataset, deidentify: Deidentify, text: str, character_set: str
) -> None:
    ct.SpecificCharacterSet = character_set
    ct.PatientName = "王小东^李"
    item = Dataset()
    for keyword in (*KEPT, *(IN_ASCII if text.isascii() else ())):
        setattr(ct, keyword, text)
        setattr(item, keyword, text)
    ct.AnatomicRegionSequence = Sequence([item])
    new, _ = deidentify(ct, Option.CLEAN_DESCRIPTORS)
    left = {
        element.keyword: element.value
        for element in new.iterall()
        if element.keyword in (*KEPT, *IN_ASCII) and text in str(element.value)
    }
    assert not left


@pytest.mark.parametrize("code", ["121181", "240229", "69536005", "20240228", "T-D1100", "4.1"])
def test_a_code_that_only_looks_like_a_number_stays(
    ct: Dataset, deidentify: Deidentify, code: str
) -> None:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", "Head"
    ct.AnatomicRegionSequence = Sequence([item])
    new, _ = deidentify(ct)
    assert new.AnatomicRegionSequence[0].CodeValue == code
