"""What the search table's inverted index holds of a study: pieces of words, and whole codes.

A piece is the start of a word (one, two letters) or any three letters in it; each is kept as a
number of four bytes made from its field and itself. Two pieces may share a number: an index only
has to leave nothing out, conditions decide.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from itertools import combinations
from typing import NamedTuple

#: What stands between words; SQL translates the same characters to spaces (`conditions`).
SEPARATORS = "^=-.,'/_()+&:;\"#"
_TO_SPACES = str.maketrans(dict.fromkeys(SEPARATORS, " "))

#: Column → letter of the field.
FIELDS = {
    "patient_name": "N",
    "referring_physician_name": "R",
    "patient_id": "I",
    "accession_number": "A",
    "study_description": "D",
}
#: Those of them that are stored as they came; the others are folded.
CODES = frozenset(("patient_id", "accession_number"))
#: Columns that are found by their whole value.
WHOLE = {
    "study_id": "S",
    "patient_birth_date": "B",
    "modalities": "M",
    "sop_classes": "C",
    "issuer_of_patient_id": "U",
}
#: Columns whose every two words have a piece together, made of the first three letters of each:
#: of those called Silva and of those called Jana there are tens of thousands, of both at once few.
PAIRS = {"patient_name": "P"}
_MOST_PIECES = 16  # of a key; more do not find fewer
_MOST_PAIRED = 24  # words of a name that has pairs; one of more says that it has none
_LETTERS = 3


class Literal(NamedTuple):
    """A part of a key that a stored text has to hold as it is written.

    Attributes:
        begins: it stands where a word begins.
        ends: it stands where a word ends.
    """

    text: str
    begins: bool
    ends: bool


def caseless(text: str) -> str:
    """A code without case: letter by letter, so that a part of a text has the pieces of the whole
    (``lower`` looks at what stands beside a sigma)."""
    return text.casefold()


def number(field: str, piece: str) -> int:
    """The number of a piece."""
    return zlib.crc32(f"{field}{piece}".encode()) - (1 << 31)


def whole(field: str, value: str) -> int:
    """The number of a whole value."""
    return number(field, f"={value}")


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.translate(_TO_SPACES).split()


def pieces_of(field: str, text: str) -> set[int]:
    """The numbers of all pieces of a stored text."""
    found: set[int] = set()
    for word in words(text):
        found.add(number(field, f" {word[:1]}"))
        if len(word) > 1:
            found.add(number(field, f" {word[:2]}"))
        found.update(number(field, word[at : at + 3]) for at in range(len(word) - 2))
    return found


def pairs_of(field: str, text: str) -> set[int]:
    """The numbers of every two words of a stored name."""
    starts = sorted(word[:_LETTERS] for word in words(text))
    if len(starts) > _MOST_PAIRED:
        return {unpaired(field)}
    return {_pair(field, *two) for two in combinations(starts, 2)}


def unpaired(field: str) -> int:
    """The number that a name has instead of its pairs, which would be too many."""
    return number(field, "*")


def _pair(field: str, one: str, other: str) -> int:
    return number(field, f"{one}+{other}")


def pairs_in(field: str, literals: Iterable[Literal]) -> list[int]:
    """The numbers of pairs that a stored name has to have when these literal parts are in it, each
    at a place of its own; or it has `unpaired`."""
    starts = sorted(
        word[:_LETTERS]
        for literal in literals
        for word, begins, ends in _words_of(literal)
        if begins and (ends or len(word) >= _LETTERS)
    )
    return list({_pair(field, *two): None for two in combinations(starts, 2)})[:_MOST_PIECES]


def apart(words: Iterable[Literal]) -> list[Literal]:
    """Those of some beginnings of words that cannot begin the same word."""
    different = list(dict.fromkeys(words))
    return [
        one
        for one in different
        if not any(each.text.startswith(one.text) for each in different if each is not one)
    ]


def _words_of(literal: Literal) -> Iterable[Literal]:
    """The words of a literal part; the first and the last may be parts of words."""
    spaced = literal.text.translate(_TO_SPACES)
    parts = spaced.split()
    for index, word in enumerate(parts):
        begins = bool(index) or literal.begins or spaced.startswith(" ")
        ends = index < len(parts) - 1 or literal.ends or spaced.endswith(" ")
        yield Literal(word, begins, ends)


def pieces_in(field: str, literals: Iterable[Literal]) -> list[int]:
    """The numbers that a stored text has to have when these literal parts are in it."""
    found: dict[int, None] = {}
    for literal in literals:
        for word, begins, _ in _words_of(literal):
            if begins:
                found[number(field, f" {word[:2]}")] = None
            for at in range(len(word) - 2):
                found[number(field, word[at : at + 3])] = None
    return list(found)[:_MOST_PIECES]
