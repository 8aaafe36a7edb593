"""Conditions and expressions of Karnak profiles: the part of the Spring expression language that
they are written in, as tests that rules have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import product

from pydicom.datadict import keyword_for_tag

from isocenter.core.deid.rules.site_rules import ValueTest
from isocenter.core.deid.rules.tag_patterns import tag_of
from isocenter.core.deid.rules.values import Change, ChangeKind
from isocenter.core.errors import ConfigurationError

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|(?P<constant>#\w+\.\w+)"
    r"|(?P<word>[A-Za-z_]\w*)|(?P<number>-?\d+)|(?P<sign>==|!=|&&|\|\||[!?:().,+]))"
)
_MOST_ALTERNATIVES = 64
_MOST_WORDS = 300  # so that nothing can be nested deeper than Python goes
_TAG_TESTS = {
    "tagValueIsPresent": "equals",
    "tagValueContains": "contains",
    "tagValueBeginsWith": "starts",
    "tagValueEndsWith": "ends",
}
_METHODS = {
    "equals": "equals",
    "contains": "contains",
    "startsWith": "starts",
    "endsWith": "ends",
    "matches": "matches",
}
_ACTIONS = {
    "Keep": ChangeKind.KEEP,
    "Remove": ChangeKind.REMOVE,
    "ReplaceNull": ChangeKind.EMPTY,
    "UID": ChangeKind.UID,
    "ExcludeInstance": ChangeKind.REFUSE,
}


class ExpressionError(Exception):
    """An expression, or a part of it, that has no counterpart; says why."""


@dataclass(frozen=True, slots=True)
class Conjunction:
    """What must hold together.

    Attributes:
        tests: of other attributes by keyword.
        value: of the element's own value.
        tags: the element has this tag; None: whichever.
        not_tags: the element has none of these.
        vr: the element has this VR; empty: whichever.
    """

    tests: tuple[tuple[str, ValueTest], ...] = ()
    value: tuple[ValueTest, ...] = ()
    tag: int | None = None
    not_tags: tuple[int, ...] = ()
    vr: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An action of an expression, and when: one of these; None: the next profile element."""

    when: tuple[Conjunction, ...]
    change: Change | None


_Alternatives = tuple[Conjunction, ...]
_ALWAYS: _Alternatives = (Conjunction(),)


@dataclass(frozen=True, slots=True)
class _Logic:
    """A condition, and its contrary, each as alternatives."""

    true: _Alternatives
    false: _Alternatives


def parse_condition(text: str) -> tuple[Conjunction, ...]:
    """The alternatives of which one must hold.

    Raises:
        ExpressionError: says why.
    """
    parser = _Parser(text)
    logic = parser.either()
    parser.end()
    return logic.true


def parse_expression(text: str) -> list[Outcome]:
    """Outcomes in their order; the first whose condition holds decides.

    Raises:
        ExpressionError: says why.
    """
    parser = _Parser(text)
    outcomes = parser.outcomes(_ALWAYS)
    parser.end()
    return [outcome for outcome in outcomes if outcome.change is not None]


