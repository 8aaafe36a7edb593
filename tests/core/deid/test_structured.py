"""Content items by their concept names."""

from __future__ import annotations

import pytest

from isocenter.core.deid.dataset.elements import Code, Item
from isocenter.core.deid.dataset.structured import handler
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.standard.actions import Action

TEXT, CODE, NUMBER, PERSON = 0x0040A160, 0x0040A168, 0x0040A300, 0x0040A123


class ContentItem:
    """A content item of the test."""

    def __init__(
        self, value_type: str, concept: str, *, children: int = 0, scheme: str = "DCM"
    ) -> None:
        self._value_type, self._concept = value_type, Code(concept, scheme, "")
        self._children = children

    def tags(self) -> list[int]:
        return []

    def text(self, tag: int) -> str | None:
        return self._value_type if tag == 0x0040A040 else None

    def items(self, tag: int) -> list[Item]:
        return [self] * self._children if tag == 0x0040A730 else []

    def code(self, tag: int) -> Code | None:
        return self._concept if tag == 0x0040A043 else None


def decide(item: ContentItem, *options: Option, path: str = "(0040,A730)[1]") -> object:
    return handler(Policy(options=frozenset(options))).item(path, item)


def actions(item: ContentItem, *options: Option) -> dict[int, Action]:
    decision = handler(Policy(options=frozenset(options))).item("(0040,A730)[1]", item)
    return {tag: override.action for tag, override in decision.overrides.items()}


@pytest.mark.parametrize(
    ("value_type", "concept", "tag"),
    [
        ("PNAME", "121008", PERSON),
        ("TEXT", "121030", TEXT),
        ("TEXT", "121022", TEXT),
        ("TEXT", "121016", TEXT),
    ],
)
def test_who_and_which_becomes_a_dummy(value_type: str, concept: str, tag: int) -> None:
    assert actions(ContentItem(value_type, concept)) == {tag: Action.DUMMY}


def test_devices_stay_with_their_option() -> None:
    item = ContentItem("TEXT", "121016")
    assert actions(item, Option.RETAIN_DEVICE_IDENTITY) == {}


def test_a_make_stays() -> None:
    assert actions(ContentItem("TEXT", "121014")) == {TEXT: Action.KEEP}


def test_characteristics_go_unless_they_are_retained() -> None:
    item = ContentItem("CODE", "121032")
    assert decide(item).drop  # type: ignore[attr-defined]
    assert not decide(item, Option.RETAIN_PATIENT_CHARACTERISTICS).drop  # type: ignore[attr-defined]
    assert actions(ContentItem("NUM", "121033", children=1)) == {NUMBER: Action.DUMMY}


def test_findings_are_left_to_the_cleaner() -> None:
    assert actions(ContentItem("TEXT", "121071")) == {}
    assert actions(ContentItem("TEXT", "121030", scheme="99LOCAL")) == {}
    assert decide(ContentItem("CONTAINER", "126000"), path="") == decide(
        ContentItem("NUM", "112031")
    )
