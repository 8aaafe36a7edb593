"""What becomes of one attribute that somebody names by keyword, name or tag."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache

from pydicom.datadict import DicomDictionary

from isocenter.apps.deid.fates import Outcome, outcome
from isocenter.core.deid.policy import Policy
from isocenter.core.deid.profile import explain
from isocenter.core.deid.standard.dictionary import NO_ATTRIBUTE, attribute
from isocenter.core.dicom.scanner import tag_text

MOST_CHARACTERS = 100
_MOST_SUGGESTIONS = 8
_TAG = re.compile(r"\(?\s*([0-9A-Fa-f]{4})[,\s]*([0-9A-Fa-f]{4})\s*\)?")
_FILE_META = 0x0002
#: Kinds of objects in which the same attribute may be more or less needed.
_KINDS = {
    "CT image": "1.2.840.10008.5.1.4.1.1.2",
    "MR image": "1.2.840.10008.5.1.4.1.1.4",
    "enhanced MR": "1.2.840.10008.5.1.4.1.1.4.1",
    "ultrasound": "1.2.840.10008.5.1.4.1.1.6.1",
    "RT structure set": "1.2.840.10008.5.1.4.1.1.481.3",
    "structured report": "1.2.840.10008.5.1.4.1.1.88.33",
}


@dataclass(frozen=True)
class Suggestion:
    """An attribute that may have been meant."""

    keyword: str
    name: str


@dataclass(frozen=True)
class InKinds:
    """What becomes of it in some kinds of objects; ``kinds`` is empty where it is all the same."""

    outcome: Outcome
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """What is to be said of what somebody asked for.

    Attributes:
        tag: as ``(0010,0030)``; empty where no attribute was found.
        outcomes: one, or several where kinds of objects differ.
        note: said in place of outcomes.
        lines: the standard's words, for those who know them.
        suggestions: where nothing was found.
    """

    asked: str
    tag: str = ""
    keyword: str = ""
    name: str = ""
    outcomes: tuple[InKinds, ...] = ()
    note: str = ""
    lines: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()


def told(text: str, policy: Policy) -> Told:
    """What a policy makes of the attribute that a text names."""
    asked = " ".join(text[:MOST_CHARACTERS].split())
    if not asked:
        return Told("")
    tag = find(asked)
    if tag is None:
        return Told(asked, suggestions=suggestions(asked))
    known = attribute(tag)
    name = str(DicomDictionary[tag][2]) if tag in DicomDictionary else ""
    note = _note(tag, policy)
    return Told(
        asked,
        tag_text(tag),
        known.keyword,
        name or known.keyword,
        () if note else _outcomes(tag, policy),
        note,
        tuple(explain(tag, policy)),
    )


def find(text: str) -> int | None:
    """The tag of an attribute by tag, keyword or name in any case; None if there is none."""
    if matched := _TAG.fullmatch(text.strip()):
        return int(matched[1] + matched[2], 16)
    return _by_words().get(_folded(text))


def suggestions(text: str) -> tuple[Suggestion, ...]:
    """Attributes whose keyword or name has all words of a text, or is written nearly so."""
    words = [_folded(word) for word in text.split()]
    wanted = [word for word in words if word]
    if not wanted:
        return ()
    hits = [tag for key, tag in _by_words().items() if all(word in key for word in wanted)]
    if not hits:
        near = difflib.get_close_matches("".join(wanted), _by_words(), n=_MOST_SUGGESTIONS)
        hits = [_by_words()[key] for key in near]
    first = sorted(dict.fromkeys(hits), key=lambda tag: (len(attribute(tag).keyword), tag))
    return tuple(
        Suggestion(attribute(tag).keyword, str(DicomDictionary[tag][2]))
        for tag in first[:_MOST_SUGGESTIONS]
    )


def _outcomes(tag: int, policy: Policy) -> tuple[InKinds, ...]:
    found: dict[Outcome, list[str]] = {}
    for kind, sop_class_uid in _KINDS.items():
        found.setdefault(outcome(policy, sop_class_uid, tag), []).append(kind)
    if len(found) == 1:
        return tuple(InKinds(one) for one in found)
    return tuple(InKinds(one, tuple(kinds)) for one, kinds in found.items())


def _note(tag: int, policy: Policy) -> str:
    if tag >> 16 == _FILE_META:
        return "written anew: nothing of the original's file head leaves"
    if tag >> 16 & 1:
        kept = policy.private_keep or "retain-safe-private" in policy.options
        rest = ", unless the safe list or yours names it together with its maker" if kept else ""
        fits = policy.rules is not None and policy.rules.touches(tag)
        own = "; one of your rules may fit it and goes first" if fits else ""
        return f"private, of one maker: removed{rest}{own}"
    if attribute(tag) is NO_ATTRIBUTE:
        return "removed: it is in no edition of the standard that is known here"
    return ""


def _folded(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())


@cache
def _by_words() -> dict[str, int]:
    """Tags by folded keyword and folded name."""
    found: dict[str, int] = {}
    for tag, (_, _, name, _, keyword) in DicomDictionary.items():
        if keyword:
            found.setdefault(_folded(keyword), tag)
            found.setdefault(_folded(name), tag)
    return found
