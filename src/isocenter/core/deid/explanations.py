"""Tells a reader what happens to an attribute and why, for ``--explain``."""

from __future__ import annotations

from isocenter.core.deid.dataset.private import may_keep_private
from isocenter.core.deid.policy import Policy
from isocenter.core.deid.profile import Choices, decide
from isocenter.core.deid.rules.site_rules import Rule
from isocenter.core.deid.standard.actions import Action
from isocenter.core.deid.standard.dictionary import NO_ATTRIBUTE, attribute
from isocenter.core.deid.standard.iods import attribute_type
from isocenter.core.deid.standard.keep_list import keep_list
from isocenter.core.deid.standard.table import Table
from isocenter.core.dicom.scanner import tag_text

_CODES = {
    "D": "a value that says nothing",
    "Z": "empty, or a value that says nothing",
    "X": "removed",
    "U": "another UID, the same wherever it stands",
    "K": "kept",
    "C": "cleaned",
}
#: Objects that show how the type of an attribute counts.
_EXAMPLES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "enhanced MR": "1.2.840.10008.5.1.4.1.1.4.1",
    "RT structure set": "1.2.840.10008.5.1.4.1.1.481.3",
    "structured report": "1.2.840.10008.5.1.4.1.1.88.33",
}
_DONE = {
    Action.KEEP: "kept",
    Action.REMOVE: "removed",
    Action.EMPTY: "emptied",
    Action.DUMMY: "replaced by a dummy",
    Action.UID: "replaced by a keyed UID, which is the same wherever it stands",
    Action.SHIFT: "moved by the patient's number of days",
    Action.CLEAN: "cleaned: what identifies is taken out of the text",
    Action.ROUND: "kept; ages above 89 years become 090Y",
    Action.PSEUDONYM: "replaced by the patient's pseudonym",
    Action.RECURSE: "kept; each item is decided element by element",
    Action.REFUSE: "the object is refused unless its document can be looked into",
}


def explained(tag: int, policy: Policy) -> list[str]:
    """What the standard says of an attribute, what the policy makes of it, and where types count.

    Args:
        tag: group and element.
        policy: whose options count; a site's rules are named where they may fit.
    """
    known = attribute(tag)
    entry = Table.load().entry(tag)
    name = known.keyword or (entry.keyword if entry else "") or "unknown"
    lines = [f"{tag_text(tag)} {name} {' or '.join(known.vrs) if known.keyword else ''}".rstrip()]
    if tag >> 16 & 1:
        lines.append("private: removed, unless the safe list or the project's list names it")
        if may_keep_private(Choices.of(policy)):
            lines.append("this policy keeps what the lists name")
        return lines + _rules(tag, policy)
    if entry is not None:
        meaning = "; or ".join(_CODES[code] for code in entry.basic.rstrip("*").split("/"))
        lines.append(f"PS3.15 {Table.load().edition} Table E.1-1: {entry.basic} ({meaning})")
        for option, code in sorted(entry.options.items()):
            chosen = ", chosen" if option in policy.options else ""
            lines.append(f"  with {option} ({option.code}{chosen}): {code} ({_CODES[code]})")
    elif known is NO_ATTRIBUTE:
        lines.append("in no edition of PS3.6 that is known here")
    elif tag in keep_list():
        lines.append(f"not in Table E.1-1; reviewed keep list: {keep_list()[tag]}")
    else:
        lines.append("not in Table E.1-1; its value representation decides")
    return lines + _outcomes(tag, policy, known.vrs[0]) + _rules(tag, policy)


def _outcomes(tag: int, policy: Policy, vr: str) -> list[str]:
    found: dict[str, list[str]] = {}
    for name, sop_class in _EXAMPLES.items():
        decision = decide(policy, sop_class, (tag,), vr)
        done = _DONE[decision.action]
        if decision.strict:
            done = "its items stay, every text in them is replaced by a dummy"
        if decision.action is Action.KEEP and decision.check == "text":
            done = "kept; cleaned where one of the study's identifiers is in it"
        kind = attribute_type(sop_class, (tag,))
        found.setdefault(f"{done} [{decision.rule}]", []).append(f"{name} (Type {kind})")
    return [f"this policy: {done}: {', '.join(names)}" for done, names in found.items()]


def _rules(tag: int, policy: Policy) -> list[str]:
    """The site's rules that may fit, in their order: the first that does decides."""
    found = policy.rules.candidates(tag) if policy.rules is not None else ()
    return [_told(rule) for rule in found]


def _told(rule: Rule) -> str:
    change = rule.change
    what = f"{change.kind} {change.text!r}" if change.text else str(change.kind)
    place = f" (line {rule.line})" if rule.line else ""
    tested = rule.vrs or rule.value or rule.conditions or rule.excluded
    when = "where its conditions hold" if tested else "wherever it stands"
    return f"site rule {rule.name!r}{place} goes before all this, {when}: {what}"
