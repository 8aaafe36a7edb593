"""Codes of the standard's context groups and what they mean (PS3.16 annexes B and D).

Read from pydicom's concept dictionaries, which are made from PS3.16 (DCM, SCT, LN, UCUM and
others). Reading takes half a second, so it is done when a code is asked about for the first time.
"""

from __future__ import annotations

from functools import cache

from isocenter.core.deid.text.matching import tokens_of


def is_standard_meaning(text: str) -> bool:
    """Whether a code meaning is, word for word, that of a code of the standard."""
    return _folded(text) in _known()[1]


def is_standard_code(text: str) -> bool:
    """Whether a code value is one that the standard uses."""
    return text.strip() in _known()[0]


@cache
def _known() -> tuple[frozenset[str], frozenset[tuple[str, ...]]]:
    """Code values, and meanings as folded tokens."""
    from pydicom.sr._concepts_dict import concepts

    codes: set[str] = set()
    meanings: set[tuple[str, ...]] = set()
    for scheme in concepts.values():
        for named in scheme.values():
            for code, (meaning, _) in named.items():
                codes.add(code)
                meanings.add(_folded(meaning))
    return frozenset(codes), frozenset(meanings)


def _folded(text: str) -> tuple[str, ...]:
    return tuple(token.folded for token in tokens_of(text))
