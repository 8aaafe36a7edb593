"""Rectangles in an image: whole pixels, column and row of the upper left one, as templates give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from isocenter.core.errors import ConfigurationError

_TEXT = re.compile(r"\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*")


@dataclass(frozen=True, slots=True, order=True)
class Rectangle:
    """``x``, ``y``: column and row of the upper left pixel, from 0. ``w``, ``h``: in pixels.

    Raises:
        ConfigurationError: it has no area, or starts left of or above the image.
    """

    x: int
    y: int
    w: int
    h: int

    def __post_init__(self) -> None:
        if self.w < 1 or self.h < 1 or self.x < 0 or self.y < 0:
            raise ConfigurationError(
                f"the rectangle {self.x},{self.y},{self.w},{self.h} has no area or starts outside "
                "the image",
                hint="give x,y,width,height in pixels, x and y from 0",
            )

    @property
    def right(self) -> int:
        """First column behind it."""
        return self.x + self.w

    @property
    def bottom(self) -> int:
        """First row below it."""
        return self.y + self.h

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of its pixels in an array of (rows, columns)."""
        return slice(self.y, self.bottom), slice(self.x, self.right)

    def grown(self, margin_x: int, margin_y: int, columns: int, rows: int) -> Rectangle | None:
        """With a margin all round, cut to the image; None where nothing of it is inside."""
        return clipped(
            self.x - margin_x,
            self.y - margin_y,
            self.right + margin_x,
            self.bottom + margin_y,
            columns,
            rows,
        )

    def inside(self, columns: int, rows: int) -> Rectangle | None:
        """Cut to an image of this size; None where nothing of it is inside."""
        return self.grown(0, 0, columns, rows)

    def moved(self, x: int, y: int) -> Rectangle:
        """The same size, further right by ``x`` and further down by ``y``."""
        return Rectangle(self.x + x, self.y + y, self.w, self.h)

    def covers(self, other: Rectangle) -> bool:
        """Whether all of the other one is in it."""
        return (
            self.x <= other.x
            and self.y <= other.y
            and self.right >= other.right
            and self.bottom >= other.bottom
        )

    def meets(self, other: Rectangle) -> bool:
        """Whether they share a pixel."""
        return (
            self.x < other.right
            and other.x < self.right
            and self.y < other.bottom
            and other.y < self.bottom
        )

    @classmethod
    def from_text(cls, text: str) -> Rectangle:
        """``x,y,width,height``, as a user types it.

        Raises:
            ConfigurationError: anything else.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ConfigurationError(
                "a rectangle is x,y,width,height in whole pixels", hint="for example 0,0,640,40"
            )
        x, y, w, h = (int(number) for number in found.groups())
        return cls(x, y, w, h)


def clipped(
    left: int, top: int, right: int, bottom: int, columns: int, rows: int
) -> Rectangle | None:
    """A rectangle from its edges, cut to the image; None where nothing is left."""
    left, top = max(0, left), max(0, top)
    right, bottom = min(columns, right), min(rows, bottom)
    if right <= left or bottom <= top:
        return None
    return Rectangle(left, top, right - left, bottom - top)


def around(rectangles: Sequence[Rectangle]) -> Rectangle:
    """The smallest one that covers all of them; there must be one."""
    left, top = min(r.x for r in rectangles), min(r.y for r in rectangles)
    return Rectangle(
        left,
        top,
        max(r.right for r in rectangles) - left,
        max(r.bottom for r in rectangles) - top,
    )


def merged(rectangles: Iterable[Rectangle]) -> list[Rectangle]:
    """The same pixels without the ones that another covers, in order from the top.

    Overlapping ones are not joined: the box around two lines would blank what is beside them.
    """
    kept: list[Rectangle] = []
    for rectangle in sorted(set(rectangles), key=lambda r: (-r.w * r.h, r.y, r.x, r.w)):
        if not any(other.covers(rectangle) for other in kept):
            kept.append(rectangle)
    return sorted(kept, key=lambda r: (r.y, r.x, r.h, r.w))
