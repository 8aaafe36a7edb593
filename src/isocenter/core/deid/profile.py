"""Which action a data element gets (PS3.15 E.1.1, E.3).

The decision depends on the policy's options, on the IOD (a Type 1 attribute must not vanish) and
on the sequences that an element is in. It is made once for each place and kept: a second object
of the same kind costs one look-up for each element.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

from isocenter.core.deid.policy import Option, Policy, PrivateKeep
from isocenter.core.deid.standard.actions import Action
from isocenter.core.deid.standard.dictionary import NO_ATTRIBUTE, Attribute, attribute
from isocenter.core.deid.standard.iods import attribute_type
from isocenter.core.deid.standard.keep_list import keep_list
from isocenter.core.deid.standard.table import Entry, Table

#: What has to be looked at in a value that is kept.
Check = Literal["", "text", "number", "date", "class", "bytes", "words"]

#: Keys of handlers in the engine's context.
STRUCTURED_CONTENT, GRAPHICS = "structured-content", "graphics"
HANDLED_OPTIONS: Mapping[Option, str] = {
    Option.CLEAN_STRUCTURED_CONTENT: STRUCTURED_CONTENT,
    Option.CLEAN_GRAPHICS: GRAPHICS,
}

TEXT_VRS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
DATE_VRS = frozenset(("DA", "DT", "TM"))
_NUMBER_TEXT_VRS = frozenset(("DS", "IS"))
_BULK_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
# A time is no date: what is one in six digits is another in the other.
_DAY_VRS = frozenset(("DA", "DT"))
_FAMILIES = (TEXT_VRS, _DAY_VRS, _NUMBER_TEXT_VRS, _BULK_VRS, frozenset(("US", "SS", "UL", "SL")))

#: Actions after which nothing of the old value is there.
_NEW_VALUES = frozenset(
    (Action.EMPTY, Action.DUMMY, Action.PSEUDONYM, Action.UID, Action.SHIFT, Action.ROUND)
)

_PATIENT_NAME, _PATIENT_ID, _BIRTH_DATE = 0x00100010, 0x00100020, 0x00100030
_PATIENT_AGE = 0x00101010
_SOP_CLASS = 0x00080016
#: Pixels and waveforms, which others look into.
_BULK = frozenset((0x54000110, 0x54000112, 0x5400100A, 0x54001010, 0x7FE00010))
#: With offsets of frames: values of numbers that others look into.
_SAMPLES = _BULK | {0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00008, 0x7FE00009}
_CHARACTER_SET = 0x00080005
#: Refused, unless the engine's context has a handler that can look into it.
ENCAPSULATED_DOCUMENT = 0x00420011
_TIMEZONE = 0x00080201
#: Written by the engine itself at the top level (PS3.15 E.1.1; PS3.3 C.7.1.1, C.12.1).
ENGINE_TAGS = frozenset((0x00120062, 0x00120063, 0x00120064, 0x00280303))
# Attributes of the code sequence macro (PS3.3 Table 8.8-1): codes stay in a dummied sequence.
_CODE_MACRO = frozenset(
    (
        0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x00080120,
        0x0008010F, 0x00080117, 0x00080105, 0x00080106, 0x0008010B, 0x00080107,
    )
)  # fmt: skip
# Attributes that the table gives a dummy although they may only be there with another (Type 1C),
# which the table removes. Of all attributes with D this is the only one: the conditions of the
# others are on what stays or gets a dummy itself, or on the value of an attribute that stays.
_CONDITIONS = {0x00120081: 0x00120082}  # ethics committee's name, its approval number (C.7.1.3)
_OVERLAYS, _CURVES = 0x60, 0x50
_OVERLAY_COMMENTS = 0x4000


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done to an element, and which rule says so.

    Attributes:
        action: what is done.
        rule: ``E.1-1 X/Z/D``, ``E.1-1 K retain-uids``, ``keep list``, ``private``, ``unknown``.
        keyword: of the attribute; empty if it has none.
        vr: that the value is read and written by.
        check: what a kept value has to be looked at for.
        strict: of a sequence that is replaced and may not be empty: its items stay, every text in
            them is replaced by a dummy.
        handler: that decides the items of this sequence.
        quiet: not worth a line in the action log.
        fallback: REMOVE, EMPTY or DUMMY, where the action cannot be done with a value, such as a
            shift of what is no date.
    """

    action: Action
    rule: str
    keyword: str = ""
    vr: str = "UN"
    check: Check = ""
    strict: bool = False
    handler: str = ""
    quiet: bool = False
    fallback: Action = Action.REMOVE


