"""What is wrong with a condition, before any study comes."""

from __future__ import annotations

import re

from isocenter.apps.routing.conditions.lexer import quote
from isocenter.apps.routing.conditions.parser import parse, render
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
from isocenter.apps.routing.conditions.vocabulary import (
    WEEKDAYS,
    WORDS,
    Type,
    Word,
    is_almost_a_word,
    is_dicom,
    word,
)
from isocenter.core.errors import ConditionError

_FORMS: dict[Type, tuple[re.Pattern[str], str]] = {
    "date": (re.compile(r"(\d{8})?"), 'YYYYMMDD, for example "20261231"'),
    "time": (re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?"), 'HH:MM, for example "18:00"'),
    "moment": (
        re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?)?"),
        'YYYY-MM-DDTHH:MM, for example "2026-12-31T18:00"',
    ),
    "weekday": (re.compile("|".join(WEEKDAYS)), "one of " + " ".join(WEEKDAYS)),
}


def check(source: str) -> Expression | None:
    """Parse a condition and check its words and types.

    Raises:
        ConditionError: with position and, where there is one, the nearest valid word.
    """
    tree = parse(source)
    if tree is not None:
        _check(tree)
    return tree


def word_of(term: Compare) -> Word:
    """The word that a term asks about (of two, the one of the series)."""
    words = [
        _word(side, other)
        for side, other in ((term.left, term.right), (term.right, term.left))
        if isinstance(side, Keyword)
    ]
    if not words:
        raise ConditionError(
            f"character {term.position + 1}: {render(term)} asks about no attribute",
            position=term.position,
        )
    return next((item for item in words if item.level == "series"), words[0])


def _word(side: Keyword, other: Operand) -> Word:
    """The word of a side; beside a word that is one, another is most likely a text."""
    try:
        return word(side.name, side.position)
    except ConditionError as error:
        is_word_beside = isinstance(other, Keyword) and other.name in WORDS
        if is_dicom(side.name) or not is_word_beside or is_almost_a_word(side.name):
            raise
        raise ConditionError(
            f"character {side.position + 1}: {side.name} is no DICOM keyword, "
            "and a text stands in quotes",
            position=side.position,
            suggestion=quote(side.name),
        ) from error


def words_of(tree: Expression | None) -> frozenset[str]:
    """The names of all words that a condition asks about."""
    match tree:
        case None:
            return frozenset()
        case Compare(left=left, right=right):
            return frozenset(side.name for side in (left, right) if isinstance(side, Keyword))
        case Not(term=term):
            return words_of(term)
        case And(terms=terms) | Or(terms=terms):
            return frozenset().union(*(words_of(term) for term in terms))


def is_series_term(tree: Expression) -> bool:
    """Whether a tree asks about one series: comparisons of series words, no ``not``."""
    match tree:
        case Compare():
            return word_of(tree).level == "series"
        case And(terms=terms) | Or(terms=terms):
            return all(is_series_term(term) for term in terms)
        case Not():
            return False


def _check(tree: Expression) -> None:
    match tree:
        case Compare():
            _check_term(tree)
        case Not(term=term):
            _check(term)
        case And(terms=terms):
            for term in terms:
                _check(term)
            _check_same_series(tree)
        case Or(terms=terms):
            for term in terms:
                _check(term)


def _check_same_series(tree: And) -> None:
    demanded: dict[str, Literal] = {}
    for term in tree.terms:
        if not (isinstance(term, Compare) and term.operator == "==" and is_series_term(term)):
            continue
        if not (isinstance(term.left, Keyword) and isinstance(term.right, Literal)):
            continue
        name, value = term.left.name, term.right
        other = demanded.setdefault(name, value)
        if other.value != value.value:
            is_modality = name == "Modality"
            raise ConditionError(
                f"character {term.position + 1}: no single series has both {name} "
                f"{render(other)} and {render(value)}; series terms joined by and speak of one "
                "series",
                position=term.position,
                suggestion=f"{render(value)} in ModalitiesInStudy" if is_modality else "",
            )


def _check_term(term: Compare) -> None:
    word_of(term)
    if isinstance(term.left, ListOf):
        raise _error(term, "a list can only stand on the right of in")
    match term.operator:
        case "in" | "not in":
            _check_membership(term)
        case "~" | "!~":
            _check_search(term)
        case _:
            _check_order(term)


def _check_membership(term: Compare) -> None:
    if isinstance(term.right, ListOf):
        if _type(term.left) == "texts":
            raise _error(term, f"write it the other way round: value in {render(term.left)}")
        for item in term.right.items:
            _check_pair(term, term.left, item)
        return
    if _type(term.right) != "texts":
        raise _error(
            term,
            f"{render(term.right)} is no list; in wants a [list] or ModalitiesInStudy",
            suggestion="~ (search in a text)" if _type(term.right) == "text" else "",
        )
    if _type(term.left) != "text":
        raise _error(term, f"{render(term.left)} is no text, and the list holds texts")


def _check_search(term: Compare) -> None:
    if not isinstance(term.left, Keyword) or _type(term.left) == "number":
        raise _error(term, f"{term.operator} searches in a text attribute, which stands left")
    if not isinstance(term.right, Literal) or not isinstance(term.right.value, str):
        raise _error(term, f"{term.operator} wants a pattern in quotes on its right")
    compile_pattern(term.right.value, term.right.position)


def _check_order(term: Compare) -> None:
    for side in (term.left, term.right):
        if isinstance(side, ListOf):
            raise _error(term, f"{term.operator} does not compare lists", suggestion="in")
        if _type(side) == "texts":
            raise _error(
                term,
                f"{render(side)} holds several values",
                suggestion=f'"CT" in {render(side)}',
            )
        if _type(side) == "weekday" and term.operator not in ("==", "!="):
            raise _error(term, "days of the week have no order", suggestion="in")
    _check_pair(term, term.left, term.right)


def _check_pair(term: Compare, left: Operand, right: Operand) -> None:
    if isinstance(right, Keyword) and not isinstance(left, Keyword):
        left, right = right, left
    wanted, given = _type(left), _type(right)
    if wanted in _FORMS and isinstance(right, Literal):
        form, example = _FORMS[wanted]
        if not (isinstance(right.value, str) and form.fullmatch(right.value)):
            raise _error(term, f"{render(left)} is compared with {render(right)}, not {example}")
        return
    if wanted != given:
        raise _error(
            term,
            f"{render(left)} is a {wanted}, {render(right)} is a {given}",
            suggestion=_converted(wanted, right),
        )


def _converted(wanted: Type, right: Operand) -> str:
    if not isinstance(right, Literal):
        return ""
    if wanted == "text":
        return f'"{right.value}"'
    text = str(right.value).strip()
    return text if wanted == "number" and re.fullmatch(r"-?[0-9]{1,18}", text) else ""


def _type(operand: Operand) -> Type:
    match operand:
        case Keyword(name=name, position=position):
            return word(name, position).type
        case Literal(value=str()):
            return "text"
        case Literal():
            return "number"
        case ListOf():
            return "texts"


def _error(term: Compare, message: str, *, suggestion: str = "") -> ConditionError:
    return ConditionError(
        f"character {term.position + 1}: {message}", position=term.position, suggestion=suggestion
    )
