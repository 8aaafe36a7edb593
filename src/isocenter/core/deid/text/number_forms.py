"""Other forms of numbers that identify: without leading zeros, and post codes out of addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# Digits that are left of a number without its zeros: fewer are other things as well.
_LEAST_LEFT = 5
_POST_CODE = re.compile(
    r"(?<![\w.])(?:"
    r"\d{5}-\d{3,4}"  # Brazil, United States
    r"|\d{4}-\d{3}"  # Portugal
    r"|\d{5,6}"
    r"|\d{4} ?[A-Z]{2}"  # Netherlands
    r"|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}"  # United Kingdom
    r"|[A-Z]\d[A-Z] ?\d[A-Z]\d"  # Canada
    r")(?![\w])",
    re.IGNORECASE,
)


def without_zeros(ways: Iterable[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Folded tokens of numbers that begin with zeros, as systems write them that drop those."""
    return {tuple(map(_bare, tokens)) for tokens in ways}


def _bare(token: str) -> str:
    if not token.isdigit():
        return token
    left = token.lstrip("0")
    return left if len(left) >= _LEAST_LEFT else token


def post_codes(address: str) -> Iterator[str]:
    """Post codes in an address, of five letters and digits or more."""
    for match in _POST_CODE.finditer(address):
        yield match.group()
        if "-" in match.group():
            first = match.group().partition("-")[0]
            if len(first) >= _LEAST_LEFT:
                yield first
