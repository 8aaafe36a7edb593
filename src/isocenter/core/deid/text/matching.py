"""Finds known values in text: by tokens, whatever the case, accents and punctuation.

A text is cut into runs of letters and runs of digits; a term is a sequence of such tokens. Each
token of a text is looked up once, so the time does not grow with the number of terms. Scripts that
are written without spaces are searched for substrings.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from isocenter.core.deid.text.date_notations import written_dates

#: Terms with fewer letters and digits are looked for as whole values only.
LONG_TERM = 4

_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
_UNSPACED = (
    "\u0e00-\u0e7f\u1100-\u11ff\u3005\u3040-\u30ff\u3130-\u318f\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
TOKEN = re.compile(
    rf"(?P<u>[{_UNSPACED}][{_UNSPACED}{_MARKS}]*)"
    rf"|(?P<d>\d+)|(?P<l>(?:[^\W\d_{_UNSPACED}][{_MARKS}]*)+)"
)
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_UID = re.compile(r"(?<![0-9.])[0-9]+(?:\.[0-9]+){3,}(?![0-9])")
_PHONE = re.compile(r"(?<![0-9])[+(]{0,2}[0-9](?:[ ()/.\-]{0,3}[0-9]){5,17}(?![0-9])")
_PHONE_TAIL = 7
_WHOLE_NUMBER = re.compile(rb"(?:^|\\)[ +]*([0-9]{6,64})[ \0]*(?=\\|$)")
_GAP = 3  # characters between two tokens of a term
# Short names count where another name is no farther away, in characters: "Lee, Dr. Ann".
_SHORT_NAME, _NEAR = 3, 24
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "ð": "d", "ħ": "h"}
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_UNDONE = re.compile(r"(?<=[aou])e|(?<=a)a")


class Token(NamedTuple):
    """A run of letters, or of digits, in a text."""

    start: int
    end: int
    folded: str


class Span(NamedTuple):
    """A place in a text, and what kind of term is there."""

    start: int
    end: int
    kind: str


class Term(NamedTuple):
    """Something to look for.

    Attributes:
        kind: ``name``, ``id``, ``institution`` …
        tokens: folded.
        strong: looked for as a whole value even if it is short, and even where it is a word of
            the lexicon.
    """

    kind: str
    tokens: tuple[str, ...]
    strong: bool = True

    @property
    def size(self) -> int:
        """Letters and digits."""
        return sum(map(len, self.tokens))


@lru_cache(maxsize=65536)
def fold(word: str) -> str:
    """Without case, accents and compatibility forms; digits become those of ASCII."""
    if word.isascii():
        return word.lower()
    text = unicodedata.normalize("NFKD", word.casefold())
    text = "".join(
        str(unicodedata.digit(letter, letter)) if letter.isdigit() else letter
        for letter in text
        if not unicodedata.combining(letter)
    )
    return text.casefold().translate(_LETTERS)


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text (NFC)."""
    return [Token(m.start(), m.end(), fold(m.group())) for m in TOKEN.finditer(text)]


def spellings(text: str) -> set[tuple[str, ...]]:
    """Token sequences of a text: as it is, with umlauts written out, and the other way round."""
    text = unicodedata.normalize("NFC", text)
    plain = tuple(token.folded for token in tokens_of(text))
    written_out = tuple(
        fold(match.group().lower().translate(_UMLAUTS)) for match in TOKEN.finditer(text)
    )
    undone = tuple(_UNDONE.sub("", token) for token in plain)
    return {sequence for sequence in (plain, written_out, undone) if sequence}


