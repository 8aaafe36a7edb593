"""Rule files: YAML that people write, with every mistake named by its line.

A file has ``name`` and ``rules``; each rule has

=========== ================================================================================
``name``    for the action log; ``rule 3`` if there is none
``tags``    one pattern or a list (:mod:`~isocenter.core.deid.rules.tag_patterns`)
``except``  patterns of elements that it does not mean all the same
``vr``      one VR or a list
``when``    tests of the element's value
``if``      tests of other attributes; a list of such tables means: one of them
``action``  ``keep``, ``remove``, ``empty``, ``dummy``, ``uid``, ``clean``, ``pseudonym``,
            ``refuse``, ``replace`` (with ``value``), ``template`` (``template``), ``hash``
            (``length``), ``shift`` (``days``), ``regex-replace`` (``pattern``, ``by``),
            ``round`` (``to``)
=========== ================================================================================
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import yaml
from pydicom import config as pydicom_config
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.valuerep import VR, validate_value

from isocenter.core.deid.rules.site_rules import TEST_KINDS, Condition, Rule, RuleSet, ValueTest
from isocenter.core.deid.rules.tag_patterns import TagPattern, tag_of
from isocenter.core.deid.rules.values import BINARY_VRS, Change, ChangeKind
from isocenter.core.deid.rules.yaml_nodes import compose
from isocenter.core.errors import ConfigurationError

_MOST_PROBLEMS = 20
_RULE_KEYS = ("name", "tags", "except", "vr", "when", "if", "action")
#: What each action takes, and under which name of :class:`Change` it is kept.
_PARAMETERS: dict[ChangeKind, dict[str, str]] = {
    ChangeKind.REPLACE: {"value": "text"},
    ChangeKind.TEMPLATE: {"template": "text"},
    ChangeKind.HASH: {"length": "length"},
    ChangeKind.SHIFT: {"days": "days"},
    ChangeKind.REGEX_REPLACE: {"pattern": "text", "by": "by"},
    ChangeKind.ROUND: {"to": "text"},
}
_ODD_BREAKS = frozenset("\x85\u2028\u2029")  # line breaks in YAML that nobody sees
_NEEDED = frozenset({"value", "template", "pattern", "by", "to"})
_WHOLE_NUMBERS = frozenset({"length", "days"})
_FLAGS = frozenset({"present", "empty"})
_VRS = frozenset(vr.value for vr in VR if len(vr.value) == 2)

T = TypeVar("T")


def read_rules(text: str, where: str = "rules") -> RuleSet:
    """Rules from the text of a file.

    Raises:
        ConfigurationError: names every wrong line and what to do about it.
    """
    node = compose(text, where)
    reader = _Reader()
    rules = reader.rule_set(node)
    if reader.problems:
        shown = reader.problems[:_MOST_PROBLEMS]
        left = len(reader.problems) - len(shown)
        more = [f"and {left} more"] if left else []
        raise ConfigurationError("\n".join([f"{where}:", *shown, *more]))
    return rules


class _Reader:
    """Reads nodes, and goes on after a mistake to find the next."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def rule_set(self, node: yaml.Node | None) -> RuleSet:
        table = self._table(node, ("name", "rules"), "a rules file") if node else {}
        if "rules" not in table:
            self._problem(node, "there is no list of rules", "rules:")
            return RuleSet()
        name = self._scalar(table["name"]) if "name" in table else ""
        nodes = self._list(table["rules"])
        rules = [self._rule(node, number) for number, node in enumerate(nodes, 1)]
        return RuleSet(tuple(rule for rule in rules if rule is not None), name)

    def _rule(self, node: yaml.Node, number: int) -> Rule | None:
        before = len(self.problems)
        table = self._table(node, None, "a rule")
        change = self._change(node, table)
        tags = self._patterns(table.get("tags"))
        if not tags and len(self.problems) == before:
            self._problem(node, "the rule names no tags", "tags: PatientName")
        excluded = self._patterns(table.get("except"))
        vrs = self._vrs(table.get("vr"))
        value = self._tests(table["when"]) if "when" in table else ()
        conditions = self._conditions(table.get("if"))
        name = self._scalar(table["name"]) if "name" in table else f"rule {number}"
        if change is None or len(self.problems) > before:
            return None
        line = node.start_mark.line + 1
        rule = self._try(
            node, lambda: Rule(name, tags, change, excluded, vrs, value, conditions, line)
        )
        self._check_values(node, rule)
        return rule

    def _change(self, node: yaml.Node, table: dict[str, yaml.Node]) -> Change | None:
        if "action" not in table:
            self._problem(node, "the rule has no action", "action: remove")
            return None
        word = self._scalar(table["action"])
        if word not in list(ChangeKind):
            self._problem(table["action"], f"{word!r} is no action", _nearest(word, ChangeKind))
            return None
        kind = ChangeKind(word)
        parameters = _PARAMETERS.get(kind, {})
        self._refuse_others(table, (*_RULE_KEYS, *parameters), f"action {kind}")
        given: dict[str, Any] = {}
        for key, attribute in parameters.items():
            if key in table:
                given[attribute] = self._parameter(table[key], key)
            elif key in _NEEDED:
                self._problem(node, f"action {kind} needs {key!r}", f"{key}: …")
                return None
        return self._try(node, lambda: Change(kind, **given))

    def _parameter(self, node: yaml.Node, key: str) -> str | int:
        text = self._scalar(node)
        if key not in _WHOLE_NUMBERS:
            return text
        if not re.fullmatch(r"[+-]?\d{1,6}", text):
            self._problem(node, f"{key}: {text!r} is no whole number", f"{key}: 8")
            return 1
        return int(text)

    def _conditions(self, node: yaml.Node | None) -> tuple[Condition, ...]:
        if node is None:
            return ()
        alternatives = node.value if isinstance(node, yaml.SequenceNode) else [node]
        return tuple(self._condition(one) for one in alternatives)

    def _condition(self, node: yaml.Node) -> Condition:
        tests: list[tuple[str, ValueTest]] = []
        for keyword, value in self._table(node, None, "a condition").items():
            self._try(value, partial(tag_of, keyword))
            tests.extend((keyword, test) for test in self._tests(value))
        if not tests:
            self._problem(node, "the condition asks nothing", "if: {Modality: CT}")
        return Condition(tuple(tests))

    def _tests(self, node: yaml.Node, negated: bool = False) -> tuple[ValueTest, ...]:
        """Tests of one value: a text it equals, a list of such, or a table of tests."""
        if isinstance(node, yaml.SequenceNode):
            if any(isinstance(one, yaml.MappingNode) for one in node.value):
                return tuple(test for one in node.value for test in self._tests(one, negated))
            words = "|".join(re.escape(self._scalar(one)) for one in node.value)
            return (ValueTest("matches", f"^(?:{words})$", negated=negated),)
        if isinstance(node, yaml.ScalarNode):
            return (ValueTest("equals", self._scalar(node), negated=negated),)
        table = self._table(node, (*sorted(TEST_KINDS), "not", "ignore-case"), "a test")
        ignore_case = "ignore-case" in table and self._flag(table.pop("ignore-case"))
        tests: list[ValueTest] = []
        for kind, value in table.items():
            if kind == "not":
                tests.extend(self._tests(value, not negated))
            elif kind in _FLAGS:
                tests.append(ValueTest(kind, negated=negated == self._flag(value)))
            else:
                make = partial(ValueTest, kind, self._scalar(value), ignore_case, negated)
                test = self._try(value, make) if kind in TEST_KINDS else None
                tests.extend([test] if test is not None else [])
        if negated and len(tests) > 1:
            self._problem(node, "'not' takes one test", "write several 'not' as a list")
        return tuple(tests)

    def _patterns(self, node: yaml.Node | None) -> tuple[TagPattern, ...]:
        if node is None:
            return ()
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found = [self._try(one, partial(TagPattern, self._scalar(one))) for one in nodes]
        return tuple(pattern for pattern in found if pattern is not None)

    def _vrs(self, node: yaml.Node | None) -> frozenset[str]:
        if node is None:
            return frozenset()
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for one in nodes:
            if self._scalar(one) not in _VRS:
                self._problem(one, f"{self._scalar(one)!r} is no VR", "for example LO or PN")
        return frozenset(self._scalar(one) for one in nodes)

    def _check_values(self, node: yaml.Node, rule: Rule | None) -> None:
        """A replacement that the VR of an attribute cannot hold."""
        if rule is None or rule.change.kind is not ChangeKind.REPLACE:
            return
        for pattern in rule.tags:
            problem = value_problem(pattern, rule.change.text)
            if problem:
                self._problem(node, problem, "give a value of that VR, or remove the attribute")

    def _table(
        self, node: yaml.Node | None, keys: Iterable[str] | None, what: str
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, f"{what} is expected here", "key: value")
            return {}
        table: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self._scalar(key)
            if name in table:
                self._problem(key, f"{name!r} stands twice", "one of them would be lost")
            table[name] = value
        if keys is not None:
            self._refuse_others(table, tuple(keys), what)
        return table

    def _refuse_others(self, table: dict[str, yaml.Node], keys: tuple[str, ...], what: str) -> None:
        for name, value in table.items():
            if name not in keys:
                self._problem(value, f"{name!r} is not known in {what}", _nearest(name, keys))

    def _list(self, node: yaml.Node) -> list[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self._problem(node, "a list is expected here", "- first")
        return []

    def _scalar(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self._problem(node, "one value is expected here", "put it in quotation marks")
        return ""

    def _flag(self, node: yaml.Node) -> bool:
        text = self._scalar(node).lower()
        if text not in ("true", "false", "yes", "no"):
            self._problem(node, f"{text!r}: true or false is expected here", "true")
        return text in ("true", "yes")

    def _try(self, node: yaml.Node, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except ConfigurationError as error:
            self._problem(node, str(error), "")
            return None

    def _problem(self, node: yaml.Node | None, text: str, hint: str) -> None:
        line = node.start_mark.line + 1 if node is not None else 1
        self.problems.append(f"line {line}: {text}" + (f" ({hint})" if hint else ""))


def value_problem(pattern: TagPattern, text: str) -> str:
    """Why an attribute cannot have a value; empty if it can."""
    if pattern.tag is None or not dictionary_has_tag(pattern.tag):
        return ""
    vr = dictionary_VR(pattern.tag)
    if vr == "SQ":
        return f"{pattern.text} is a sequence and takes no text"
    if vr in BINARY_VRS:
        return f"{pattern.text} is binary (VR {vr}) and takes no text"
    if len(vr) > 2 or not text:
        return ""
    try:
        for one in text.split("\\"):
            validate_value(vr, one, pydicom_config.RAISE)
    except (ValueError, TypeError, OverflowError):
        return f"{text!r} is no value of VR {vr}, which {pattern.text} has"
    return ""


def _nearest(word: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, [str(one) for one in words], n=1)
    return f"did you mean {near[0]}?" if near else f"one of {', '.join(map(str, words))}"


def write_rules(rules: RuleSet) -> str:
    """The text of a file that :func:`read_rules` reads to the same rules."""
    content: dict[str, Any] = {"name": rules.name} if rules.name else {}
    content["rules"] = [_written_rule(rule) for rule in rules.rules]
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    if not _ODD_BREAKS.intersection(text):
        return text
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=False, width=100)


def _written_rule(rule: Rule) -> dict[str, Any]:
    written: dict[str, Any] = {"name": rule.name}
    written["tags"] = _one_or_list([pattern.text for pattern in rule.tags])
    if rule.excluded:
        written["except"] = _one_or_list([pattern.text for pattern in rule.excluded])
    if rule.vrs:
        written["vr"] = _one_or_list(sorted(rule.vrs))
    if rule.value:
        written["when"] = [_written_test(test) for test in rule.value]
    if rule.conditions:
        written["if"] = [_written_condition(condition) for condition in rule.conditions]
    written["action"] = rule.change.kind.value
    for key, attribute in _PARAMETERS.get(rule.change.kind, {}).items():
        value = getattr(rule.change, attribute)
        if value is not None:
            written[key] = value
    return written


def _written_condition(condition: Condition) -> dict[str, Any]:
    written: dict[str, list[dict[str, Any]]] = {}
    for keyword, test in condition.tests:
        written.setdefault(keyword, []).append(_written_test(test))
    return written


def _written_test(test: ValueTest) -> dict[str, Any]:
    if test.kind in _FLAGS:
        return {test.kind: not test.negated}
    written: dict[str, Any] = {test.kind: test.operand}
    if test.ignore_case:
        written["ignore-case"] = True
    return {"not": written} if test.negated else written


def _one_or_list(words: list[str]) -> str | list[str]:
    return words[0] if len(words) == 1 else words
