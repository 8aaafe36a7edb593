from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocenter.core.dicom.charsets import text_decoder
from isocenter.core.dicom.reading import header_of

# As in EXPECTED.md of the reference data.
NAMES = {
    "chrArab": "قباني^لنزار",
    "chrFren": "Buc^Jérôme",
    "chrGerm": "Äneas^Rüdiger",
    "chrGreek": "Διονυσιος",
    "chrRuss": "Люкceмбypг",
    "chrHbrw": "שרון^דבורה",
    "chrH31": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "chrH32": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    "chrI2": "Hong^Gildong=洪^吉洞=홍^길동",
    "chrJapMulti": "やまだ^たろう",
    "chrKoreanMulti": "김희중",
    "chrX1": "Wang^XiaoDong=王^小東",
    "chrX2": "Wang^XiaoDong=王^小东",
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_names_of_the_world(shared_data: Path, name: str, expected: str) -> None:
    _, header = header_of(shared_data / "charsets" / f"{name}.dcm")

    assert header.patient_name == expected


@pytest.mark.parametrize(
    ("term", "raw", "text"),
    [
        (b"", b"M\xfcller", "Müller"),
        (b"ISO_IR 192", "Müller".encode(), "Müller"),
        (b"ISO IR 192", "Müller".encode(), "Müller"),
        (b"utf-8", "Müller".encode(), "Müller"),
        (b"ISO-IR 100", b"M\xfcller", "Müller"),
        (b"nonsense", b"M\xfcller", "Müller"),
        (b"ISO_IR 192\\ISO 2022 IR 87", "Müller".encode(), "Müller"),
        (b"ISO_IR 192", b"M\xfcller", "M�ller"),
        (b"ISO_IR 100 ", b" M\xfcller \0", "Müller"),
        (b"ISO_IR 100", b"Mu\0ller", "Muller"),
        (b"\\ISO 2022 IR 126", b"x^\x1b-F\xc4\xe9^\x1b-F\xc4", "x^Δι^Δ"),
        (b"", b"\x1b$B;3", "$B;3"),
    ],
)
def test_odd_character_sets(term: bytes, raw: bytes, text: str) -> None:
    assert text_decoder(term).decode(raw) == text


@pytest.mark.parametrize("term", [b"zip", b"rot13", b"punycode", b"unicode_escape", b"undefined"])
def test_codecs_that_are_no_character_sets_are_not_used(term: bytes) -> None:
    assert text_decoder(term).decode(b"\\x41") == "\\x41"


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_any_bytes_become_text_that_a_database_keeps(term: bytes, raw: bytes) -> None:
    text = text_decoder(term).decode(raw)

    assert "\0" not in text
    text.encode("utf-8")