class Choices(NamedTuple):
    """The part of a policy that decisions depend on."""

    options: frozenset[Option]
    dates: str
    keep_ages: bool
    pixels: str
    private_keep: tuple[PrivateKeep, ...]

    @classmethod
    def of(cls, policy: Policy) -> Choices:
        """Those of a policy."""
        return cls(
            policy.options, policy.dates, policy.keep_ages, policy.pixels, policy.private_keep
        )


@lru_cache(maxsize=64)
def level_of(choices: Choices, sop_class_uid: str) -> Level:
    """The top level of objects of a SOP class."""
    return Level(choices, sop_class_uid)


def decide(policy: Policy, sop_class_uid: str, path: tuple[int, ...], vr: str) -> Decision:
    """The action for the element at a path of tags, outermost first.

    Args:
        policy: options count here, a site's rules do not (they look at values).
        sop_class_uid: of the object; its IOD says which attributes must not vanish.
        path: tags of the sequences that the element is in, and its own.
        vr: value representation as read; ``UN`` or empty where unknown.
    """
    level = level_of(Choices.of(policy), sop_class_uid)
    for tag in path[:-1]:
        level = level.child(tag)
    return level.decide(path[-1], vr)


class Level:
    """A place in the nesting of sequences: the top level, or the items of one sequence."""

    def __init__(
        self,
        choices: Choices,
        sop_class_uid: str,
        path: tuple[int, ...] = (),
        *,
        strict: bool = False,
        strict_root: bool = False,
    ) -> None:
        self.choices = choices
        self.sop_class_uid = sop_class_uid
        self.path = path
        self.strict = strict
        self._strict_root = strict_root
        self._children: dict[int, Level] = {}

    def child(self, tag: int) -> Level:
        """The items of a sequence at this level."""
        found = self._children.get(tag)
        if found is None:
            here = self.decide(tag, "SQ").strict
            found = self._children[tag] = Level(
                self.choices,
                self.sop_class_uid,
                (*self.path, tag),
                strict=self.strict or here,
                strict_root=here,
            )
        return found

    def decide(self, tag: int, vr: str) -> Decision:
        """The action for an element of this level."""
        decision = self._decided(tag, vr or "UN")
        if self.strict and decision.vr in TEXT_VRS - {"CS"} and self._says_something(tag, decision):
            return Decision(Action.DUMMY, f"{decision.rule} in D", decision.keyword, decision.vr)
        if decision.check or decision.action in (Action.CLEAN, Action.SHIFT, Action.ROUND):
            code = "Z/D" if self.strict else "X/Z/D"
            made = self._resolve(code, "", tag, decision.keyword, decision.vr)
            return replace(decision, fallback=made.action)
        return decision

    def least(self, tag: int, decision: Decision) -> Decision:
        """What may be done at most to an attribute that is to be removed: Type 1 and 2 stay."""
        kind = attribute_type(self.sop_class_uid, (*self.path, tag))
        if tag >> 16 & 1 or kind not in ("1", "2"):
            return decision
        made = self._resolve("X/Z/D", "", tag, decision.keyword, decision.vr)
        rule = f"{decision.rule}; not removed, Type {kind}"
        return replace(made, rule=rule, check="", quiet=False)

    def _says_something(self, tag: int, decision: Decision) -> bool:
        if decision.action not in (Action.KEEP, Action.CLEAN):
            return False
        return self._strict_root or tag not in _CODE_MACRO

    def _decided(self, tag: int, read_vr: str) -> Decision:
        if tag & 0xFFFF == 0:
            return Decision(Action.REMOVE, "group length", vr="UL", quiet=True)
        if tag >> 16 & 1:
            return Decision(Action.REMOVE, "private", vr=read_vr)
        known = attribute(tag)
        entry = Table.load().entry(tag)
        if known is NO_ATTRIBUTE and entry is None:
            return Decision(Action.REMOVE, "unknown", vr=read_vr)
        vr = _effective_vr(known, read_vr)
        keyword = known.keyword or (entry.keyword if entry else "")
        made = self._ruled(tag, keyword, vr, entry)
        unexpected = known is not NO_ATTRIBUTE and not _fits(known, read_vr)
        if unexpected and made.action in (Action.KEEP, Action.CLEAN, Action.RECURSE):
            made = self._resolve("X/Z/D", "unexpected VR", tag, keyword, known.vrs[0])
            return Decision(Action.REMOVE, made.rule, keyword, vr) if made.strict else made
        if made.action in _NEW_VALUES and made.vr not in known.vrs and known is not NO_ATTRIBUTE:
            return replace(made, vr=known.vrs[0])  # a new value is written as PS3.6 has it
        return made

    def _ruled(self, tag: int, keyword: str, vr: str, entry: Entry | None) -> Decision:
        if tag in (_PATIENT_NAME, _PATIENT_ID):
            return Decision(Action.PSEUDONYM, f"E.1-1 {entry.basic if entry else 'Z'}", keyword, vr)
        if tag == _CHARACTER_SET:
            return Decision(Action.KEEP, "character set", keyword, vr, quiet=True)
        if tag in ENGINE_TAGS:
            return Decision(Action.REMOVE, "engine", keyword, vr, quiet=True)
        if tag == ENCAPSULATED_DOCUMENT:
            return Decision(Action.REFUSE, "E.1-1 D", keyword, vr)
        if tag == _BIRTH_DATE and self.choices.keep_ages:
            return Decision(Action.SHIFT, "birth date", keyword, vr)
        if tag >> 24 in (_OVERLAYS, _CURVES):
            return self._graphic(tag, keyword, vr)
        if tag in _CONDITIONS and self.decide(_CONDITIONS[tag], "LO").action is Action.REMOVE:
            return Decision(Action.REMOVE, "condition is not met", keyword, vr)
        if entry is not None:
            return self._from_table(tag, keyword, vr, entry)
        return self._outside_table(tag, keyword, vr)

    def _graphic(self, tag: int, keyword: str, vr: str) -> Decision:
        """Overlays and curves: whole groups, because a part of one is no overlay."""
        choices = self.choices
        inspected = Option.CLEAN_GRAPHICS in choices.options and choices.pixels == "ocr"
        if tag >> 24 == _CURVES or not inspected:
            return Decision(Action.REMOVE, "E.1-1 X", keyword, vr)
        rule = f"E.1-1 C {Option.CLEAN_GRAPHICS}"
        if tag & 0xFFFF == _OVERLAY_COMMENTS:
            return Decision(Action.CLEAN, rule, keyword, vr)
        return Decision(Action.KEEP, rule, keyword, vr, _check_of(vr), quiet=True)

    def _from_table(self, tag: int, keyword: str, vr: str, entry: Entry) -> Decision:
        chosen = self.choices.options
        said = sorted((o for o in entry.options if o in chosen), key=entry.options.__getitem__)
        for option in reversed(said):  # K before C
            code = entry.options[option]
            made = self._by_option(tag, keyword, vr, option, code)
            if made is not None:
                return made
        return self._resolve(entry.basic, f"E.1-1 {entry.basic}", tag, keyword, vr)

    def _by_option(
        self, tag: int, keyword: str, vr: str, option: Option, code: str
    ) -> Decision | None:
        """What an option does to an attribute of the table; None where it cannot."""
        rule = f"E.1-1 {code} {option}"
        if vr == "SQ":
            handler = HANDLED_OPTIONS.get(option, "")
            return Decision(Action.RECURSE, rule, keyword, vr, handler=handler)
        if option is Option.RETAIN_MODIFIED_DATES:
            return _shifted(tag, keyword, vr, rule)
        if code == "K":
            if tag == _PATIENT_AGE:
                return Decision(Action.ROUND, rule, keyword, vr)
            check = _check_of(vr) or _check_of_bytes(tag, vr)
            return Decision(Action.KEEP, rule, keyword, vr, check)
        # A defined term cannot be cleaned: it is one, or the Basic Profile has it.
        return Decision(Action.CLEAN, rule, keyword, vr) if vr in TEXT_VRS - {"CS"} else None

    def _outside_table(self, tag: int, keyword: str, vr: str) -> Decision:
        options = self.choices.options
        if vr == "SQ":
            return Decision(Action.RECURSE, "no entry", keyword, vr, quiet=True)
        if vr in DATE_VRS:
            return self._date(tag, keyword, vr)
        listed = keep_list().get(tag)
        rule = "keep list"
        check: Check
        if listed is None and vr not in TEXT_VRS - {"CS"} and vr not in ("UI", "OB", "UN"):
            check = _check_of(vr) or _check_of_bytes(tag, vr)
            return Decision(Action.KEEP, "no entry", keyword, vr, check, quiet=True)
        if listed == "class_uid":
            check = "" if tag == _SOP_CLASS else "class"
            return Decision(Action.KEEP, rule, keyword, vr, check, quiet=True)
        if listed == "keep":
            check = _check_of(vr) or _check_of_bytes(tag, vr)
            return Decision(Action.KEEP, rule, keyword, vr, check, quiet=True)
        if listed == "instance_uid":
            kept = Option.RETAIN_UIDS in options
            return Decision(Action.KEEP if kept else Action.UID, rule, keyword, vr)
        if listed == "clean" or (listed == "descriptor" and Option.CLEAN_DESCRIPTORS in options):
            return Decision(Action.CLEAN, rule, keyword, vr)
        if listed == "device" and Option.RETAIN_DEVICE_IDENTITY in options:
            return Decision(Action.KEEP, f"{rule}: device", keyword, vr, _check_of(vr))
        if listed == "engine":
            return Decision(Action.REMOVE, "engine", keyword, vr, quiet=True)
        return self._resolve("X/Z/D", f"{rule}: {listed or 'deny'}", tag, keyword, vr)

    def _date(self, tag: int, keyword: str, vr: str) -> Decision:
        if self.choices.dates == "keep":
            return Decision(Action.KEEP, f"date {Option.RETAIN_FULL_DATES}", keyword, vr, "date")
        if self.choices.dates == "shift":
            rule = f"date {Option.RETAIN_MODIFIED_DATES}"
            made = _shifted(tag, keyword, vr, rule)
            if made is not None:
                return made
        return self._resolve("X/Z/D", "date", tag, keyword, vr)

    def _resolve(self, code: str, rule: str, tag: int, keyword: str, vr: str) -> Decision:
        """One action out of a code of Table E.1-1a, by the attribute's type.

        A conditional attribute that the table removes without alternative is removed; one of Type
        1 or 2 never is. In an IOD that nobody knows everything counts as Type 1 as far as the
        code has a choice.
        """
        if code == "X/Z/U*":  # references stay whole: the UIDs in the items are replaced
            return Decision(Action.RECURSE, rule, keyword, vr)
        kind = attribute_type(self.sop_class_uid, (*self.path, tag))
        if kind is None:
            kind = "1" if "/" in code else "3"
        if code == "U":
            return Decision(Action.UID, rule, keyword, vr)
        choices = code.split("/")
        if choices == ["D"] or kind == "1" or (kind == "1C" and code != "X"):
            action = Action.DUMMY
        elif kind == "2" or (kind == "2C" and code != "X") or "X" not in choices:
            action = Action.EMPTY
        else:
            action = Action.REMOVE
        if action is Action.DUMMY and vr == "SQ":
            return Decision(Action.RECURSE, rule, keyword, vr, strict=True)
        if action is Action.DUMMY and vr == "UI":
            return Decision(Action.UID, rule, keyword, vr)
        return Decision(action, rule, keyword, vr)


