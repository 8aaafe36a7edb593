"""Answers that go straight to bytes are those that the general writer makes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.network.answers import AnswerEncoder, Field, enveloped
from isocenter.core.network.identifiers import Element, Values, encode_identifier
from isocenter.core.network.messages import encode_message

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
SYNTAXES = (IMPLICIT, EXPLICIT, DEFLATED, BIG)
SAME = (Element(0x00080052, "CS", ("IMAGE",)), Element(0x00080054, "AE", ("ARCHIVE",)))
FIELDS = (
    Field(0x00080018, "UI"),
    Field(0x00080061, "CS"),
    Field(0x00100010, "PN"),
    Field(0x00104000, "LT"),
    Field(0x00200013, "IS"),
    Field(0x00280010, "US"),
    Field(0x00281050, "DS"),
    Field(0x00400275, "SQ"),
)
TEXT = st.text("abc ^=*äŁ山", max_size=8)


def some(values: st.SearchStrategy[object], most: int = 2) -> st.SearchStrategy[Values]:
    return st.lists(values, max_size=most).map(tuple)


ANSWERS = st.tuples(
    some(st.sampled_from(["1.2.3", "1.2.34"])),
    some(st.sampled_from(["CT", "RTSTRUCT"])),
    some(TEXT),
    some(TEXT, 1),
    some(st.integers(-5, 1000), 1),
    some(st.integers(0, 65535)),
    some(st.floats(-100, 100)),
    some(TEXT.map(lambda text: [Element(0x00400009, "SH", (text,))])),
)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("character_set", ["", "ISO_IR 100", "ISO_IR 192", "nothing known"])
@settings(max_examples=20, deadline=None)
@given(answers=st.lists(ANSWERS, min_size=1, max_size=5))
def test_bytes_are_those_of_the_general_writer(
    syntax: str, character_set: str, answers: list[tuple[Values, ...]]
) -> None:
    encoder = AnswerEncoder(FIELDS, SAME, syntax, character_set)
    for answer in answers:
        elements = [
            Element(field.tag, field.vr, values)
            for field, values in zip(FIELDS, answer, strict=True)
        ]
        expected = encode_identifier((*SAME, *elements), syntax, character_set)
        assert encoder.encode(answer) == expected


@pytest.mark.parametrize("max_pdu", [0, 64, 16384])
@pytest.mark.parametrize("size", [0, 2, 58, 60, 16378, 20000])
def test_messages_are_cut_as_the_peer_wants(max_pdu: int, size: int) -> None:
    command, data_set = b"c" * 100, b"d" * size
    expected = b"".join(encode_message(3, command, data_set, max_pdu=max_pdu))
    assert enveloped(3, command, max_pdu)(data_set) == expected
