"""What the search table's inverted index holds of a study: pieces of words, and whole codes.

A piece is the start of a word (one, two letters) or any three letters in it; each is kept as a
number of four bytes made from its field and itself. Two pieces may share a number: an index only
has to leave nothing out, conditions decide.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

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
#: Columns that are found by their whole value.
WHOLE = {
    "study_id": "S",
    "patient_birth_date": "B",
    "modalities": "M",
    "sop_classes": "C",
    "issuer_of_patient_id": "U",
}
_MOST_PIECES = 16  # of a key; more do not find fewer


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


def pieces_in(field: str, literals: Iterable[tuple[str, bool]]) -> list[int]:
    """The numbers that a stored text has to have when these literal parts are in it.

    Args:
        literals: (text, whether it begins at the start of a word).
    """
    found: dict[int, None] = {}
    for text, begins in literals:
        spaced = text.translate(_TO_SPACES)
        parts = spaced.split()
        for index, word in enumerate(parts):
            if index or begins or spaced.startswith(" "):
                found[number(field, f" {word[:2]}")] = None
            for at in range(len(word) - 2):
                found[number(field, word[at : at + 3])] = None
    return list(found)[:_MOST_PIECES]
