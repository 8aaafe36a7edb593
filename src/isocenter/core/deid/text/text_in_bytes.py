"""Text in values that should be numbers: palettes, indices, lengths (VR OD, OF, OL, OV, OW)."""

from __future__ import annotations

from isocenter.core.deid.text.matching import LONG_TERM, Matcher, tokens_of

#: Letters and digits of a term that chance does not make of numbers.
LARGE_TERM = 7
_PRINTABLE = bytes((*range(0x20, 0x7F), 9, 10, 13))
_LETTERS_AND_DIGITS = bytes(
    code for code in range(256) if chr(code).isascii() and chr(code).isalnum()
)
_MOST_OTHERS = 10  # one byte in so many


def is_text_like(raw: bytes) -> bool:
    """Whether bytes read as text: nine of ten are printable ASCII, not counting NUL."""
    bare = raw.replace(b"\0", b"")
    if len(bare) < LONG_TERM:
        return False
    others = len(bare.translate(None, _PRINTABLE))
    has_words = len(bare.translate(None, _LETTERS_AND_DIGITS)) * 2 < len(bare)
    return has_words and others * _MOST_OTHERS <= len(bare)


def least_term(raw: bytes) -> int:
    """How many letters and digits a term has at least that says something in these bytes."""
    return LONG_TERM if is_text_like(raw) else LARGE_TERM


def says_term(matcher: Matcher, texts: list[str], least: int) -> bool:
    """Whether a term of so many letters and digits is in one of the readings of a value."""
    return any(
        sum(len(token.folded) for token in tokens_of(text[span.start : span.end])) >= least
        for text in texts
        for span in matcher.find(text, six_digits=False)
    )
