"""A condition while somebody writes it: where it is wrong, and which stored studies it matches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from isocenter.apps.archive import queries as archive
from isocenter.apps.archive.models import Study
from isocenter.apps.routing.conditions import IDENTIFYING, check, explain, words_of
from isocenter.apps.routing.conditions.vocabulary import WORDS
from isocenter.apps.routing.matching import condition_facts
from isocenter.core.errors import ConditionError

NEWEST = 50
_PIECE = re.compile(r"\w+|\"(?:[^\"\\]|\\.)*\"?|[=!<>~]+|\S")

OPERATORS = (
    ("== !=", "is, is not", 'Modality == "CT"'),
    ("in, not in", "one of a list, or in ModalitiesInStudy", '"RTSTRUCT" in ModalitiesInStudy'),
    ("~ !~", "the text has this pattern (any case), has not", 'StudyDescription ~ "brain|head"'),
    ("< <= > >=", "numbers, dates, times", "NumberOfStudyRelatedInstances >= 20"),
    ("and, or, not", "together, with parentheses where needed", 'not Modality == "MR"'),
)
EXAMPLES = (
    ("CT studies with structures", 'Modality == "CT" and "RTSTRUCT" in ModalitiesInStudy'),
    ("From one system", 'SourceAETitle == "PLANNING"'),
    ("At night", 'TimeOfDay >= "20:00" or TimeOfDay < "06:00"'),
    ("No MR at all", 'not Modality == "MR"'),
)


@dataclass(frozen=True)
class CheckedCondition:
    """What is to be said of a condition.

    Attributes:
        before, wrong, after: the text, cut at what is wrong.
        start, end: the place of what is wrong, in characters.
    """

    is_ok: bool
    is_empty: bool = False
    message: str = ""
    suggestion: str = ""
    can_replace: bool = False
    before: str = ""
    wrong: str = ""
    after: str = ""
    start: int = 0
    end: int = 0


def checked(text: str) -> CheckedCondition:
    """Whether a condition can be used; if not, where and why."""
    try:
        tree = check(text)
    except ConditionError as error:
        return _wrong(text, error)
    return CheckedCondition(is_ok=True, is_empty=tree is None)


def _wrong(text: str, error: ConditionError) -> CheckedCondition:
    start = min(max(error.position, 0), len(text))
    found = _PIECE.match(text, start)
    end = found.end() if found else min(start + 1, len(text))
    # The list of all words stands in the help beside the field.
    message = str(error.args[0]).partition("; usable are ")[0]
    can_replace = bool(error.suggestion) and " " not in error.suggestion and end > start
    return CheckedCondition(
        is_ok=False,
        message=message[:1].upper() + message[1:],
        suggestion=error.suggestion,
        can_replace=can_replace,
        before=text[:start],
        wrong=text[start:end],
        after=text[end:],
        start=start,
        end=end,
    )


@dataclass(frozen=True)
class Tried:
    """What a condition says of one stored study."""

    study: Study
    matched: bool
    terms: tuple[Any, ...]  # conditions.Term


@dataclass(frozen=True)
class Trial:
    """What a condition says of stored studies."""

    rows: Sequence[Tried] = ()
    matched: int = 0
    problem: str = ""


def trial(text: str, search: str, *, identified: bool) -> Trial:
    """Ask a condition that is not kept yet about stored studies; nothing is started.

    Args:
        search: for studies by UID, patient, accession number, description; empty: the newest.
        identified: whether who asks may know whose studies they are.
    """
    try:
        tree = check(text)
    except ConditionError:
        return Trial(problem="The condition cannot be read yet; see above.")
    if not identified and words_of(tree) & IDENTIFYING:
        return Trial(problem="It asks who the patient is, which is not shown to you.")
    if search and not identified:
        studies = [item for item in archive.studies(limit=500) if _is_found(item, search)]
        studies = studies[:NEWEST]
    else:
        studies = archive.studies(search=search, limit=NEWEST)
    rows = []
    for study in studies:
        said = explain(tree, condition_facts(archive.study_facts(study)))
        rows.append(Tried(study, said.matched, said.terms))
    return Trial(rows, sum(row.matched for row in rows))


def _is_found(study: Study, search: str) -> bool:
    """Without looking at whose study it is: the answer would tell."""
    text = f"{study.study_uid} {study.study_description}".casefold()
    return search.casefold() in text


def vocabulary() -> list[dict[str, Any]]:
    """All words that a condition can use, by what they belong to."""
    groups: dict[str, list[Any]] = {"Study": [], "Series": [], "Sender and time": []}
    for item in WORDS.values():
        is_ours = item.meaning not in ("study attribute", "series attribute")
        place = "Sender and time" if is_ours else "Study" if item.level == "study" else "Series"
        kind = {"texts": "list of texts"}.get(item.type, item.type)
        groups[place].append(
            {"name": item.name, "type": kind, "meaning": item.meaning if is_ours else ""}
        )
    return [{"title": title, "words": words} for title, words in groups.items()]
