"""Codes of segments are codes that the standard has."""

import pytest
from pydicom.sr._concepts_dict import concepts

from isocenter.core.contours.outputs.coding import BY_INTERPRETED_TYPE, FALLBACK, segment_code
from isocenter.core.contours.structure_set import Code, Roi

KNOWN = {
    (scheme, value)
    for scheme in ("SCT", "DCM")
    for meanings in concepts[scheme].values()
    for value in meanings
}


@pytest.mark.parametrize("kind", BY_INTERPRETED_TYPE)
def test_codes_exist(kind):
    code = segment_code(Roi(1, "x", interpreted_type=kind))
    for part in (code.category, code.type):
        assert (part.scheme, part.value) in KNOWN
        assert len(part.meaning) <= 64


def test_unknown_type_is_connective_tissue():
    assert segment_code(Roi(1, "x", interpreted_type="SOMETHING")) == FALLBACK
    assert (FALLBACK.category.value, FALLBACK.type.value) == ("85756007", "21793004")


def test_the_structure_sets_own_code_wins():
    heart = Code("80891009", "SCT", "Heart")
    code = segment_code(Roi(1, "x", interpreted_type="AVOIDANCE", codes=(heart,)))
    assert code.type == heart
    assert code.category.meaning == "RT Dose Calculation Structure"


def test_an_incomplete_code_is_passed_over():
    broken = Code("", "SCT", "Heart")
    assert segment_code(Roi(1, "x", codes=(broken,))) == FALLBACK
