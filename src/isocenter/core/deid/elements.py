"""Read-only looks at the data elements of a data set or item, without building objects."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Code(NamedTuple):
    """A coded concept (PS3.3 8)."""

    value: str
    scheme: str
    meaning: str


class Item(Protocol):
    """One sequence item, or the top level of a data set."""

    def tags(self) -> list[int]:
        """Every tag, in order."""

    def text(self, tag: int) -> str | None:
        """The decoded value of an element, values separated by a backslash; None if absent."""

    def items(self, tag: int) -> list[Item]:
        """The items of a sequence; none if it is absent or empty."""

    def code(self, tag: int) -> Code | None:
        """The first item of a code sequence."""
