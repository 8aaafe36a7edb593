"""What the index holds of a name leaves nothing out that a key matches."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocenter.apps.archive.search import tokens
from isocenter.apps.archive.search.keys import name_pattern, normal_name
from isocenter.apps.archive.search.tokens import Literal

#: Beginnings that are alike, and short words.
WORDS = ["ann", "anna", "annette", "an", "a", "silva", "sil", "山田", "o'brien", "12", "de la"]
names = st.lists(st.lists(st.sampled_from(WORDS), max_size=4).map("^".join), max_size=3).map(
    "=".join
)


@st.composite
def keys_of(draw: st.DrawFn) -> tuple[str, str]:
    """A name, and a key that matches it: parts of it are wild cards."""
    name = normal_name(draw(names))
    key = name.split("=")[0]
    for _ in range(draw(st.integers(0, 3))):
        first = draw(st.integers(0, len(key)))
        last = draw(st.integers(first, len(key)))
        key = key[:first] + "*" + key[last:]
    return name, key


@given(keys_of())
def test_pairs_of_a_key_are_those_of_the_names_it_matches(made: tuple[str, str]) -> None:
    name, key = made
    literals = [part for group in name_pattern(key).groups if group for part in group.literals()]
    assert set(tokens.pairs_in("P", literals)) <= tokens.pairs_of("P", name)


@given(st.lists(st.sampled_from(WORDS), max_size=5), st.data())
def test_pairs_of_beginnings_of_words(words: list[str], data: st.DataObject) -> None:
    """As fuzzy matching asks: each begins some word, two may begin the same one."""
    name = " ".join(words)
    asked = [
        word[: data.draw(st.integers(1, len(word)))]
        for word in tokens.words(name)
        for _ in range(data.draw(st.integers(0, 2)))
    ]
    literals = [Literal(word, begins=True, ends=False) for word in asked]
    assert set(tokens.pairs_in("P", tokens.apart(literals))) <= tokens.pairs_of("P", name)


@pytest.mark.parametrize(
    ("key", "pairs"),
    [
        ("silva^ann*", ["ann+sil"]),
        ("silva^anna", ["ann+sil"]),
        ("silva^an*", []),  # could be Ana
        ("silva^an", ["an+sil"]),
        ("silva^*anna", []),  # could be Johanna
        ("*silva^anna", []),
        ("si*^anna", []),
        ("sil*^ann*", ["ann+sil"]),
        ("^anna^12", ["12+ann"]),
        ("silva", []),
    ],
)
def test_which_words_of_a_key_make_pairs(key: str, pairs: list[str]) -> None:
    (group,) = name_pattern(key).groups
    assert group is not None
    expected = {tokens.number("P", pair) for pair in pairs}
    assert set(tokens.pairs_in("P", group.literals())) == expected


def test_a_name_of_very_many_words_has_no_pairs() -> None:
    """They would be hundreds of thousands, and who sends files chooses how many."""
    name = normal_name("^".join(f"w{number}" for number in range(500)))
    assert tokens.pairs_of("P", name) == {tokens.unpaired("P")}
    assert len(tokens.pairs_of("P", "^".join(re.findall("..", "abcdefghijkl" * 4)))) <= 24 * 23 / 2
