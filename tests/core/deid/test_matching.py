"""Known values in text."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.deid.text.matching import Matcher, Term, fold, spellings, tokens_of
from isocenter.core.deid.text.names import name_terms


def matcher(*names: str, **others: list[str]) -> Matcher:
    terms = {term for name in names for term in name_terms(name)}
    return Matcher(terms, **others)


def kinds(found: Matcher, text: str) -> set[str]:
    return {span.kind for span in found.find(unicodedata.normalize("NFC", text))}


@pytest.mark.parametrize(
    "text",
    [
        "Müller-Lüdenscheidt",
        "MUELLER",
        "mueller luedenscheidt",
        "CT of Lüdenscheidt, Änne",
        "aenne_ct",
        "Anne12",
        "xx^MULLER^yy",
        "MuellerAenne",
        unicodedata.normalize("NFD", "Müller"),
    ],
)
def test_a_name_is_found_however_it_is_written(text: str) -> None:
    assert kinds(matcher("Müller-Lüdenscheidt^Änne^^Dr."), text) == {"name"}


def test_a_name_typed_without_umlauts_is_found_with_them() -> None:
    assert kinds(matcher("Mueller^Joerg"), "Herr Müller, Jörg") == {"name"}


@pytest.mark.parametrize("text", ["Lee^Ann", "LEE, ANN", "ann lee", "AnnLee", "leea ct"])
def test_short_parts_are_found_beside_each_other(text: str) -> None:
    assert kinds(matcher("Lee^Ann"), text) == {"name"}


@pytest.mark.parametrize("text", ["sleeve", "Lee side", "annular", "bleed"])
def test_a_short_part_alone_is_no_hit_within_a_text(text: str) -> None:
    assert kinds(matcher("Lee^Ann"), text) == set()


def test_a_short_part_is_found_as_the_whole_value() -> None:
    assert kinds(matcher("Lee^Ann"), " LEE ") == {"name"}


def test_terms_have_boundaries() -> None:
    found = Matcher([Term("id", ("12345",))])
    assert kinds(found, "no. 12345/CT") == {"id"}
    assert kinds(found, "no. 9123450") == set()


@pytest.mark.parametrize("text", ["患者山田太郎さん", "山田 太郎", "ﾔﾏﾀﾞ"])
def test_scripts_without_spaces_are_searched_for_parts(text: str) -> None:
    assert kinds(matcher("Yamada^Tarou=山田^太郎=ヤマダ^タロウ"), text) == {"name"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Иванов^Иван", "снимок ИВАНОВА"),
        ("شرون^دبورا", "CT"),
    ],
)
def test_other_letters_do_not_match_what_is_different(value: str, text: str) -> None:
    assert kinds(matcher(value), text) == set()


@pytest.mark.parametrize("value", ["Διονυσιος", "שרון^דבורה", "قباني^لنزار", "Люкceмбypг"])
def test_names_in_other_scripts_are_found(value: str) -> None:
    part = value.split("^", maxsplit=1)[0]
    assert kinds(matcher(value), f"CT {part.upper()} 1") == {"name"}


def test_titles_particles_and_nobodies_are_no_names() -> None:
    assert name_terms("Anonymous^^^Dr.^MD") == set()
    assert ("von",) not in {term.tokens for term in name_terms("von der Heide^Prof. Max")}


def test_uids_days_and_phones_are_found() -> None:
    found = Matcher([], uids=["1.2.3.4.5"], days=["20040115"], phones=["4930123456"])
    assert kinds(found, "see 1.2.3.4.5.") == {"uid"}
    assert kinds(found, "see 1.2.3.4.51") == set()
    assert kinds(found, "on 15.1.2004") == {"date"}
    assert kinds(found, "call +49 (30) 123-456") == {"phone"}


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=4, max_size=20))
def test_every_term_is_found_in_itself(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    for tokens in spellings(text):
        term = Term("id", tokens)
        if term.size >= 4 and tokens == tuple(token.folded for token in tokens_of(text)):
            gaps = [
                b.start - a.end for a, b in zip(tokens_of(text), tokens_of(text)[1:], strict=False)
            ]
            if all(gap <= 3 for gap in gaps):
                assert kinds(Matcher([term]), f"- {text} -") == {"id"}


@given(st.text(max_size=12))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_time_does_not_grow_with_the_number_of_terms() -> None:
    text = "lung nodule in the right upper lobe " * 50

    def seconds(count: int) -> float:
        found = Matcher([Term("id", (f"x{number}", "y")) for number in range(count)])
        started = time.perf_counter()
        for _ in range(5):
            found.find(text)
        return time.perf_counter() - started

    seconds(10)
    assert seconds(20_000) < 10 * seconds(100) + 0.05
