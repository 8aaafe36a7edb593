"""What is remembered from element to element and from object to object.

What a tag with a VR means at a place in the nesting is worked out once; so is what becomes of a
value there. The objects of a study are much alike, and most elements cost one look-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isocenter.core.deid.dataset.elements import ITEM_END, SPECIFIC_CHARACTER_SET, Head
from isocenter.core.deid.dataset.private import may_keep_private
from isocenter.core.deid.dataset.replacing import CharacterSet, NewValue, Replacer
from isocenter.core.deid.profile import HANDLED_OPTIONS, Choices, Decision, Level, level_of
from isocenter.core.deid.samples.sample_lengths import has_samples
from isocenter.core.deid.standard.actions import Action
from isocenter.core.dicom.part10 import LONG_VRS

if TYPE_CHECKING:
    from isocenter.core.deid.engine import Context


class Step:
    """What is known of an element with a certain tag and VR at a certain place.

    Attributes:
        decision: of the profile.
        by_rule: a site's rule may say otherwise.
        is_long: the length field has four bytes, before the value.
        value_at: offset of the value from the element's first byte.
        is_end: this is an item's delimiter.
        copied: it stays whatever its value is.
        looked_at: it stays, without a line in the log, where its value has nothing in it.
        memo: new values by old value and character set.
    """

    __slots__ = (
        "by_rule",
        "copied",
        "decision",
        "is_end",
        "is_long",
        "looked_at",
        "memo",
        "tag",
        "value_at",
    )

    def __init__(self, tag: int, vr: bytes, decision: Decision, *, by_rule: bool) -> None:
        self.tag = tag
        self.decision = decision
        self.by_rule = by_rule
        self.is_long = not vr or vr in LONG_VRS
        self.value_at = 12 if vr in LONG_VRS else 8
        self.is_end = tag == ITEM_END
        keeps = decision.action is Action.KEEP and not decision.check and not by_rule
        self.copied = keeps and tag != SPECIFIC_CHARACTER_SET and not has_samples(tag)
        checked = decision.action is Action.KEEP and bool(decision.check) and decision.quiet
        self.looked_at = checked and not by_rule
        self.memo: dict[tuple[bytes, CharacterSet], NewValue | None] = {}


class Place:
    """A level of nesting with its steps, by the first bytes of an element: tag and VR."""

    def __init__(self, level: Level, session: Session) -> None:
        self.level = level
        self.session = session
        self.explicit: dict[bytes, Step] = {}
        self.implicit: dict[bytes, Step] = {}
        self._children: dict[int, Place] = {}

    def child(self, tag: int) -> Place:
        """The items of a sequence here."""
        found = self._children.get(tag)
        if found is None:
            found = self._children[tag] = Place(self.level.child(tag), self.session)
        return found

    def step(self, head: Head) -> Step:
        """Work out the step of an element."""
        decision = self.level.decide(head.tag, head.vr.decode("ascii"))
        return Step(head.tag, head.vr, decision, by_rule=self.session.is_ruled(head.tag))


class Session:
    """What is remembered from object to object of one context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.choices = Choices.of(context.policy)
        self.replacer = Replacer(context)
        self.rules = context.policy.rules or None
        self.keeps_private = may_keep_private(self.choices)
        self.active_handlers = frozenset(
            key
            for option, key in HANDLED_OPTIONS.items()
            if option in context.policy.options and key in context.handlers
        )
        self._places: dict[str, Place] = {}

    def is_ruled(self, tag: int) -> bool:
        """Whether a site's rule may fit elements with this tag."""
        return self.rules is not None and self.rules.touches(tag)

    def root(self, sop_class_uid: str) -> Place:
        """The top level of objects of a SOP class."""
        found = self._places.get(sop_class_uid)
        if found is None:
            level = level_of(self.choices, sop_class_uid)
            found = self._places[sop_class_uid] = Place(level, self)
        return found
