"""What comes out of an importer, and how it is put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from isocenter.core.deid.policy import Option
from isocenter.core.deid.rules.file import value_problem
from isocenter.core.deid.rules.site_rules import Condition, Rule, RuleSet, ValueTest
from isocenter.core.deid.rules.tag_patterns import TagPattern
from isocenter.core.deid.rules.values import Change, ChangeKind
from isocenter.core.errors import ConfigurationError

_LONGEST_TEXT = 200
_EVERYTHING = "(xxxx,xxxx)"


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A piece of the source that is not, or not exactly, in the rules.

    Attributes:
        line: in the source, from 1.
        text: of the source, shortened.
        why: what is different, and what to do where something can be done.
    """

    line: int
    text: str
    why: str


@dataclass(frozen=True)
class Imported:
    """Rules from another tool.

    Attributes:
        rules: what was mapped.
        options: of the profile that the source asks for.
        unmapped: what has no effect here.
        changed: what is mapped, but does not do exactly the same.
        pattern: of pseudonyms, if the source has one; empty otherwise.
        site: what ``{site}`` in the pattern stands for.
    """

    rules: RuleSet
    options: frozenset[Option] = frozenset()
    unmapped: tuple[Unmapped, ...] = ()
    changed: tuple[Unmapped, ...] = ()
    pattern: str = ""
    site: str = ""


@dataclass
class Collector:
    """Gathers rules, options and what could not be mapped."""

    source: str
    rules: list[Rule] = field(default_factory=list)
    options: set[Option] = field(default_factory=set)
    not_mapped: list[Unmapped] = field(default_factory=list)
    differing: list[Unmapped] = field(default_factory=list)

    def unmapped(self, line: int, text: str, why: str) -> None:
        """Note something that has no effect here."""
        self.not_mapped.append(Unmapped(line, _shortened(text), why))

    def changed(self, line: int, text: str, why: str) -> None:
        """Note something that does not do exactly the same here."""
        self.differing.append(Unmapped(line, _shortened(text), why))

    def rule(
        self,
        line: int,
        text: str,
        tags: Sequence[str],
        change: Change,
        *,
        excluded: Iterable[str] = (),
        vrs: Iterable[str] = (),
        value: tuple[ValueTest, ...] = (),
        conditions: tuple[Condition, ...] = (),
    ) -> bool:
        """Add a rule; where it cannot be, note why. Tags that cannot be are noted one by one."""
        patterns = [
            pattern
            for tag in tags
            if (pattern := self._pattern(line, text, tag, change)) is not None
        ]
        try:
            left_out = tuple(TagPattern(tag) for tag in excluded)
            if not patterns:
                return False
            rule = Rule(
                f"{self.source} line {line}",
                tuple(patterns),
                change,
                left_out,
                frozenset(vrs),
                value,
                conditions,
                line,
            )
        except ConfigurationError as error:
            self.unmapped(line, text, str(error))
            return False
        self.rules.append(rule)
        everything = any(pattern.text == _EVERYTHING for pattern in patterns)
        if everything and change.kind is ChangeKind.KEEP and not (rule.vrs or value):
            self.changed(line, text, "this keeps every attribute; only the verifier guards it")
        return True

    def finish(self, name: str, *, pattern: str = "", site: str = "") -> Imported:
        """Everything gathered."""
        return Imported(
            RuleSet(tuple(self.rules), name or self.source),
            frozenset(self.options),
            tuple(self.not_mapped),
            tuple(self.differing),
            pattern,
            site,
        )

    def _pattern(self, line: int, text: str, tag: str, change: Change) -> TagPattern | None:
        try:
            pattern = TagPattern(tag)
            Rule("", (pattern,), change)
        except ConfigurationError as error:
            self.unmapped(line, text, str(error))
            return None
        problem = ""
        if change.kind is ChangeKind.REPLACE:
            problem = value_problem(pattern, change.text)
        if problem:
            self.unmapped(line, text, problem)
            return None
        return pattern


def _shortened(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST_TEXT else plain[: _LONGEST_TEXT - 1] + "…"
