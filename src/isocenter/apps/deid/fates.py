"""What a policy does to an attribute, in words: the engine itself is asked, nothing is guessed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from isocenter.core.deid.policy import Policy
from isocenter.core.deid.profile import Choices, Decision, Level, level_of
from isocenter.core.deid.rules.site_rules import Rule
from isocenter.core.deid.rules.values import ChangeKind
from isocenter.core.deid.standard.actions import Action
from isocenter.core.deid.standard.dictionary import attribute

_PIXEL_DATA = 0x7FE00010


class Fate(StrEnum):
    """What becomes of a value."""

    STAYS = "stays"
    CHANGED = "changed"
    GOES = "goes"


@dataclass(frozen=True)
class Outcome:
    """What becomes of an attribute.

    Attributes:
        text: how, to be read after its name and a colon.
        rule: name of the site's rule that decides it; empty: the profile does.
        unless: names of the site's rules that decide it where they fit.
    """

    fate: Fate
    text: str
    rule: str = ""
    unless: tuple[str, ...] = ()


_ACTIONS: dict[Action, tuple[Fate, str]] = {
    Action.KEEP: (Fate.STAYS, "kept as it is"),
    Action.ROUND: (Fate.STAYS, "kept; ages above 89 become 90"),
    Action.REMOVE: (Fate.GOES, "removed"),
    Action.EMPTY: (Fate.GOES, "emptied"),
    Action.DUMMY: (Fate.GOES, "replaced by a value that says nothing"),
    Action.UID: (Fate.CHANGED, "replaced by another, the same wherever it stands"),
    Action.SHIFT: (Fate.CHANGED, "moved by the patient's secret number of days"),
    Action.CLEAN: (Fate.CHANGED, "kept as text without names, numbers and dates"),
    Action.PSEUDONYM: (Fate.CHANGED, "replaced by the patient's pseudonym"),
    Action.RECURSE: (Fate.CHANGED, "kept; what is in it is decided one by one"),
    Action.REFUSE: (Fate.GOES, "never let out unseen: its object is held back or left out"),
}
_CHANGES: dict[ChangeKind, tuple[Fate, str]] = {
    ChangeKind.KEEP: (Fate.STAYS, "kept as it is"),
    ChangeKind.REMOVE: (Fate.GOES, "removed"),
    ChangeKind.EMPTY: (Fate.GOES, "emptied"),
    ChangeKind.DUMMY: (Fate.GOES, "replaced by a value that says nothing"),
    ChangeKind.UID: (Fate.CHANGED, "replaced by another, the same wherever it stands"),
    ChangeKind.CLEAN: (Fate.CHANGED, "kept as text without names, numbers and dates"),
    ChangeKind.PSEUDONYM: (Fate.CHANGED, "replaced by the patient's pseudonym"),
    ChangeKind.REFUSE: (Fate.GOES, "a reason to hold its object back"),
    ChangeKind.REPLACE: (Fate.CHANGED, "replaced by a text of yours"),
    ChangeKind.TEMPLATE: (Fate.CHANGED, "replaced by a text that your template makes"),
    ChangeKind.HASH: (Fate.CHANGED, "replaced by a keyed hash"),
    ChangeKind.SHIFT: (Fate.CHANGED, "moved by a number of days"),
    ChangeKind.REGEX_REPLACE: (Fate.CHANGED, "kept with a part of it replaced"),
    ChangeKind.ROUND: (Fate.CHANGED, "rounded"),
}


def outcome(policy: Policy, sop_class_uid: str, tag: int) -> Outcome:
    """What becomes of an attribute at the top level of an object of a SOP class."""
    level = level_of(Choices.of(policy), sop_class_uid)
    decision = level.decide(tag, attribute(tag).vrs[0])
    unless: list[str] = []
    for rule in _rules_for(policy, tag):
        if _always_fits(rule, tag, decision.vr):
            fate, text = _of_rule(rule, level, tag, decision)
            return Outcome(fate, text, rule.name, tuple(unless))
        unless.append(rule.name)
    fate, text = _of_profile(decision)
    return Outcome(fate, text, "", tuple(unless))


def _rules_for(policy: Policy, tag: int) -> Iterator[Rule]:
    """The site's rules that may decide an attribute, in their order."""
    rules = policy.rules
    if rules is None or not rules.touches(tag):  # such as what no rule may touch
        return
    for rule in rules.rules:
        if rule.keeps(tag) if tag == _PIXEL_DATA else rule.may_fit(tag):
            yield rule


def _of_rule(rule: Rule, level: Level, tag: int, decision: Decision) -> tuple[Fate, str]:
    kind = rule.change.kind
    if decision.vr == "SQ" and kind not in (ChangeKind.REMOVE, ChangeKind.EMPTY):
        return _ACTIONS[Action.RECURSE]
    if kind is not ChangeKind.REMOVE:
        return _CHANGES[kind]
    made = replace(decision, action=Action.REMOVE, strict=False)
    return _of_profile(level.least(tag, made))  # an object without what it needs is none


def _of_profile(decision: Decision) -> tuple[Fate, str]:
    if decision.strict:
        return Fate.CHANGED, "kept with a text that says nothing in place of each text in it"
    fate, text = _ACTIONS.get(decision.action, (Fate.CHANGED, f"changed ({decision.action})"))
    if decision.action is Action.KEEP and decision.check == "text":
        text = "kept; where something of the patient is found in it, that is taken out"
    return fate, text


def _always_fits(rule: Rule, tag: int, vr: str) -> bool:
    """Whether a rule decides this attribute whatever its value and its object."""
    asks = rule.value or rule.conditions or rule.vrs
    return not asks and rule.fits((tag,), vr, "", lambda _: None, "")