class Matcher:
    """Looks for terms, days, UIDs and telephone numbers; see :meth:`find`."""

    def __init__(
        self,
        terms: Iterable[Term],
        *,
        days: Iterable[str] = (),
        uids: Iterable[str] = (),
        phones: Iterable[str] = (),
    ) -> None:
        self._by_first: dict[str, list[Term]] = {}
        self._whole: dict[tuple[str, ...], Term] = {}
        self._names: set[str] = set()  # single words, from three letters on
        self._days = frozenset(days)
        self._uids = frozenset(uids)
        self._phones = frozenset(digits[-_PHONE_TAIL:] for digits in phones if len(digits) >= 6)
        unspaced: set[str] = set()
        for term in _strongest(terms):
            if any(map(_IS_UNSPACED.match, term.tokens)):
                unspaced.add("".join(term.tokens))
            if term.size >= LONG_TERM:
                self._by_first.setdefault(term.tokens[0], []).append(term)
            elif term.strong and (term.kind == "name" or term.tokens not in self._whole):
                self._whole[term.tokens] = term
            if term.kind == "name" and term.strong and len(term.tokens) == 1:
                self._names.update(word for word in term.tokens if len(word) >= _SHORT_NAME)
        for found in self._by_first.values():
            found.sort(key=lambda term: (-len(term.tokens), term))
        self._short_names = {word for word in self._names if len(word) < LONG_TERM}
        long_enough = sorted((text for text in unspaced if len(text) >= 2), key=len, reverse=True)
        self._unspaced = re.compile("|".join(map(re.escape, long_enough))) if long_enough else None

    def find(
        self, text: str, *, numbers: bool = True, six_digits: bool = True, strong_only: bool = False
    ) -> list[Span]:
        """Where something is that is looked for; spans may overlap.

        Args:
            text: NFC.
            numbers: days, UIDs and telephone numbers too.
            six_digits: six digits in a row can be a date.
            strong_only: leave weak terms out.
        """
        spans = [
            span
            for span, term in self._terms(text, tokens_of(text))
            if term.strong or not strong_only
        ]
        if numbers:
            spans += self._numbers(text, six_digits)
        return spans

    def is_known(self, token: str) -> bool:
        """Whether a folded token by itself is a term, however short."""
        return (token,) in self._whole or any(
            len(term.tokens) == 1 for term in self._by_first.get(token, ())
        )

    def in_numbers(self, raw: bytes) -> bool:
        """Whether a value of VR DS or IS is, as a whole, a patient's number, or a day.

        Fewer than six digits are a number like any other, and so is a day among coordinates.
        """
        days = self._days if b"\\" not in raw else frozenset[str]()
        for match in _WHOLE_NUMBER.finditer(raw):
            digits = match[1].decode("ascii")
            if self.is_known(digits) or digits in days:
                return True
        return False

    def has_uid(self, uid: str) -> bool:
        """Whether this UID is looked for."""
        return uid in self._uids

    def has_day(self, day: str) -> bool:
        """Whether this day, ``YYYYMMDD``, is looked for."""
        return day in self._days

    def _terms(self, text: str, tokens: list[Token]) -> Iterator[tuple[Span, Term]]:
        if self._whole:
            yield from self._wholes(text, tokens)
        if self._short_names:
            yield from self._beside_names(tokens)
        by_first = self._by_first
        for index, token in enumerate(tokens):
            matched = False
            for term in by_first.get(token.folded, ()):
                if matched and term.kind != "name":
                    continue  # the longest one, and a name beside it: names count in more places
                if _continues(tokens, index, term.tokens):
                    end = tokens[index + len(term.tokens) - 1].end
                    yield Span(token.start, end, term.kind), term
                    matched = True
                    if term.kind == "name":
                        break
            if self._unspaced is not None and _IS_UNSPACED.match(token.folded):
                yield from self._within(token)

    def _wholes(self, text: str, tokens: list[Token]) -> Iterator[tuple[Span, Term]]:
        """Short terms that are a whole value; a backslash may part several (PS3.5 6.4)."""
        values = [tokens] if "\\" not in text else _parted(text, tokens)
        for value in values:
            if 0 < len(value) <= 3:
                term = self._whole.get(tuple(token.folded for token in value))
                if term is not None:
                    yield Span(value[0].start, value[-1].end, term.kind), term

    def _beside_names(self, tokens: list[Token]) -> Iterator[tuple[Span, Term]]:
        """Short names that have another name near them."""
        if not any(token.folded in self._short_names for token in tokens):
            return
        named = [token for token in tokens if token.folded in self._names]
        for one, other in pairwise(named):
            if one.folded != other.folded and other.start - one.end <= _NEAR:
                for token in (one, other):
                    if token.folded in self._short_names:
                        term = Term("name", (token.folded,))
                        yield Span(token.start, token.end, "name"), term

    def _within(self, token: Token) -> Iterator[tuple[Span, Term]]:
        assert self._unspaced is not None
        for match in self._unspaced.finditer(token.folded):
            same = len(token.folded) == token.end - token.start  # else: the token as a whole
            start = token.start + match.start() if same else token.start
            end = token.start + match.end() if same else token.end
            yield Span(start, end, "name"), Term("name", (match.group(),))

    def _numbers(self, text: str, six_digits: bool) -> Iterator[Span]:
        if self._days:
            for found in written_dates(text, six_digits=six_digits):
                if not self._days.isdisjoint(found.days):
                    yield Span(found.start, found.end, "date")
        if self._uids:
            for match in _UID.finditer(text):
                if match.group() in self._uids:
                    yield Span(match.start(), match.end(), "uid")
        if self._phones:
            for match in _PHONE.finditer(text):
                digits = re.sub(r"\D", "", match.group())
                if digits[-_PHONE_TAIL:] in self._phones:
                    yield Span(match.start(), match.end(), "phone")


def _strongest(terms: Iterable[Term]) -> set[Term]:
    """Terms without the weak ones that are there as strong ones too."""
    found = set(terms)
    return {term for term in found if term.strong or term._replace(strong=True) not in found}


def _parted(text: str, tokens: list[Token]) -> list[list[Token]]:
    """Tokens of the single values of a text."""
    values: list[list[Token]] = [[]]
    end = 0
    for token in tokens:
        if "\\" in text[end : token.start]:
            values.append([])
        values[-1].append(token)
        end = token.end
    return values


def _continues(tokens: list[Token], index: int, wanted: tuple[str, ...]) -> bool:
    if index + len(wanted) > len(tokens):
        return False
    for offset in range(1, len(wanted)):
        token = tokens[index + offset]
        if token.folded != wanted[offset] or token.start - tokens[index + offset - 1].end > _GAP:
            return False
    return True
