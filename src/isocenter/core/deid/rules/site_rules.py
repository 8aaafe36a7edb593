"""A site's own rules, which go before the profile: the first rule that fits an element decides."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.rules.tag_patterns import TagPattern, TagPatterns
from isocenter.core.deid.rules.values import BINARY_VRS, Change, ChangeKind, check_expression
from isocenter.core.deid.standard.actions import Action
from isocenter.core.errors import ConfigurationError

__all__ = ["Condition", "Look", "Rule", "RuleOutcome", "RuleSet", "ValueTest"]

#: Gives the original value of another attribute of the object by its keyword; None if absent.
Look = Callable[[str], str | None]

#: What no rule may touch: the engine writes it anew, or the object cannot be read without it.
_UNTOUCHABLE_GROUPS = frozenset({0x0002, 0x0004, 0xFFFE})
_PIXEL_DATA = 0x7FE00010
_UNTOUCHABLE = frozenset(
    {
        0x00080005,  # SpecificCharacterSet
        0x00080016,  # SOPClassUID
        0x00120062,  # PatientIdentityRemoved
        0x00120063,  # DeidentificationMethod
        0x00120064,  # DeidentificationMethodCodeSequence
        0x00280002,  # SamplesPerPixel
        0x00280004,  # PhotometricInterpretation
        0x00280006,  # PlanarConfiguration
        0x00280008,  # NumberOfFrames
        0x00280010,  # Rows
        0x00280011,  # Columns
        0x00280100,  # BitsAllocated
        0x00280101,  # BitsStored
        0x00280102,  # HighBit
        0x00280103,  # PixelRepresentation
        0x00280301,  # BurnedInAnnotation
        0x7FE00001,  # ExtendedOffsetTable
        0x7FE00002,  # ExtendedOffsetTableLengths
        0x7FE00008,  # FloatPixelData
        0x7FE00009,  # DoubleFloatPixelData
        0x7FE00010,  # PixelData
    }
)


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What a rule says of one element.

    Attributes:
        action: what to do.
        value: the new text, values separated by backslashes; where it is given, the engine writes
            it. None: the engine does the action by its own means, as for the profile.
        rule_name: for the action log.
    """

    action: Action
    value: str | None
    rule_name: str


@dataclass(frozen=True, slots=True)
class ValueTest:
    """A question about one value.

    Attributes:
        kind: ``equals``, ``contains``, ``starts``, ``ends``, ``matches`` (a regular expression
            that fits anywhere), ``present``, ``empty``, ``above``, ``below`` (numbers).
        operand: what with; unused by ``present`` and ``empty``.
        ignore_case: for the tests of text.
        negated: the contrary is asked.

    Raises:
        ConfigurationError: no such test, or no regular expression.
    """

    kind: str
    operand: str = ""
    ignore_case: bool = False
    negated: bool = False

    def __post_init__(self) -> None:
        if self.kind not in TEST_KINDS:
            raise ConfigurationError(f"{self.kind!r} is no test")
        if self.kind == "matches":
            check_expression(self.operand)

    def holds(self, value: str | None) -> bool:
        """Whether it is so; an absent value is present and equal to nothing, and not empty."""
        return self._holds(value) != self.negated

    def _holds(self, value: str | None) -> bool:
        if self.kind == "present":
            return value is not None
        if value is None:
            return False
        text, operand = value.strip(" \0"), self.operand
        if self.kind == "matches":
            flags = re.IGNORECASE if self.ignore_case else 0
            return re.search(operand, text, flags) is not None
        if self.ignore_case:
            text, operand = text.casefold(), operand.casefold()
        return _TESTS[self.kind](text, operand)


def _compare(text: str, operand: str, sign: int) -> bool:
    try:
        return (float(text) - float(operand)) * sign > 0
    except ValueError:
        return False


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "equals": lambda text, operand: text == operand,
    "contains": lambda text, operand: operand in text,
    "starts": lambda text, operand: text.startswith(operand),
    "ends": lambda text, operand: text.endswith(operand),
    "empty": lambda text, _: not text,
    "above": lambda text, operand: _compare(text, operand, 1),
    "below": lambda text, operand: _compare(text, operand, -1),
}
TEST_KINDS = frozenset(_TESTS) | {"matches", "present"}


