"""Where a value shows one of a study's identifiers: the one definition for cleaner and verifier.

A hit (see the specification of de-identification): a term of four letters and digits or more as
whole tokens anywhere in the text; a shorter one as the whole value. What a term cannot mean in a
given attribute is no hit: patients are called ``Chest^Phantom`` and numbered ``7``, and neither
makes a code or a defined term identify them. Attributes are of four kinds:

- free text: every hit counts;
- names of things (Manufacturer, SegmentLabel, SoftwareVersions …): names of people count, be they
  words of the lexicon or not; other terms if they are more than words of the lexicon;
- code meanings: as names of things, unless they are word for word the standard's (PS3.16);
- defined terms (VR CS, coding schemes): a word of the lexicon is the term, two names are a person.
"""

from __future__ import annotations

import unicodedata
from functools import cache

from isocenter.core.deid.standard.dictionary import attribute
from isocenter.core.deid.standard.keep_list import keep_list
from isocenter.core.deid.text.lexicon import Lexicon
from isocenter.core.deid.text.matching import LONG_TERM, Matcher, Span, tokens_of
from isocenter.core.deid.text.standard_terms import is_standard_code, is_standard_meaning

#: Text that people write as they like (PS3.5 6.2).
FREE_TEXT_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_MEANING_KEYWORD = "CodeMeaning"
#: Attributes of other VRs than CS whose values the standard, or a coding scheme, defines.
_DEFINED_KEYWORDS = frozenset(
    (
        "CodingSchemeDesignator",
        "CodingSchemeVersion",
        "CodingSchemeURL",
        "CodingSchemeRegistry",
        "CodingSchemeExternalID",
        "CodingSchemeName",
        "CodingSchemeResponsibleOrganization",
        "MappingResourceName",
        "ImagedNucleus",
    )
)
_CONTEXT_GROUP = "ContextIdentifier"  # its numbers of two to five digits are the standard's
_CODE_KEYWORDS = frozenset(("CodeValue", "LongCodeValue", "URNCodeValue", _CONTEXT_GROUP))
# Digits; shorter numbers are codes as well, unless they are the patient's: those count from six
# on, and as whole values from four on.
_LONG_NUMBER, _PART_OF_CODE = 8, 6


@cache
def technical_keywords() -> frozenset[str]:
    """Attributes that name things, codes and settings: the keep list's."""
    return frozenset(
        attribute(tag).keyword for tag, listed in keep_list().items() if listed == "keep"
    )


class Search:
    """Looks for a study's identifiers in values.

    Args:
        matcher: what is looked for.
        lexicon: words that identify nobody where they are a code or a defined term.
    """

    def __init__(self, matcher: Matcher, lexicon: Lexicon) -> None:
        self._matcher = matcher
        self._lexicon = lexicon

    def spans(self, text: str, keyword: str, vr: str) -> list[Span]:
        """Where one value shows an identifier.

        Args:
            text: one value, NFC.
            keyword: of the attribute; empty for private and unknown ones.
            vr: of the attribute.
        """
        if keyword in _CODE_KEYWORDS:
            spans = self._matcher.find(text, six_digits=False)  # which codes of schemes have
            spans = [span for span in spans if _is_no_code(text, span, keyword)]
            return [] if spans and is_standard_code(text) else spans
        if vr == "CS" or keyword in _DEFINED_KEYWORDS:
            spans = self._matcher.find(text)
            return [span for span in spans if self._is_no_term(text, span)]
        if keyword in technical_keywords():
            found = self._of_things(text)
            is_meaning = keyword == _MEANING_KEYWORD
            return [] if found and is_meaning and is_standard_meaning(text) else found
        return self._matcher.find(text, six_digits=vr in FREE_TEXT_VRS)

    def spans_of_values(self, text: str, keyword: str, vr: str) -> list[Span]:
        """The same for several values that a backslash parts (PS3.5 6.4)."""
        if "\\" not in text or vr in ("LT", "ST", "UT"):
            return self.spans(text, keyword, vr)
        return [
            span for value in text.split("\\") for span in self.spans(value.strip(), keyword, vr)
        ]

    def _of_things(self, text: str) -> list[Span]:
        """What is more than a word of the trade in a value that names a thing."""
        spans = self._matcher.find(text)
        if not spans:
            return spans
        named = {span for span in self._matcher.find(text, strong_only=True) if span.kind == "name"}
        return [span for span in spans if span in named or self._says_something(text, span)]

    def _is_no_term(self, text: str, span: Span) -> bool:
        """Whether a place in a defined term is more than that: ``HEAD`` is one, ``HEAD LONG`` no
        one's but the patient's."""
        if span.kind == "name":
            found = tokens_of(text[span.start : span.end])
            if sum(len(token.folded) > 1 for token in found) > 1:
                return True
        return self._says_something(text, span)

    def _says_something(self, text: str, span: Span) -> bool:
        """Whether a place in a technical value is more than a word of the trade."""
        found = tokens_of(text[span.start : span.end])
        if sum(len(token.folded) for token in found) < LONG_TERM:
            return False
        return not all(token.folded in self._lexicon for token in found)


def _is_no_code(text: str, span: Span, keyword: str) -> bool:
    """Whether a place in a code value is the patient's."""
    value = text[span.start : span.end]
    if len(value) < LONG_TERM:
        return False
    if not value.isdigit() or len(value) >= _LONG_NUMBER:
        return True
    if span.kind != "id" or keyword == _CONTEXT_GROUP:
        return False
    return len(value) >= _PART_OF_CODE or value == text.strip()


def normalized(text: str) -> str:
    """NFC, which terms are in."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def readings(raw: bytes) -> list[str]:
    """Bytes that are not ASCII as text in other codings than the one that should be in force."""
    found = [raw.decode("latin-1")]
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        if encoding != "utf-8" and raw.count(b"\0") * 4 < len(raw):
            continue
        found.append(raw.decode(encoding, "ignore"))
    if b"\0" in raw:
        found.append(raw.replace(b"\0", b"").decode("latin-1"))
    return [unicodedata.normalize("NFC", text) for text in found]
