"""What is asked of the index, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from isocenter.apps.archive.search.attributes import ATTRIBUTES, SEARCHABLE, Level
from isocenter.core.errors import DicomError, IsocenterError

#: Values of an attribute; () is an empty one. Items of a sequence are mappings of tag to value.
Value = tuple["str | int | float | Mapping[int, Value]", ...]


class QuestionError(DicomError):
    """A matching text that makes no sense for its attribute: a range that is none, a wild card in
    a UID. The message names the attribute and never the text."""


class IndexNotReady(IsocenterError):
    """Studies that were here before this version are being made searchable; ask again later."""


@dataclass(frozen=True)
class Question:
    """What is asked (PS3.4 C.2.2.1).

    Keys that are not in ``SEARCHABLE[level]`` match everything, as optional keys do that an SCP
    does not support; `unsupported` names them. Texts are as a person would write them: trailing
    spaces say nothing.

    Attributes:
        level: what is wanted: patients, studies, series or instances.
        keys: tag → matching text (PS3.4 C.2.2.2); backslashes separate alternatives; empty or
            ``*`` matches everything.
        sequence_keys: (tag of the sequence, tag inside its items) → text. One item has to match
            all the keys of its sequence.
        returns: attributes wanted beside those that the level always answers; `ALL` for all.
        fuzzy: words of a person's name match beginnings of words, in any order.
        identified: False for those who may not see identities: identifying keys are refused and
            identifying attributes left out of the answers.
        limit: most answers; None: all.
        offset: answers that are passed over.
        combined: a range of Study Date and one of Study Time are one range of moments
            (PS3.4 C.2.2.2.5.3; for DIMSE only when both sides agreed on it).
        is_bare: only what is asked for is answered, not what the level always answers.
    """

    level: Level
    keys: Mapping[int, str]
    sequence_keys: Mapping[tuple[int, int], str] = field(default_factory=dict)
    returns: frozenset[int] = frozenset()
    fuzzy: bool = False
    identified: bool = True
    limit: int | None = None
    offset: int = 0
    combined: bool = True
    is_bare: bool = False


class Match(NamedTuple):
    """One answer: its values, and the UIDs of what it is, empty below its level. A tuple, as
    hundreds are made for one question."""

    values: Mapping[int, Value]
    study_uid: str = ""
    series_uid: str = ""
    sop_uid: str = ""


def unsupported(question: Question) -> frozenset[int]:
    """Keys and wanted attributes that this level does not know."""
    known = SEARCHABLE[question.level]
    sequences = {sequence for sequence, _ in question.sequence_keys}
    asked = {*question.keys, *question.returns, *sequences}
    inside = {
        tag
        for sequence, tag in question.sequence_keys
        if sequence in known and tag not in known[sequence].items
    }
    return frozenset(asked - known.keys()) | frozenset(inside)


def name_of(tag: int) -> str:
    """``PatientName (0010,0010)``."""
    keyword = ATTRIBUTES[tag].keyword if tag in ATTRIBUTES else ""
    return f"{keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X})".strip()
