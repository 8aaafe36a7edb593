r"""Patterns of ``~``: regular expressions that are searched in linear time.

Python's `re` backtracks: a pattern such as ``(a+)+$`` can hold a worker for hours. Here a pattern
becomes a non-deterministic automaton that reads each character once (Thompson 1968), so the time
is bounded by length of text times size of pattern, whatever the pattern.

Understood: literals, ``.``, ``[a-z]``, ``[^…]``, ``\d \w \s \b`` and their capitals, ``^ $``,
``( ) |``, ``* + ? {m,n}``. Not understood, and said so: back-references, look-around, flags.
Letters match without regard to case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from isocenter.core.errors import ConditionError

MAX_PATTERN = 200
MAX_STATES = 3000
MAX_REPEAT = 100
MAX_NESTING = 30

Test = Callable[[str], bool]


@dataclass(frozen=True)
class _Char:
    test: Test


@dataclass(frozen=True)
class _Assert:
    kind: str  # "^", "$", "b", "B"


@dataclass(frozen=True)
class _Sequence:
    items: tuple[_Node, ...]


@dataclass(frozen=True)
class _Choice:
    items: tuple[_Node, ...]


@dataclass(frozen=True)
class _Repeat:
    item: _Node
    low: int
    high: int | None


_Node = _Char | _Assert | _Sequence | _Choice | _Repeat

_CLASSES: dict[str, Test] = {
    "d": str.isdecimal,
    "w": lambda c: c.isalnum() or c == "_",
    "s": str.isspace,
}


class Pattern:
    """A compiled pattern."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._builder = _Automaton()
        tree = _Reader(source).read()
        self._start = self._builder.state()
        self._end = self._builder.add(tree, self._start)

    def search(self, text: str) -> bool:
        """Whether the pattern occurs anywhere in ``text``."""
        current: set[int] = set()
        for index in range(len(text) + 1):
            current = self._builder.reach(current | {self._start}, text, index)
            if self._end in current:
                return True
            if index == len(text):
                return False
            current = self._builder.step(current, text[index])
        return False


@lru_cache(maxsize=256)
def compile_pattern(source: str, position: int = 0) -> Pattern:
    """Read a pattern.

    Raises:
        ConditionError: it cannot be read, or it is longer or larger than the bounds.
    """
    try:
        return Pattern(source)
    except _PatternProblem as problem:
        raise ConditionError(
            f"character {position + 1}: the pattern {source[:60]!r} cannot be used: {problem}",
            position=position,
        ) from None


class _PatternProblem(Exception):
    pass


class _Automaton:
    """States with edges on a character and edges on nothing, some of them on an assertion."""

    def __init__(self) -> None:
        self._on_char: list[list[tuple[Test, int]]] = []
        self._on_nothing: list[list[tuple[str, int]]] = []
        self._added = 0

    def state(self) -> int:
        if len(self._on_char) >= MAX_STATES:
            raise _PatternProblem("it is too large; use fewer or smaller repetitions")
        self._on_char.append([])
        self._on_nothing.append([])
        return len(self._on_char) - 1

    def add(self, node: _Node, start: int) -> int:
        """Append a node after ``start``; the state that it ends in."""
        self._added += 1  # a repeated () makes no states, so the states alone bound nothing
        if self._added > 3 * MAX_STATES:
            raise _PatternProblem("it is too large; use fewer or smaller repetitions")
        match node:
            case _Char(test=test):
                end = self.state()
                self._on_char[start].append((test, end))
                return end
            case _Assert(kind=kind):
                end = self.state()
                self._on_nothing[start].append((kind, end))
                return end
            case _Sequence(items=items):
                for item in items:
                    start = self.add(item, start)
                return start
            case _Choice(items=items):
                end = self.state()
                for item in items:
                    begin = self.state()
                    self._on_nothing[start].append(("", begin))
                    self._on_nothing[self.add(item, begin)].append(("", end))
                return end
            case _Repeat(item=item, low=low, high=high):
                return self._add_repeat(item, low, high, start)

    def _add_repeat(self, item: _Node, low: int, high: int | None, start: int) -> int:
        for _ in range(low):
            start = self.add(item, start)
        if high is None:
            loop, end = self.state(), self.state()
            self._on_nothing[start].append(("", loop))
            self._on_nothing[self.add(item, loop)].append(("", loop))
            self._on_nothing[loop].append(("", end))
            return end
        end = self.state()
        for _ in range(high - low):
            self._on_nothing[start].append(("", end))
            start = self.add(item, start)
        self._on_nothing[start].append(("", end))
        return end

    def reach(self, states: set[int], text: str, index: int) -> set[int]:
        todo, seen = list(states), set(states)
        while todo:
            for kind, target in self._on_nothing[todo.pop()]:
                if target not in seen and _holds(kind, text, index):
                    seen.add(target)
                    todo.append(target)
        return seen

    def step(self, states: set[int], char: str) -> set[int]:
        return {target for state in states for test, target in self._on_char[state] if test(char)}


def _holds(kind: str, text: str, index: int) -> bool:
    if kind == "":
        return True
    if kind == "^":
        return index == 0
    if kind == "$":
        return index == len(text)
    is_word = _CLASSES["w"]
    before = index > 0 and is_word(text[index - 1])
    after = index < len(text) and is_word(text[index])
    return (before != after) == (kind == "b")