@dataclass
class _Parser:
    """A descent through the words of an expression."""

    text: str
    words: list[tuple[str, str]] = field(default_factory=list)
    place: int = 0

    def __post_init__(self) -> None:
        position = 0
        text = self.text.rstrip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise ExpressionError(f"the expression has {text[position]!r} in it")
            self.words.append((str(found.lastgroup), found[str(found.lastgroup)]))
            position = found.end()
        if len(self.words) > _MOST_WORDS:
            raise ExpressionError(f"the expression has more than {_MOST_WORDS} words")

    def outcomes(self, reached: _Alternatives) -> list[Outcome]:
        """``condition ? this : that``, an action, or null."""
        start = self.place
        if not self._is_action():
            condition = self.either()
            if self._take("?"):
                true = self.outcomes(_both(reached, condition.true))
                self._expect(":")
                passed_on = any(outcome.change is None for outcome in true)
                left = _both(reached, condition.false) if passed_on else reached
                return [*true, *self.outcomes(left)]
            self.place = start
        return [Outcome(reached, self._action())]

    def either(self) -> _Logic:
        left = self._all()
        while self._take("||") or self._take("or"):
            right = self._all()
            left = _Logic(_any(left.true, right.true), _both(left.false, right.false))
        return left

    def _all(self) -> _Logic:
        left = self._one()
        while self._take("&&") or self._take("and"):
            right = self._one()
            left = _Logic(_both(left.true, right.true), _any(left.false, right.false))
        return left

    def _one(self) -> _Logic:
        if self._take("!") or self._take("not"):
            inner = self._one()
            return _Logic(inner.false, inner.true)
        if self._take("("):
            inner = self.either()
            self._expect(")")
            return inner
        kind, word = self._next()
        if word in ("true", "false"):
            return _Logic(_ALWAYS, ()) if word == "true" else _Logic((), _ALWAYS)
        if word in _TAG_TESTS or word == "tagIsPresent":
            return self._tag_test(word)
        if word in ("tag", "vr"):
            return self._own_identity(word)
        if word in ("stringValue", "getString"):
            return self._comparison(word)
        raise ExpressionError(f"{word!r} is not known here" if kind else "it ends too early")

    def _tag_test(self, name: str) -> _Logic:
        self._expect("(")
        keyword = self._keyword()
        if name == "tagIsPresent":
            self._expect(")")
            return _of_test(keyword, ValueTest("present"))
        self._expect(",")
        operand = self._text()
        self._expect(")")
        return _of_test(keyword, ValueTest(_TAG_TESTS[name], operand))

    def _own_identity(self, name: str) -> _Logic:
        equal = self._equality()
        if name == "tag":
            tag = self._tag()
            same, other = Conjunction(tag=tag), Conjunction(not_tags=(tag,))
            logic = _Logic((same,), (other,))
        else:
            kind, word = self._next()
            if kind != "constant" or not word.startswith("#VR."):
                raise ExpressionError(f"{word!r} is no VR")
            if not equal:
                raise ExpressionError("a VR that is not …; name the VRs that are meant")
            return _Logic((Conjunction(vr=word.removeprefix("#VR.")),), ())
        return logic if equal else _Logic(logic.false, logic.true)

    def _comparison(self, name: str) -> _Logic:
        keyword = None
        if name == "getString":
            self._expect("(")
            keyword = self._keyword()
            self._expect(")")
        if self._take("."):
            return _of_test(keyword, self._method())
        equal = self._equality()
        if self._take("null"):
            test = ValueTest("present", negated=True)
        else:
            test = ValueTest("equals", self._text())
        logic = _of_test(keyword, test)
        return logic if equal else _Logic(logic.false, logic.true)

    def _method(self) -> ValueTest:
        name = self._next()[1]
        self._expect("(")
        if name in ("isEmpty", "isBlank"):
            self._expect(")")
            return ValueTest("empty")
        if name not in _METHODS:
            raise ExpressionError(f"method {name} is not known")
        operand = self._text()
        self._expect(")")
        operand = f"^(?:{operand})$" if name == "matches" else operand
        try:
            return ValueTest(_METHODS[name], operand)
        except ConfigurationError as error:
            raise ExpressionError(str(error)) from error

    def _is_action(self) -> bool:
        word = self.words[self.place][1] if self.place < len(self.words) else ""
        return word in _ACTIONS or word in ("Replace", "null", "Add", "ComputePatientAge")

    def _action(self) -> Change | None:
        word = self._next()[1]
        if word == "null":
            return None
        if word not in _ACTIONS and word != "Replace":
            raise ExpressionError(f"{word} has no counterpart")
        self._expect("(")
        change = self._replacement() if word == "Replace" else Change(_ACTIONS[word])
        self._expect(")")
        return change

    def _replacement(self) -> Change:
        fields: list[str] = []
        only_text = True
        while True:
            kind, word = self.words[self.place] if self.place < len(self.words) else ("", "")
            if kind == "text":
                fields.append(self._text().replace("{", "{{").replace("}", "}}"))
            elif word == "stringValue":
                self.place += 1
                fields.append("{value}")
                only_text = False
            elif word == "getString":
                self.place += 1
                self._expect("(")
                fields.append(f"{{{self._keyword()}}}")
                self._expect(")")
                only_text = False
            else:
                raise ExpressionError(f"Replace with {word!r}")
            if not self._take("+"):
                break
        text = "".join(fields)
        if only_text:
            return Change(ChangeKind.REPLACE, text.replace("{{", "{").replace("}}", "}"))
        return Change(ChangeKind.TEMPLATE, text)

    def _keyword(self) -> str:
        tag = self._tag()
        keyword = str(keyword_for_tag(tag))
        if not keyword:
            raise ExpressionError(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) has no keyword")
        return keyword

    def _tag(self) -> int:
        kind, word = self._next()
        if kind == "constant" and word.startswith("#Tag."):
            try:
                return tag_of(word.removeprefix("#Tag."))
            except ConfigurationError as error:
                raise ExpressionError(str(error)) from error
        digits = re.sub(r"[(), ]", "", word[1:-1]) if kind == "text" else ""
        if not re.fullmatch(r"[0-9A-Fa-f]{8}", digits):
            raise ExpressionError(f"{word!r} is no tag")
        return int(digits, 16)

    def _text(self) -> str:
        kind, word = self._next()
        if kind != "text":
            raise ExpressionError(f"{word!r}: a text is expected here")
        mark = word[0]
        return word[1:-1].replace(mark * 2, mark)

    def _equality(self) -> bool:
        if self._take("=="):
            return True
        self._expect("!=")
        return False

    def _next(self) -> tuple[str, str]:
        if self.place >= len(self.words):
            raise ExpressionError("the expression ends too early")
        self.place += 1
        return self.words[self.place - 1]

    def _take(self, word: str) -> bool:
        if self.place < len(self.words):
            kind, found = self.words[self.place]
            if found == word and kind != "text":
                self.place += 1
                return True
        return False

    def _expect(self, word: str) -> None:
        if not self._take(word):
            found = self.words[self.place][1] if self.place < len(self.words) else "the end"
            raise ExpressionError(f"{word!r} is expected where {found!r} is")

    def end(self) -> None:
        """Nothing must be left."""
        if self.place < len(self.words):
            raise ExpressionError(f"{self.words[self.place][1]!r} is not expected here")


def _of_test(keyword: str | None, test: ValueTest) -> _Logic:
    contrary = replace(test, negated=not test.negated)
    if keyword is None:
        return _Logic((Conjunction(value=(test,)),), (Conjunction(value=(contrary,)),))
    return _Logic(
        (Conjunction(tests=((keyword, test),)),), (Conjunction(tests=((keyword, contrary),)),)
    )


def _any(left: _Alternatives, right: _Alternatives) -> _Alternatives:
    return left + right


def _both(left: _Alternatives, right: _Alternatives) -> _Alternatives:
    if len(left) * len(right) > _MOST_ALTERNATIVES:
        raise ExpressionError("too many alternatives")
    together = []
    for one, other in product(left, right):
        if one.tag is not None and other.tag is not None and one.tag != other.tag:
            continue
        if one.vr and other.vr and one.vr != other.vr:
            continue
        tag = one.tag if one.tag is not None else other.tag
        not_tags = one.not_tags + other.not_tags
        if tag is not None and tag in not_tags:
            continue
        together.append(
            Conjunction(
                one.tests + other.tests,
                one.value + other.value,
                tag,
                not_tags,
                one.vr or other.vr,
            )
        )
    return tuple(together)
