"""Free text without what identifies (PS3.15 E.3.6, Clean Descriptors Option).

Three steps: what is known of the study goes (names, numbers, dates, addresses); what looks like
somebody's goes (e-mail, telephone, titles with names, labelled numbers, any date); and of the rest
stays what the lexicon of radiology knows. What is in doubt goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from isocenter.core.deid.policy import DEFAULT_POLICY, Policy
from isocenter.core.deid.proof.identifiers import Identifiers
from isocenter.core.deid.proof.searching import Search, normalized, technical_keywords
from isocenter.core.deid.text.date_notations import written_dates
from isocenter.core.deid.text.lexicon import Lexicon
from isocenter.core.deid.text.matching import Span, Token, tokens_of
from isocenter.core.deid.text.suspects import persons, suspects

_PROSE = frozenset(("LT", "ST", "UT"))
_PLAIN_VRS = frozenset(("AS", "DA", "DS", "DT", "IS", "TM", "UI"))
_MARK = "[...]"
_MOST_ROUNDS = 8
_UNITS = frozenset(
    """
    mm cm ml cc ms s sec msec hu kv kvp kev mev mv ma mas hz khz mhz gy cgy mgy usv msv mbq gbq
    mci kbq bq t deg mg g kg l min mu x px bpm ppm
    """.split()  # noqa: SIM905
)
_QUANTITIES = frozenset(
    """
    tr te ti ta fov b bval bvalue bw kvp ma mas hu wl ww c w venc etl tsl
    """.split()  # noqa: SIM905
)
_OLD = re.compile(r"\s*-?\s*(?:y\b|yo\b|yrs?\b|year|jahr|j\b|a[nñ]o|ans\b)", re.IGNORECASE)
_OLDEST = 89  # years of age that may be told (45 CFR 164.514(b)(2)(i)(C))


class Recognizer(Protocol):
    """Finds more that identifies, by a model or by rules of its own; it must work offline."""

    def find(self, text: str) -> Iterable[Span]:
        """Places in the text, which is NFC."""


class Cleaner:
    """Cleans the text of one study; implements the engine's ``TextCleaner``.

    Args:
        identifiers: of the study.
        lexicon: words that stay; default: the one that is shipped.
        policy: what its options retain is not looked for.
        recognizers: asked about free text as well.
    """

    def __init__(
        self,
        identifiers: Identifiers,
        lexicon: Lexicon | None = None,
        policy: Policy = DEFAULT_POLICY,
        *,
        recognizers: Sequence[Recognizer] = (),
    ) -> None:
        self._lexicon = lexicon or Lexicon.load()
        self._search = Search(identifiers.matcher(policy), self._lexicon)
        self._recognizers = tuple(recognizers)
        self._keep_dates = policy.dates == "keep"
        self._done: dict[tuple[str, str, str], tuple[str, list[str]]] = {}

    def clean(self, text: str, keyword: str, vr: str) -> tuple[str, list[str]]:
        """The cleaned text, and the kinds of what was taken out, each once, in order.

        Values that a backslash parts are cleaned one by one. Text in which nothing was found comes
        back as it is; cleaned text is NFC. Cleaning it again changes nothing.
        """
        key = (text, keyword, vr)
        found = self._done.get(key)
        if found is None:
            if len(self._done) > 4096:
                self._done.clear()
            found = self._done[key] = self._clean(text, keyword, vr)
        return found[0], list(found[1])

    def _clean(self, text: str, keyword: str, vr: str) -> tuple[str, list[str]]:
        if vr in _PLAIN_VRS or not text:
            return text, []
        values = [text] if vr in _PROSE else text.split("\\")
        kinds: list[str] = []
        cleaned = []
        for value in values:
            new, found = self._clean_value(value, keyword, vr)
            cleaned.append(new)
            kinds += found
        return "\\".join(cleaned), list(dict.fromkeys(kinds))

    def _clean_value(self, value: str, keyword: str, vr: str) -> tuple[str, list[str]]:
        is_technical = vr in ("CS", "AE") or keyword in technical_keywords()
        kinds: list[str] = []
        text = normalized(value)
        for _ in range(_MOST_ROUNDS):
            spans = self._search.spans(text, keyword, vr)
            spans += persons(text) if is_technical else suspects(text)
            if not is_technical:
                spans += self._doubtful(text)
            if not spans:
                return (text, kinds) if kinds else (value, [])
            kinds += [span.kind for span in spans]
            shorter = _without(text, spans, _MARK if vr in _PROSE else "")
            if shorter == text:
                break
            text = shorter
        return "", kinds

    def _doubtful(self, text: str) -> list[Span]:
        """What no lexicon, date or rule for numbers can vouch for."""
        spans = [span for recognizer in self._recognizers for span in recognizer.find(text)]
        if not self._keep_dates:
            spans += [Span(found.start, found.end, "date") for found in written_dates(text)]
        tokens = tokens_of(text)
        for first, last in _words(tokens):
            if not self._is_fine(text, tokens, first, last):
                is_number = first == last and tokens[first].folded.isdigit()
                kind = "number" if is_number else "word"
                spans.append(Span(tokens[first].start, tokens[last].end, kind))
        return spans

    def _is_fine(self, text: str, tokens: list[Token], first: int, last: int) -> bool:
        """Whether the tokens of one word may stay."""
        if first == last:
            folded = tokens[first].folded
            if folded.isdigit():
                return self._is_fine_number(text, tokens, first)
            return (len(folded) == 1 and folded.isascii()) or folded in self._lexicon
        joined = "".join(token.folded for token in tokens[first : last + 1])
        if self._lexicon.is_code(joined) or joined in self._lexicon:
            return True
        parts = [token.folded for token in tokens[first : last + 1]]
        fine = all(
            self._is_fine_number(text, tokens, first + index)
            if part.isdigit()
            else len(part) == 1 or part in self._lexicon
            for index, part in enumerate(parts)
        )
        words = [part for part in parts if not part.isdigit()]
        return fine and (any(len(part) > 1 for part in words) or words == ["x"])

    def _is_fine_number(self, text: str, tokens: list[Token], index: int) -> bool:
        """Up to three digits, or four with a unit behind or a quantity in front."""
        token = tokens[index]
        length = len(token.folded)
        if length <= 3:
            return int(token.folded) <= _OLDEST or not _OLD.match(text, token.end)
        if length > 4:
            return False
        after = tokens[index + 1].folded if index + 1 < len(tokens) else ""
        before = tokens[index - 1].folded if index else ""
        return after in _UNITS or before in _QUANTITIES


def _words(tokens: list[Token]) -> list[tuple[int, int]]:
    """Tokens that stand together without a gap, as first and last index."""
    words: list[tuple[int, int]] = []
    for index, token in enumerate(tokens):
        if words and token.start == tokens[index - 1].end:
            words[-1] = (words[-1][0], index)
        else:
            words.append((index, index))
    return words


_SPACES = re.compile(r"[ \t]{2,}")
_SEPARATORS = re.compile(r"([_^=/,;:|+&#*@.\-])(?:\s*[_^=/,;:|+&#*@.\-])+")
_EMPTY_BRACKETS = re.compile(r"\(\s*[.,;:\-/]*\s*\)|\[\s*\]|\{\s*\}|<\s*>|\"\s*\"")
_MARKS = re.compile(r"\[\.\.\.\](?:[\s,;:/^=_\-]*\[\.\.\.\])+")
_EDGES = " \t_^=/,;:|+&#*@-."


def _without(text: str, spans: list[Span], mark: str) -> str:
    """The text without the spans, and without the punctuation that was theirs."""
    pieces: list[str] = []
    position = 0
    for start, end in _merged(spans):
        pieces += [text[position:start], mark or " "]
        position = end
    text = "".join([*pieces, text[position:]])
    if mark:
        text = _MARKS.sub(mark, text)
        return _SPACES.sub(" ", text) if _letters(text.replace(mark, "")) else ""
    text = _EMPTY_BRACKETS.sub(" ", text)
    text = re.sub(r"\s+(?=[_^/,;:.)\]])|(?<=[_^/(\[])\s+", "", text)
    text = _SEPARATORS.sub(r"\1", text)
    text = _SPACES.sub(" ", text).strip(_EDGES)
    return text if _letters(text) else ""


def _letters(text: str) -> bool:
    return any(letter.isalnum() for letter in text)


def _merged(spans: list[Span]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end, _ in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
