"""What looks like somebody's goes from texts that are kept, and the terms of the standard stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr._concepts_dict import concepts

from isocenter.core.deid.engine import ObjectResult
from isocenter.core.deid.text.suspects import persons

Deidentify = Callable[..., tuple[Dataset, ObjectResult]]


@pytest.mark.parametrize(
    ("keyword", "text", "left"),
    [
        ("SoftwareVersions", "Mr. Smithers tel 555-123-4567", ""),
        ("SoftwareVersions", "5.4.1.2 by Dr. Anna Smithers", "5.4.1.2 by"),
        ("ManufacturerModelName", "for Dr. Smithers, smithers@x.org", "for"),
        ("ManufacturerModelName", "Scanner of Dr Smithers", "Scanner of"),
        ("Manufacturer", "Example Systems, phone +49 6221 998877", "Example Systems"),
        ("SequenceName", "t1_a.s@x.org", ""),
        ("PulseSequenceName", "c (555) 123-4567", "c"),
    ],
)
def test_persons_go_from_what_is_kept(
    keyword: str, text: str, left: str, ct: Dataset, deidentify: Deidentify
) -> None:
    setattr(ct, keyword, text)
    new, _ = deidentify(ct)
    assert str(new.get(keyword) or "") in (left, left or "REMOVED")


def test_persons_go_from_code_meanings(ct: Dataset, deidentify: Deidentify) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "1234", "99LOCAL"
    code.CodeMeaning = "Mr. Smithers tel 555-123-4567"
    ct.AnatomicRegionSequence = Sequence([code])
    new, _ = deidentify(ct)
    (made,) = new.AnatomicRegionSequence
    assert made.CodeValue == "1234"
    assert "Smithers" not in made.CodeMeaning
    assert "555" not in made.CodeMeaning


@pytest.mark.parametrize(
    "text",
    [
        "1.2.3.4",
        "syngo MR E11",
        "VE40A SL00P01 2.0.1-123-4567",
        "DR Detector 3543",
        "DR SYSTEMS",
        "27\\LX\\MR Software release:HD16.0_V02_1131.a",
        "20230517 101112",
        "555-123-4567-89",
        "T1 MPRAGE p2@iso",
        "Series 1 Room",
        "Miss Rate",
        "Segment #1",
        "LOINC 18748-4",
        "Tel-Aviv",
        "Profile 12",
        "git@github.com:QIICR/dcmqi.git",
    ],
)
def test_technical_values_stay(text: str, ct: Dataset, deidentify: Deidentify) -> None:
    ct.SoftwareVersions = text
    new, _ = deidentify(ct)
    assert new.SoftwareVersions == ct.SoftwareVersions


def _meanings() -> Iterator[str]:
    for of_scheme in concepts.values():
        for by_value in of_scheme.values():
            for meaning, _ in by_value.values():
                yield meaning


def test_no_term_of_the_standard_looks_like_somebody() -> None:
    meanings = set(_meanings())
    assert len(meanings) > 5000
    assert sorted(meaning for meaning in meanings if persons(meaning)) == []
