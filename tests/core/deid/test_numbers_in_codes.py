"""The patient's numbers and days where values are codes, versions and names of sequences."""

from __future__ import annotations

import pytest

from isocenter.core.deid.proof.identifiers import Identifiers
from isocenter.core.deid.proof.searching import Search
from isocenter.core.deid.text.descriptors import Cleaner
from isocenter.core.deid.text.lexicon import Lexicon


def _left(identifiers: Identifiers, text: str, keyword: str, vr: str) -> str:
    """Cleaned text; the verifier's search finds nothing in it."""
    cleaned = Cleaner(identifiers).clean(text, keyword, vr)[0]
    search = Search(identifiers.matcher(), Lexicon.load())
    assert search.spans_of_values(cleaned, keyword, vr) == []
    return cleaned


def _with_id(number: str) -> Identifiers:
    return Identifiers(texts=frozenset((("id", number),)))


@pytest.mark.parametrize(
    ("number", "text", "keyword", "left"),
    [
        ("4711889", "4711889", "CodeValue", ""),
        ("4711", "4711", "CodeValue", ""),
        ("4711889", "X-4711889", "CodeValue", "X"),
        ("4711", "X-4711", "CodeValue", "X-4711"),  # a part of a code of its own
        ("471", "471", "CodeValue", "471"),
        ("4711889", "4711889", "LongCodeValue", ""),
        ("121008", "121008", "CodeValue", "121008"),  # Person Observer Name (DCM)
        ("7021", "7021", "ContextIdentifier", "7021"),
        ("4711", "4711", "CodeMeaning", ""),
        ("4711", "4711", "SegmentLabel", ""),
        ("4711", "4711", "BodyPartExamined", ""),
    ],
)
def test_a_number_of_the_patient_is_no_code(
    number: str, text: str, keyword: str, left: str
) -> None:
    others = {"LongCodeValue": "UC", "CodeMeaning": "LO", "CodeValue": "SH", "SegmentLabel": "LO"}
    vr = others.get(keyword, "CS")
    assert _left(_with_id(number), text, keyword, vr) == left


DAYS = Identifiers(days=frozenset(("20230517", "19480229", "20121008")))


@pytest.mark.parametrize(
    ("text", "keyword", "vr", "left"),
    [
        ("230517 290248", "SoftwareVersions", "LO", ""),
        ("170523", "SequenceName", "SH", ""),
        ("VA20 230517", "SoftwareVersions", "LO", "VA20"),
        ("VA20 230518", "SoftwareVersions", "LO", "VA20 230518"),
        ("230517", "CodeValue", "SH", "230517"),  # many schemes have codes of six digits
        ("20230517", "CodeValue", "SH", ""),
        ("121008", "CodeValue", "SH", "121008"),
        ("113100", "CodeValue", "SH", "113100"),
        ("230517", "CodeMeaning", "LO", ""),
        ("230517", "BodyPartExamined", "CS", ""),
        ("1230517", "SoftwareVersions", "LO", "1230517"),
    ],
)
def test_a_day_of_the_study_in_six_digits_is_no_version(
    text: str, keyword: str, vr: str, left: str
) -> None:
    assert _left(DAYS, text, keyword, vr) == left


@pytest.mark.parametrize(
    ("number", "text", "left"),
    [
        ("00471188", "471188", ""),
        ("00471188", "PID471188", "PID"),
        ("0047118", "47118", ""),
        ("0004711", "4711", "4711"),  # four digits are other things as well
        ("AB-0047118", "AB-47118", ""),
        ("00471188", "00471188", ""),
    ],
)
def test_a_number_is_found_without_its_zeros(number: str, text: str, left: str) -> None:
    assert _left(_with_id(number), text, "SoftwareVersions", "LO") == left


@pytest.mark.parametrize(
    ("address", "text", "left"),
    [
        ("Elmwood Alley 17, 80331 Quietsville", "80331", ""),
        ("Elmwood Alley 17, 80331 Quietsville", "D-80331", "D"),
        ("Elmwood Alley 17 Quietsville SW1A 1AA", "SW1A 1AA", ""),
        ("Elmwood Alley 17 Quietsville SW1A 1AA", "sw1a1aa", ""),
        ("Laan 5, 1234 AB Stadt", "1234AB", ""),
        ("Rua 3, 01310-100 Cidade", "01310-100", ""),
        ("Rua 3, 1000-205 Cidade", "1000-205", ""),
        ("Elmwood Alley 1234", "1234", "1234"),
    ],
)
def test_a_post_code_by_itself_is_found(address: str, text: str, left: str) -> None:
    identifiers = Identifiers(texts=frozenset((("address", address),)))
    assert _left(identifiers, text, "SoftwareVersions", "LO") == left


@pytest.mark.parametrize("text", ["OWobble", "O'Wobble", "owobble", "Wobble", "OWobble-Fitzquix"])
def test_a_part_of_a_double_name_is_found_in_one_word(text: str) -> None:
    identifiers = Identifiers(names=frozenset(("O'Wobble-Fitzquix^Anna",)))
    assert not [letter for letter in _left(identifiers, text, "Manufacturer", "LO") if letter > "O"]
