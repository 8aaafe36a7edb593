"""Content trees of structured reports (PS3.15 E.3.4, Clean Structured Content Option).

The tree keeps its shape: content items may be referred to by their place, and templates want
items such as the observer's name. What a concept name says of an item's value decides what becomes
of the value; the table and the text cleaner decide the rest.
"""

from __future__ import annotations

from isocenter.core.deid.dataset.elements import Item
from isocenter.core.deid.engine import ItemDecision, Override
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.standard.actions import Action
from isocenter.core.deid.text.concepts import (
    CHARACTERISTIC_CONCEPTS,
    DEVICE_KIND_CONCEPTS,
    IDENTIFYING_CONCEPTS,
)

_VALUE_TYPE, _CONCEPT_NAME, _CONTENT = 0x0040A040, 0x0040A043, 0x0040A730
_DATE, _DATETIME, _TIME = 0x0040A121, 0x0040A120, 0x0040A122
_PERSON_NAME, _TEXT, _CODE, _MEASURED = 0x0040A123, 0x0040A160, 0x0040A168, 0x0040A300
_DCM = "DCM"
_UNCHANGED = ItemDecision()
_RULE = "113104 {}"

#: Where the value of a content item is, by its value type (PS3.3 C.17.3.2).
_VALUES = {
    "TEXT": _TEXT,
    "PNAME": _PERSON_NAME,
    "DATE": _DATE,
    "DATETIME": _DATETIME,
    "TIME": _TIME,
    "CODE": _CODE,
    "NUM": _MEASURED,
}
_KEPT_BY = {
    "device": Option.RETAIN_DEVICE_IDENTITY,
    "institution": Option.RETAIN_INSTITUTION_IDENTITY,
}


class StructuredContent:
    """Decides content items by their concept names; the engine's handler ``structured-content``."""

    def __init__(self, policy: Policy) -> None:
        self._options = policy.options
        self._keeps_ages = policy.keep_ages and policy.dates == "shift"

    def item(self, path: str, item: Item) -> ItemDecision:
        """What becomes of a content item, or of the root (``path`` is empty)."""
        concept = item.code(_CONCEPT_NAME)
        value_tag = _VALUES.get((item.text(_VALUE_TYPE) or "").strip())
        if not path or concept is None or concept.scheme != _DCM or value_tag is None:
            return _UNCHANGED
        code = concept.value
        if code in DEVICE_KIND_CONCEPTS:
            return _with(value_tag, Action.KEEP, code)
        if code in CHARACTERISTIC_CONCEPTS:
            return self._characteristic(item, value_tag, code)
        kind = IDENTIFYING_CONCEPTS.get(code)
        if kind is None or _KEPT_BY.get(kind) in self._options:
            return _UNCHANGED
        if kind == "date" and self._keeps_ages:
            return _UNCHANGED
        return _with(value_tag, Action.DUMMY, code)

    def _characteristic(self, item: Item, value_tag: int, code: str) -> ItemDecision:
        """Sex, age, species, breed: with 113108 they stay, otherwise the item goes."""
        if Option.RETAIN_PATIENT_CHARACTERISTICS in self._options:
            return _UNCHANGED
        if item.items(_CONTENT):
            return _with(value_tag, Action.DUMMY, code)
        return ItemDecision(drop=True)


def handler(policy: Policy) -> StructuredContent:
    """The handler for a policy."""
    return StructuredContent(policy)


def _with(tag: int, action: Action, code: str) -> ItemDecision:
    return ItemDecision(overrides={tag: Override(action, rule=_RULE.format(code))})
