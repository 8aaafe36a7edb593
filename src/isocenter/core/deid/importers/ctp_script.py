"""The scripts of single elements of CTP's DICOM anonymizer, as changes.

A script is text with calls in it, ``@name(arguments){code}{code}``. The functions are those of
RSNA CTP's DicomAnonymizer, as its documentation and public source name them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from isocenter.core.deid.importers.ctp_values import NotMapped, call_change, template_field
from isocenter.core.deid.rules.site_rules import Condition, ValueTest
from isocenter.core.deid.rules.values import Change, ChangeKind

_MOST_CHARACTERS = 4096
_DEEPEST = 20
_WITH_CODE = {"if": 2, "select": 2, "append": 1}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function."""

    name: str
    arguments: tuple[str, ...]
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Branch:
    """One way through a script.

    Attributes:
        change: what is done.
        value: tests of the element's own value.
        conditions: one of them must hold; none: always.
        where: ``root`` or ``items``, from ``@select``; empty for both.
    """

    change: Change
    value: tuple[ValueTest, ...] = ()
    conditions: tuple[Condition, ...] = ()
    where: str = ""


@dataclass
class Script:
    """Reads the script of one element.

    Attributes:
        parameters: of the whole file, by name.
        keyword_of: the DICOM keyword of an element as scripts name it; raises NotMapped.
        is_patient: whether the element is Patient ID or Patient's Name.
        changed: what differs, in words.
    """

    parameters: Mapping[str, str]
    keyword_of: Callable[[str], str]
    is_patient: bool
    changed: list[str]

    def branches(self, script: str) -> list[Branch]:
        """What the script does, first that fits decides.

        Raises:
            NotMapped: says why.
        """
        if len(script) > _MOST_CHARACTERS:
            raise NotMapped(f"a script of more than {_MOST_CHARACTERS} characters")
        if script.count("{") > _DEEPEST:
            raise NotMapped(f"a script with more than {_DEEPEST} blocks")
        parts = list(parse(script))
        if parts and isinstance(parts[0], Call) and parts[0].name == "always":
            self.changed.append("the attribute is not added where it is absent")
            parts = parts[1:]
        if len(parts) == 1 and isinstance(parts[0], Call):
            return self._of_call(parts[0])
        return [Branch(self._text_change(parts))]

    def _of_call(self, call: Call) -> list[Branch]:
        if call.name == "if":
            return self._of_if(call)
        if call.name == "select":
            root, items = (self.branches(code) for code in _two(call))
            return [
                *(replace(branch, where="root") for branch in root),
                *(replace(branch, where="items") for branch in items),
            ]
        if call.name == "append":
            change = self._text_change(list(parse(call.codes[0] if call.codes else "")))
            if change.kind not in (ChangeKind.REPLACE, ChangeKind.TEMPLATE):
                raise NotMapped("@append of something that is no text")
            text = change.text
            if change.kind is ChangeKind.REPLACE:
                text = text.replace("{", "{{").replace("}", "}}")
            empty = (ValueTest("empty"),)
            return [
                Branch(Change(ChangeKind.TEMPLATE, text), empty),
                Branch(Change(ChangeKind.TEMPLATE, "{value}\\" + text)),
            ]
        if call.name == "value" and len(call.arguments) > 1 and call.arguments[0] == "this":
            default = Change(ChangeKind.REPLACE, unquoted(call.arguments[1]))
            return [
                Branch(default, (ValueTest("empty"),)),
                Branch(Change(ChangeKind.KEEP)),
            ]
        return [Branch(call_change(call.name, self._resolved(call), self.is_patient, self.changed))]

    def _of_if(self, call: Call) -> list[Branch]:
        value, conditions = self._condition(call)
        true, false = (self.branches(code) for code in _two(call))
        return [*(_under(branch, value, conditions) for branch in true), *false]

    def _condition(self, call: Call) -> tuple[tuple[ValueTest, ...], tuple[Condition, ...]]:
        if len(call.arguments) < 2:
            raise NotMapped("@if without a condition")
        element, kind = call.arguments[0], call.arguments[1]
        operand = unquoted(call.arguments[2]) if len(call.arguments) > 2 else ""
        if operand.startswith("@"):
            operand = self._parameter(operand)
        tests = _tests(kind, operand)
        if element in ("this", ""):
            own = tests[-1]  # the element is there, for its script runs
            return (() if own.kind == "present" else (own,)), ()
        keyword = self.keyword_of(element)
        return (), tuple(Condition(((keyword, test),)) for test in tests)

    def _text_change(self, parts: list[str | Call]) -> Change:
        """Literal text, or a template where calls are in between."""
        if any(isinstance(part, Call) and part.name == "remove" for part in parts):
            return Change(ChangeKind.REMOVE)
        if all(isinstance(part, str) for part in parts):
            text = "".join(part for part in parts if isinstance(part, str)).strip()
            return Change(ChangeKind.REPLACE, text) if text else Change(ChangeKind.EMPTY)
        fields = []
        for part in parts:
            if isinstance(part, str):
                fields.append(part.replace("{", "{{").replace("}", "}}"))
            else:
                fields.append(template_field(part.name, self._resolved(part)))
        return Change(ChangeKind.TEMPLATE, "".join(fields).strip())

    def _resolved(self, call: Call) -> list[str]:
        """Arguments with parameters put in, and elements by their keyword."""
        resolved = []
        for place, argument in enumerate(call.arguments):
            if argument.startswith(("@", "$")):
                resolved.append(self._parameter(argument))
            elif argument and place in _ELEMENTS.get(call.name, ()) and argument != "this":
                resolved.append(self.keyword_of(argument))
            else:
                resolved.append(unquoted(argument))
        return resolved

    def _parameter(self, name: str) -> str:
        value = self.parameters.get(name[1:].strip())
        if value is None:
            raise NotMapped(f"parameter {name} is not in the script")
        return value


