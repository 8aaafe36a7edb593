"""The tree of a condition.

Positions are left out of comparison, so that ``parse(render(tree)) == tree``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal as OneOf

Operator = OneOf["==", "!=", "<", "<=", ">", ">=", "in", "not in", "~", "!~"]
OPERATORS: tuple[Operator, ...] = ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "~", "!~")


@dataclass(frozen=True)
class Literal:
    """A text or a number."""

    value: str | int | float
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class ListOf:
    """A list of literals: ``["CT", "MR"]``."""

    items: tuple[Literal, ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Keyword:
    """A DICOM keyword, or one of ours such as ``SourceAETitle``."""

    name: str
    position: int = field(default=0, compare=False)


Operand = Literal | ListOf | Keyword


@dataclass(frozen=True)
class Compare:
    """One term."""

    left: Operand
    operator: Operator
    right: Operand
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Not:
    term: Expression


@dataclass(frozen=True)
class And:
    terms: tuple[Expression, ...]  # two or more, none of them an And


@dataclass(frozen=True)
class Or:
    terms: tuple[Expression, ...]  # two or more, none of them an Or


Expression = Compare | Not | And | Or
