"""Private attributes that may stay: PS3.15 Table E.3.10-1, and a project's own list."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from isocenter.core.deid.policy import Option
from isocenter.core.deid.profile import DATE_VRS, TEXT_VRS, Choices, Decision
from isocenter.core.deid.standard.actions import Action

_NUMBER_TEXT = ("DS", "IS")


@dataclass(frozen=True, slots=True)
class _Safe:
    vr: str
    meaning: str


@cache
def _safe_attributes() -> dict[tuple[str, int, int], _Safe]:
    read = json.loads((files("isocenter.core.deid") / "data" / "safe_private.json").read_text())
    return {
        (row["creator"], int(row["group"], 16), int(row["element"], 16)): _Safe(
            row["vr"], row["meaning"]
        )
        for row in read["attributes"]
    }


@lru_cache(maxsize=4096)
def decide_private(choices: Choices, creator: str, tag: int, read_vr: str) -> Decision:
    """The action for a private element.

    Args:
        choices: of the policy.
        creator: of its block; empty where the block has none.
        tag: of the element.
        read_vr: VR as read; ``UN`` or empty where unknown.
    """
    group, low = tag >> 16, tag & 0xFF
    vr = read_vr or "UN"
    safe = _safe_attributes().get((creator, group, low))
    if safe is not None and Option.RETAIN_SAFE_PRIVATE in choices.options:
        # The table's VR: a file that says otherwise says it of something else.
        if vr in ("UN", safe.vr) or {vr, safe.vr} <= TEXT_VRS:
            return _kept(choices, "E.3.10 safe private", safe.vr)
    elif any(
        keep.creator == creator and keep.group == group and keep.element in (None, low)
        for keep in choices.private_keep
    ):
        return _kept(choices, "private list", vr)
    return Decision(Action.REMOVE, "private", vr=vr)


def may_keep_private(choices: Choices) -> bool:
    """Whether any private element can stay."""
    return Option.RETAIN_SAFE_PRIVATE in choices.options or bool(choices.private_keep)


def _kept(choices: Choices, rule: str, vr: str) -> Decision:
    if vr == "SQ":
        return Decision(Action.RECURSE, rule, vr=vr)
    if vr == "UI":
        kept = Option.RETAIN_UIDS in choices.options
        return Decision(Action.KEEP if kept else Action.UID, rule, vr=vr)
    if vr == "PN":
        return Decision(Action.REMOVE, "private name", vr=vr)
    if vr in ("DA", "DT") and choices.dates == "shift":
        return Decision(Action.SHIFT, rule, vr=vr)
    if vr in DATE_VRS and choices.dates == "remove":
        return Decision(Action.REMOVE, "private date", vr=vr)
    if vr in TEXT_VRS:
        return Decision(Action.KEEP, rule, vr=vr, check="text")
    if vr in DATE_VRS or vr == "AS":
        return Decision(Action.KEEP, rule, vr=vr, check="date")
    return Decision(Action.KEEP, rule, vr=vr, check="number" if vr in _NUMBER_TEXT else "")
