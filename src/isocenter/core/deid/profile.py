"""Which action a data element gets (PS3.15 E.1.1, E.3)."""

from __future__ import annotations

from dataclasses import dataclass

from isocenter.core.deid.actions import Action
from isocenter.core.deid.policy import Policy


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done to an element, and which rule says so.

    Attributes:
        action: what is done.
        rule: ``E.1-1 X/Z/D``, ``keep list``, ``private``, ``unknown``.
        dummy: where the action is DUMMY and the attribute is a sequence: its items stay, and
            every text in them is replaced.
    """

    action: Action
    rule: str


def decide(policy: Policy, sop_class_uid: str, path: tuple[int, ...], vr: str) -> Decision:
    """The action for the element at a path of tags, outermost first.

    Args:
        policy: options count here, a site's rules do not (they look at values).
        sop_class_uid: of the object; its IOD says which attributes must not vanish.
        path: tags of the sequences that the element is in, and its own.
        vr: value representation as read; ``UN`` or empty where unknown.
    """
    raise NotImplementedError


def explain(tag: int, policy: Policy) -> list[str]:
    """Lines that tell a reader what happens to an attribute and why."""
    raise NotImplementedError
