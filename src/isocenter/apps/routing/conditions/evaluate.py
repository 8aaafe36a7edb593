"""Whether a study matches a condition, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from isocenter.apps.routing.conditions.parser import render
from isocenter.apps.routing.conditions.pattern import compile_pattern
from isocenter.apps.routing.conditions.syntax import (
    And,
    Compare,
    Expression,
    Keyword,
    ListOf,
    Literal,
    Not,
    Operand,
    Or,
)
from isocenter.apps.routing.conditions.typecheck import is_series_term
from isocenter.apps.routing.conditions.vocabulary import WEEKDAYS

MAX_SEARCHED = 1024  # characters of a value that ~ looks at
MAX_LISTED = 5  # values that a sentence names

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Term:
    """One term of the condition and what the study says to it."""

    text: str
    holds: bool
    sentence: str


@dataclass(frozen=True)
class Explanation:
    matched: bool
    terms: tuple[Term, ...]

    @property
    def sentence(self) -> str:
        """What decided it, in one line."""
        if not self.terms:
            return "no condition: every study matches"
        if self.matched:
            return "matches: " + "; ".join(term.sentence for term in self.terms if term.holds)
        return "does not match: " + "; ".join(
            term.sentence for term in self.terms if not term.holds
        )


@dataclass(frozen=True)
class _Facts:
    study: Values
    series: Sequence[Values]
    clock: Values


def explain(tree: Expression | None, facts: Values) -> Explanation:
    """Evaluate a checked condition.

    Args:
        tree: what `check` gave.
        facts: study attributes by keyword, ``series`` (a list of attributes by keyword) and
            ``now`` (an aware datetime in the local time zone).
    """
    if tree is None:
        return Explanation(True, ())
    now: datetime = facts["now"]
    known = _Facts(facts, facts.get("series", ()), _clock(now))
    terms: list[Term] = []
    return Explanation(_evaluate(tree, known, terms), tuple(terms))


def _clock(now: datetime) -> Values:
    return {
        "Now": now.strftime("%Y-%m-%dT%H:%M:%S"),
        "TimeOfDay": now.strftime("%H:%M:%S"),
        "Weekday": WEEKDAYS[now.weekday()],
    }


def _evaluate(tree: Expression, facts: _Facts, terms: list[Term]) -> bool:
    # Every term is evaluated, also when the answer is clear already: the list is for people.
    if is_series_term(tree):
        return _some_series(tree, facts, terms)
    match tree:
        case Compare():
            return _study_term(tree, facts, terms)
        case Not(term=term):
            return _negated(term, facts, terms)
        case Or(terms=parts):
            results = [_evaluate(part, facts, terms) for part in parts]
            return any(results)
        case And(terms=parts):
            return _all(parts, facts, terms)


def _all(parts: tuple[Expression, ...], facts: _Facts, terms: list[Term]) -> bool:
    joined = [part for part in parts if is_series_term(part)]
    others = [part for part in parts if not is_series_term(part)]
    results = []
    if joined:
        group = joined[0] if len(joined) == 1 else And(tuple(joined))
        results.append(_some_series(group, facts, terms))
    results += [_evaluate(part, facts, terms) for part in others]
    return all(results)


def _negated(tree: Expression, facts: _Facts, terms: list[Term]) -> bool:
    inner: list[Term] = []
    holds = not _evaluate(tree, facts, inner)
    text = f"not ({render(tree)})"
    reasons = "; ".join(term.sentence for term in inner)
    terms.append(Term(text, holds, f"{text}: {'yes' if holds else 'no'}, because {reasons}"))
    return holds


def _study_term(term: Compare, facts: _Facts, terms: list[Term]) -> bool:
    values = {**facts.study, **facts.clock}
    holds = _compare(term, values)
    shown = ", ".join(
        f"{side.name} is {_show(_value(side, values))}"
        for side in (term.left, term.right)
        if isinstance(side, Keyword)
    )
    verdict = "yes" if holds else "no"
    terms.append(Term(render(term), holds, f"{render(term)}: {verdict}, {shown}"))
    return holds


def _some_series(tree: Expression, facts: _Facts, terms: list[Term]) -> bool:
    text = render(tree)
    having = [
        series
        for series in facts.series
        if _series_holds(tree, {**facts.study, **facts.clock, **series})
    ]
    if having:
        named = ", ".join(_series_name(series) for series in having[:MAX_LISTED])
        more = f" and {len(having) - MAX_LISTED} more" if len(having) > MAX_LISTED else ""
        sentence = f"{text}: yes, series {named}{more}"
    else:
        found = "; ".join(_found(name, facts.series) for name in _names(tree))
        sentence = f"{text}: no series{' has all of it' if _is_joined(tree) else ''}, {found}"
    terms.append(Term(text, bool(having), sentence))
    return bool(having)


def _series_holds(tree: Expression, values: Values) -> bool:
    match tree:
        case Compare():
            return _compare(tree, values)
        case And(terms=parts):
            return all(_series_holds(part, values) for part in parts)
        case Or(terms=parts):
            return any(_series_holds(part, values) for part in parts)
        case Not(term=term):
            return not _series_holds(term, values)


def _compare(term: Compare, values: Values) -> bool:
    left, right = _value(term.left, values), _value(term.right, values)
    match term.operator:
        case "==":
            return bool(_same(left, right))
        case "!=":
            return not _same(left, right)
        case "in":
            return any(_same(left, item) for item in _items(right))
        case "not in":
            return not any(_same(left, item) for item in _items(right))
        case "~":
            return _matches(left, str(right))
        case "!~":
            return not _matches(left, str(right))
        case operator:
            return _ordered(operator, left, right)


def _same(left: object, right: object) -> bool:
    # CS and UI values are padded with spaces by some senders, which PS3.5 6.2 says mean nothing.
    if isinstance(left, str) and isinstance(right, str):
        return left.strip() == right.strip()
    return left == right


def _ordered(operator: str, left: Any, right: Any) -> bool:
    # An attribute that the study does not have is neither smaller nor larger than anything.
    if left in (None, "") or right in (None, ""):
        return False
    return bool(
        {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]
    )


def _matches(value: Any, pattern: str) -> bool:
    compiled = compile_pattern(pattern)
    return any(compiled.search(str(item)[:MAX_SEARCHED]) for item in _items(value))


def _items(value: Any) -> Sequence[Any]:
    if value is None:
        return ("",)
    return value if isinstance(value, list | tuple) else (value,)


def _value(operand: Operand, values: Values) -> Any:
    match operand:
        case Literal(value=value):
            return value
        case ListOf(items=items):
            return [item.value for item in items]
        case Keyword(name=name):
            found = values.get(name)
            return "" if found is None and name not in _NUMBERS else found


_NUMBERS = frozenset(
    {
        "SeriesNumber",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "NumberOfSeriesRelatedInstances",
    }
)


def _show(value: Any) -> str:
    if value in (None, "", []):
        return "empty"
    return ", ".join(str(item)[:80] for item in _items(value))


def _series_name(series: Values) -> str:
    number = series.get("SeriesNumber")
    modality = series.get("Modality") or "no modality"
    return f"{'?' if number is None else number} ({modality})"


def _names(tree: Expression) -> list[str]:
    match tree:
        case Compare(left=left, right=right):
            return [side.name for side in (left, right) if isinstance(side, Keyword)]
        case Not(term=term):
            return _names(term)
        case And(terms=parts) | Or(terms=parts):
            return list(dict.fromkeys(name for part in parts for name in _names(part)))


def _is_joined(tree: Expression) -> bool:
    return isinstance(tree, And)


def _found(name: str, series: Sequence[Values]) -> str:
    if not series:
        return "the study has no series"
    shown = list(dict.fromkeys(_show(item.get(name)) for item in series))
    more = f" and {len(shown) - MAX_LISTED} more" if len(shown) > MAX_LISTED else ""
    return f"{name} is {', '.join(shown[:MAX_LISTED])}{more}"
