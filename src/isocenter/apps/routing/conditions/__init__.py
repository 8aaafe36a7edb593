"""Conditions of routes: a small, safe language over DICOM keywords.

::

    Modality == "CT" and "RTSTRUCT" in ModalitiesInStudy and StudyDescription ~ "brain"

`parse` reads, `check` names what is wrong before a study ever comes, `explain` says for a study
what each term was and why. Nothing is ever executed; the only error is `ConditionError`.

Terms about a series (``Modality``, ``SeriesDescription`` …) ask for *some* series. Series terms
joined by one ``and`` ask for one series that has them all. ``not`` speaks of the whole study:
``not Modality == "MR"`` is "no series is MR", while ``Modality != "MR"`` is "some series is not
MR". An empty condition is true for every study.
"""

from __future__ import annotations

from isocenter.apps.routing.conditions.evaluate import Explanation, Term, explain
from isocenter.apps.routing.conditions.parser import parse, render
from isocenter.apps.routing.conditions.syntax import (
    And,
    Compare,
    Expression,
    Keyword,
    ListOf,
    Literal,
    Not,
    Or,
)
from isocenter.apps.routing.conditions.typecheck import check, words_of
from isocenter.apps.routing.conditions.vocabulary import IDENTIFYING

__all__ = [
    "IDENTIFYING",
    "And",
    "Compare",
    "Explanation",
    "Expression",
    "Keyword",
    "ListOf",
    "Literal",
    "Not",
    "Or",
    "Term",
    "check",
    "explain",
    "parse",
    "render",
    "words_of",
]