def _shifted(tag: int, keyword: str, vr: str, rule: str) -> Decision | None:
    """Whole days are added: times of day and time zones stay."""
    if vr in ("DA", "DT"):
        return Decision(Action.SHIFT, rule, keyword, vr)
    if vr == "TM":
        return Decision(Action.KEEP, rule, keyword, vr, "date")
    return Decision(Action.KEEP, rule, keyword, vr, "text") if tag == _TIMEZONE else None


def _check_of(vr: str) -> Check:
    if vr in TEXT_VRS:
        return "text"
    if vr in DATE_VRS or vr == "AS":
        return "date"
    return "number" if vr in _NUMBER_TEXT_VRS else ""


def _check_of_bytes(tag: int, vr: str) -> Check:
    """For text in values of bytes, and in those of numbers, which can be text to the eye."""
    if vr not in _BULK_VRS or tag in _SAMPLES:
        return ""
    return "bytes" if vr in ("OB", "UN") else "words"


def _effective_vr(known: Attribute, read_vr: str) -> str:
    """As written, where that is of the dictionary's kind; otherwise the dictionary's."""
    if known is NO_ATTRIBUTE or (read_vr != "UN" and _fits(known, read_vr)):
        return read_vr
    return known.vrs[0]


def _fits(known: Attribute, read_vr: str) -> bool:
    if read_vr in known.vrs or read_vr == "UN":
        return True
    return any(read_vr in family and known.vrs[0] in family for family in _FAMILIES)


def explain(tag: int, policy: Policy) -> list[str]:
    """Lines that tell a reader what happens to an attribute and why."""
    from isocenter.core.deid.explanations import explained

    return explained(tag, policy)