@dataclass(frozen=True, slots=True)
class Condition:
    """All of these tests of other attributes hold; a rule fits if one of its conditions does."""

    tests: tuple[tuple[str, ValueTest], ...]

    def holds(self, look: Look) -> bool:
        """Whether it is so for an object."""
        return all(test.holds(look(keyword)) for keyword, test in self.tests)


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: for the action log.
        tags: it fits elements that one of these means.
        change: what it does.
        excluded: elements that it does not fit all the same.
        vrs: of these VRs only; empty for all.
        value: tests of the element's value, all of which must hold; only text can be tested.
        conditions: one of these must hold; none means always.
        line: where it was written, from 1; 0 if nowhere.
    """

    name: str
    tags: tuple[TagPattern, ...]
    change: Change
    excluded: tuple[TagPattern, ...] = ()
    vrs: frozenset[str] = frozenset()
    value: tuple[ValueTest, ...] = ()
    conditions: tuple[Condition, ...] = ()
    line: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        for pattern in self.tags:
            tag = pattern.tag
            if tag is not None and is_untouchable(tag) and self.change.kind is not ChangeKind.KEEP:
                raise ConfigurationError(
                    f"{pattern.text} cannot be changed by a rule",
                    hint="the object could not be read, or the engine writes it itself",
                )

    def keeps(self, tag: int) -> bool:
        """Whether it names this attribute, to keep it."""
        return self.change.kind is ChangeKind.KEEP and any(p.tag == tag for p in self.tags)

    def fits(self, path: tuple[int, ...], vr: str, value: str, look: Look, creator: str) -> bool:
        """Whether this rule decides the element."""
        if self.vrs and vr not in self.vrs:
            return False
        if not self._included.fit(path, creator) or self._left_out.fit(path, creator):
            return False
        if self.value and (vr in BINARY_VRS or not all(test.holds(value) for test in self.value)):
            return False
        return not self.conditions or any(condition.holds(look) for condition in self.conditions)

    def may_fit(self, tag: int) -> bool:
        """Whether this rule can decide an element with this tag."""
        return self._included.may_fit(tag)

    @cached_property
    def _included(self) -> TagPatterns:
        return TagPatterns(self.tags)

    @cached_property
    def _left_out(self) -> TagPatterns:
        return TagPatterns(self.excluded)


def is_untouchable(tag: int) -> bool:
    """Whether rules leave this tag alone, wildcards too."""
    return tag in _UNTOUCHABLE or tag >> 16 in _UNTOUCHABLE_GROUPS


@dataclass(frozen=True)
class RuleSet:
    """Rules in their order.

    Attributes:
        rules: the first that fits decides.
        name: of the set, for reports.
    """

    rules: tuple[Rule, ...] = ()
    name: str = ""

    @classmethod
    def from_yaml(cls, source: Path | str) -> RuleSet:
        """Read rules from a file, or from its text.

        Raises:
            ConfigurationError: names every wrong line and what to do about it.
        """
        from isocenter.core.deid.rules.file import read_rules

        if isinstance(source, Path):
            try:
                text = source.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"rules file {source} cannot be read: {error}") from error
            return read_rules(text, str(source))
        return read_rules(source, "rules")

    def to_yaml(self) -> str:
        """The rules as a file that :meth:`from_yaml` reads."""
        from isocenter.core.deid.rules.file import write_rules

        return write_rules(self)

    def __add__(self, other: RuleSet) -> RuleSet:
        """These rules first, then the others."""
        name = " + ".join(part for part in (self.name, other.name) if part)
        return RuleSet(self.rules + other.rules, name)

    def __bool__(self) -> bool:
        return bool(self.rules)

    @cached_property
    def tags(self) -> frozenset[int]:
        """Single tags that rules name; wildcards are not in it, see :meth:`touches`."""
        return frozenset(
            pattern.tag for rule in self.rules for pattern in rule.tags if pattern.tag is not None
        )

    def touches(self, tag: int) -> bool:
        """Whether any rule may fit an element with this tag; quick."""
        return bool(self.candidates(tag))

    def days_made(self, tag: int, days: frozenset[str], patient: PatientAlias) -> frozenset[str]:
        """The days that rules can make in elements with this tag out of those of the originals."""
        made = (rule.change.days_made(days, patient) for rule in self.candidates(tag))
        return frozenset[str]().union(*made)

    def match(
        self,
        path: tuple[int, ...],
        keyword: str,
        vr: str,
        value: str,
        look: Look,
        *,
        secret: Secret,
        patient: PatientAlias,
        creator: str = "",
    ) -> RuleOutcome | None:
        """What the first rule that fits says of an element.

        Args:
            path: tags of the sequences around the element, and its own, outermost first.
            keyword: of the element; empty if it has none.
            vr: as read.
            value: as text, values separated by backslashes; empty for sequences and bulk data.
            look: original values of other attributes of the object.
            secret: for hashes and templates.
            patient: for shifts and templates.
            creator: Private Creator, if the element is private.

        Returns:
            None if no rule fits.
        """
        for rule in self.candidates(path[-1]):
            if rule.fits(path, vr, value, look, creator):
                action, new = rule.change.apply(value, vr, look, secret, patient)
                return RuleOutcome(action, new, rule.name)
        return None

    def digest(self) -> str:
        """16 hexadecimal digits: the same for equal rules, for ever."""
        return self._digest

    def __hash__(self) -> int:
        return int(self._digest, 16)

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self.to_yaml().encode()).hexdigest()[:16]

    def candidates(self, tag: int) -> tuple[Rule, ...]:
        known = self._by_tag.get(tag)
        if known is None:
            known = self._that_may_fit(tag)
            if len(self._by_tag) < _MOST_REMEMBERED:
                self._by_tag[tag] = known
        return known

    def _that_may_fit(self, tag: int) -> tuple[Rule, ...]:
        if tag == _PIXEL_DATA:  # what only a rule that names it can keep as it is
            return tuple(rule for rule in self.rules if rule.keeps(tag))
        if is_untouchable(tag):
            return ()
        return tuple(rule for rule in self.rules if rule.may_fit(tag))

    @cached_property
    def _by_tag(self) -> dict[int, tuple[Rule, ...]]:
        return {}


_MOST_REMEMBERED = 65536
