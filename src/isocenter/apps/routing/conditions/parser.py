"""Tokens → tree, and tree → text. ``not`` binds tighter than ``and``, ``and`` than ``or``."""

from __future__ import annotations

from isocenter.apps.routing.conditions.lexer import Token, quote, tokens
from isocenter.apps.routing.conditions.syntax import (
    And,
    Compare,
    Expression,
    Keyword,
    ListOf,
    Literal,
    Not,
    Operand,
    Operator,
    Or,
)
from isocenter.core.errors import ConditionError

MAX_DEPTH = 50
_WORDS = {"and", "or", "not", "in"}


def parse(source: str) -> Expression | None:
    """Read a condition; None for an empty one, which is true for every study.

    Raises:
        ConditionError: with the position of what cannot be read.
    """
    parser = _Parser(list(tokens(source)))
    if parser.current.kind == "end":
        return None
    tree = parser.either()
    parser.expect_end()
    return tree


def render(tree: Expression | Operand | None) -> str:
    """The text of a tree; `parse` gives the same tree back."""
    match tree:
        case None:
            return ""
        case Literal(value=str() as text):
            return quote(text)
        case Literal(value=number):
            return _number(number)
        case ListOf(items=items):
            return "[" + ", ".join(render(item) for item in items) + "]"
        case Keyword(name=name):
            return name
        case Compare(left=left, operator=operator, right=right):
            return f"{render(left)} {operator} {render(right)}"
        case Not(term=term):
            return f"not {_inside(term, And, Or)}"
        case And(terms=terms):
            return " and ".join(_inside(term, Or) for term in terms)
        case Or(terms=terms):
            return " or ".join(render(term) for term in terms)


def _number(value: str | int | float) -> str:
    return repr(value) if isinstance(value, int) else format(float(value), "f")


def _inside(term: Expression, *weaker: type) -> str:
    return f"({render(term)})" if isinstance(term, weaker) else render(term)


class _Parser:
    def __init__(self, stream: list[Token]) -> None:
        self._stream = stream
        self._index = 0
        self._depth = 0

    @property
    def current(self) -> Token:
        return self._stream[self._index]

    def _advance(self) -> Token:
        token = self.current
        self._index += 1
        return token

    def _is_word(self, *words: str) -> bool:
        return self.current.kind == "word" and self.current.text in words

    def _is_mark(self, mark: str) -> bool:
        return self.current.kind == "mark" and self.current.text == mark

    def _error(self, expected: str, *, is_value: bool = False) -> ConditionError:
        token = self.current
        found = "the end" if token.kind == "end" else repr(token.text)
        lower = token.text.lower()
        is_bare = is_value and token.kind == "word" and lower not in _WORDS
        is_shouted = token.kind == "word" and lower in _WORDS and token.text != lower
        return ConditionError(
            f"character {token.position + 1}: expected {expected}, found {found}",
            position=token.position,
            suggestion=quote(token.text) if is_bare else lower if is_shouted else "",
        )

    def expect_end(self) -> None:
        if self.current.kind != "end":
            raise self._error("and, or, or the end")

    def either(self) -> Expression:
        terms = [self._both()]
        while self._is_word("or"):
            self._advance()
            terms.append(self._both())
        return terms[0] if len(terms) == 1 else Or(_flat(terms, Or))

    def _both(self) -> Expression:
        terms = [self._negation()]
        while self._is_word("and"):
            self._advance()
            terms.append(self._negation())
        return terms[0] if len(terms) == 1 else And(_flat(terms, And))

    def _negation(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ConditionError(
                f"more than {MAX_DEPTH} parentheses or nots inside each other",
                position=self.current.position,
            )
        try:
            if self._is_word("not"):
                self._advance()
                return Not(self._negation())
            if self._is_mark("("):
                self._advance()
                inner = self.either()
                if not self._is_mark(")"):
                    raise self._error("and, or, or )")
                self._advance()
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Compare:
        left = self._operand()
        position = self.current.position
        operator = self._operator()
        return Compare(left, operator, self._operand(), position)

    def _operator(self) -> Operator:
        if self._is_word("in"):
            self._advance()
            return "in"
        if self._is_word("not"):
            self._advance()
            if not self._is_word("in"):
                raise self._error("in (as in: not in)")
            self._advance()
            return "not in"
        if self.current.kind == "operator":
            return self._advance().text  # type: ignore[return-value]
        raise self._error("one of == != < <= > >= in, not in, ~ !~")

    def _operand(self) -> Operand:
        token = self.current
        if token.kind == "word" and token.text not in _WORDS:
            self._advance()
            return Keyword(token.text, token.position)
        if self._is_mark("["):
            return self._list()
        return self._literal()

    def _literal(self) -> Literal:
        token = self.current
        if token.kind == "text":
            self._advance()
            return Literal(token.text, token.position)
        if token.kind == "number":
            self._advance()
            return Literal(_value(token), token.position)
        expected = "a DICOM keyword, a text in quotes, a number or a [list]"
        raise self._error(expected, is_value=True)

    def _list(self) -> ListOf:
        position = self._advance().position
        items: list[Literal] = []
        while not self._is_mark("]"):
            if items:
                if not self._is_mark(","):
                    raise self._error(", or ]")
                self._advance()
            items.append(self._literal())
        self._advance()
        return ListOf(tuple(items), position)


def _value(token: Token) -> int | float:
    if len(token.text) > 40:
        raise ConditionError(
            f"character {token.position + 1}: a number of {len(token.text)} digits",
            position=token.position,
        )
    return float(token.text) if "." in token.text else int(token.text)


def _flat(terms: list[Expression], kind: type[And] | type[Or]) -> tuple[Expression, ...]:
    flat: list[Expression] = []
    for term in terms:
        flat.extend(term.terms if isinstance(term, kind) else (term,))
    return tuple(flat)