class _Reader:
    def __init__(self, source: str) -> None:
        if len(source) > MAX_PATTERN:
            raise _PatternProblem(f"it is longer than {MAX_PATTERN} characters")
        self._source = source
        self._index = 0
        self._nesting = 0

    def read(self) -> _Node:
        node = self._choice()
        if self._index < len(self._source):
            raise _PatternProblem("a ) closes nothing")
        return node

    def _peek(self) -> str:
        return self._source[self._index] if self._index < len(self._source) else ""

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise _PatternProblem("it ends too early")
        self._index += 1
        return char

    def _choice(self) -> _Node:
        items = [self._sequence()]
        while self._peek() == "|":
            self._take()
            items.append(self._sequence())
        return items[0] if len(items) == 1 else _Choice(tuple(items))

    def _sequence(self) -> _Node:
        items: list[_Node] = []
        while self._peek() not in ("", "|", ")"):
            items.append(self._repeated(self._atom()))
        return _Sequence(tuple(items))

    def _repeated(self, item: _Node) -> _Node:
        low, high = self._quantifier()
        if (low, high) == (1, 1):
            return item
        if isinstance(item, _Assert):
            raise _PatternProblem("nothing to repeat")
        if self._peek() and self._peek() in "*+?":
            raise _PatternProblem("a repetition of a repetition needs parentheses")
        return _Repeat(item, low, high)

    def _quantifier(self) -> tuple[int, int | None]:
        char = self._peek()
        if char == "*":
            self._take()
            return 0, None
        if char == "+":
            self._take()
            return 1, None
        if char == "?":
            self._take()
            return 0, 1
        if char == "{":
            return self._bounds()
        return 1, 1

    def _bounds(self) -> tuple[int, int | None]:
        end = self._source.find("}", self._index)
        inner = self._source[self._index + 1 : end] if end > 0 else ""
        low_text, comma, high_text = inner.partition(",")
        texts = [low_text, high_text] if high_text else [low_text]
        if not all(text.isascii() and text.isdecimal() and len(text) <= 3 for text in texts):
            raise _PatternProblem("{ must be {n}, {m,} or {m,n}; write \\{ for the character")
        low = int(low_text)
        high = int(high_text) if high_text else (None if comma else low)
        if low > MAX_REPEAT or (high or 0) > MAX_REPEAT or (high is not None and high < low):
            raise _PatternProblem(f"repetitions go up to {MAX_REPEAT}, the smaller number first")
        self._index = end + 1
        if (low, high) == (1, 1) and self._peek() and self._peek() in "*+?":
            raise _PatternProblem("a repetition of a repetition needs parentheses")
        return low, high

    def _atom(self) -> _Node:
        char = self._take()
        if char == "(":
            return self._group()
        if char == "[":
            return _Char(self._set())
        if char == ".":
            return _Char(lambda c: c != "\n")
        if char in "^$":
            return _Assert(char)
        if char in "*+?{":
            raise _PatternProblem(f"{char} has nothing to repeat")
        if char == "\\":
            return self._escape()
        return _Char(_same(char))

    def _group(self) -> _Node:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise _PatternProblem(f"more than {MAX_NESTING} parentheses inside each other")
        if self._source.startswith("?:", self._index):
            self._index += 2
        elif self._peek() == "?":
            raise _PatternProblem("(?…) is not understood, only (?:…)")
        node = self._choice()
        if self._peek() != ")":
            raise _PatternProblem("a ( is not closed")
        self._take()
        self._nesting -= 1
        return node

    def _escape(self) -> _Node:
        char = self._take()
        if char in "bB":
            return _Assert(char)
        return _Char(_escaped(char))

    def _set(self) -> Test:
        is_negated = self._peek() == "^"
        if is_negated:
            self._take()
        tests: list[Test] = []
        while self._peek() != "]" or not tests:
            tests.append(self._set_item())
        self._take()
        return lambda c: any(test(c) for test in tests) != is_negated

    def _set_item(self) -> Test:
        low = self._take()
        if low == "\\":
            char = self._take()
            if char.lower() in _CLASSES:
                return _escaped(char)
            low = _plain(char)
        ahead = self._source[self._index : self._index + 2]
        if not ahead.startswith("-") or len(ahead) < 2 or ahead[1] == "]":
            return _same(low)
        self._take()
        high = self._take()
        if high == "\\":
            high = _plain(self._take())
        if high < low:
            raise _PatternProblem(f"the range {low}-{high} is empty")
        return lambda c: any(low <= form <= high for form in (c, c.lower(), c.upper()))


def _same(char: str) -> Test:
    folded = char.casefold()
    return lambda c: c.casefold() == folded


def _escaped(char: str) -> Test:
    if char in _CLASSES:
        return _CLASSES[char]
    if char.lower() in _CLASSES:
        inside = _CLASSES[char.lower()]
        return lambda c: not inside(c)
    return _same(_plain(char))


def _plain(char: str) -> str:
    if char in "nrt":
        return {"n": "\n", "r": "\r", "t": "\t"}[char]
    if char.isalnum():
        raise _PatternProblem(f"\\{char} is not understood")
    return char