#: Functions whose first argument names an element.
_OF_ONE_ELEMENT = (
    "contents value truncate hash hashname incrementdate modifydate round initials integer "
    "lowercase uppercase encrypt decrypt pathelement require lookup"
)
#: Places of arguments that name elements, by function.
_ELEMENTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(_OF_ONE_ELEMENT.split(), (0,)),
    "hashuid": (1,),
    "hashptid": (1,),
    "hashdate": (0, 1),
}


def _tests(kind: str, operand: str) -> tuple[ValueTest, ...]:
    """Tests of which one must hold."""
    match kind:
        case "isblank":
            return ValueTest("present", negated=True), ValueTest("empty")
        case "exists":
            return (ValueTest("present"),)
        case "equals" | "contains":
            return (ValueTest(kind, operand, ignore_case=True),)
        case "matches":
            return (ValueTest("matches", f"^(?:{operand.strip()})$"),)
        case "greaterthan":
            return (ValueTest("above", re.sub(r"\D", "", operand) or "0"),)
    raise NotMapped(f"@if with {kind!r} is not known")


def _under(
    branch: Branch, value: tuple[ValueTest, ...], conditions: tuple[Condition, ...]
) -> Branch:
    """A branch that is reached under more conditions."""
    both = tuple(
        Condition(outer.tests + inner.tests)
        for outer in conditions or (Condition(()),)
        for inner in branch.conditions or (Condition(()),)
    )
    both = tuple(condition for condition in both if condition.tests)
    return replace(branch, value=value + branch.value, conditions=both)


def _two(call: Call) -> tuple[str, str]:
    codes = (*call.codes, "", "")
    return codes[0], codes[1]


def unquoted(argument: str) -> str:
    """An argument without its quotation marks."""
    text = argument.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1]
    return text


def parse(script: str) -> list[str | Call]:
    """Literal text and calls, in their order.

    Raises:
        NotMapped: a call does not end.
    """
    parts: list[str | Call] = []
    text, place = "", 0
    while place < len(script):
        letter = script[place]
        if letter == "\\" and place + 1 < len(script):
            text += script[place + 1]
            place += 2
        elif letter == "@":
            call, place = _call(script, place + 1)
            if text.strip():
                parts.append(text)
            text = ""
            parts.append(call)
        else:
            text += letter
            place += 1
    if text.strip():
        parts.append(text)
    return parts


def _call(script: str, start: int) -> tuple[Call, int]:
    opening = script.find("(", start)
    if opening < 0:
        raise NotMapped("a function without parentheses")
    name = re.sub(r"\s", "", script[start:opening])
    place, arguments = opening, []
    while True:
        end = _delimiter(script, place + 1, ",)", "(")
        arguments.append(script[place + 1 : end].strip())
        place = end
        if script[end] == ")":
            break
    place += 1
    codes = []
    for _ in range(_WITH_CODE.get(name, 0)):
        brace = re.compile(r"\s*\{").match(script, place)
        if brace is None:
            break
        end = _delimiter(script, brace.end(), "}", "{")
        codes.append(script[brace.end() : end].strip())
        place = end + 1
    kept = tuple(arguments) if arguments != [""] else ()
    return Call(name, kept, tuple(codes)), place


def _delimiter(script: str, place: int, wanted: str, opening: str) -> int:
    """Where a list of arguments or a block ends; brackets and quotation marks shelter."""
    depth, brackets, quoted = 0, 0, False
    while place < len(script):
        letter = script[place]
        if letter == "\\":
            place += 1
        elif letter == '"':
            quoted = not quoted
        elif not quoted:
            if letter in "[]":
                brackets += 1 if letter == "[" else -1
            elif letter == opening:
                depth += 1
            elif letter in wanted and brackets == 0:
                if depth == 0:
                    return place
                if letter != ",":
                    depth -= 1
        place += 1
    raise NotMapped("a call or a block does not end")
