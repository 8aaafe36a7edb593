"""The written rule, done slowly and exactly; shares no code with the product.

Points are pairs of whole numbers in units of 1/1024 pixel, so that Python's integers say exactly
on which side of an edge a pixel centre lies.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

UNIT = 1024

Point = tuple[int, int]
Polygon = list[Point]


def edges(polygon: Polygon) -> list[tuple[Point, Point]]:
    return list(pairwise([*polygon, polygon[0]]))


def is_inside(polygon: Polygon, x: Fraction | int, y: Fraction | int) -> bool:
    """Even-odd; a point on a left or upper edge is inside, on a right or lower edge not."""
    inside = False
    for (x1, y1), (x2, y2) in edges(polygon):
        if (y1 <= y) == (y2 <= y):
            continue
        # x >= x1 + (y - y1) * (x2 - x1) / (y2 - y1), without the division
        left, right = (x - x1) * (y2 - y1), (y - y1) * (x2 - x1)
        if (left >= right) if y2 > y1 else (left <= right):
            inside = not inside
    return inside


def pixels(polygon: Polygon, rows: int, columns: int) -> set[tuple[int, int]]:
    """(row, column) of every pixel whose centre is inside."""
    return {
        (r, c)
        for r in range(rows)
        for c in range(columns)
        if is_inside(polygon, c * UNIT, r * UNIT)
    }


def _turn(a: Point, b: Point, c: Point) -> int:
    value = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (value > 0) - (value < 0)


def _is_on(polygon: Polygon, p: tuple[Fraction, Fraction]) -> bool:
    for a, b in edges(polygon):
        cross = (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
        between = min(a[0], b[0]) <= p[0] <= max(a[0], b[0]) and (
            min(a[1], b[1]) <= p[1] <= max(a[1], b[1])
        )
        if cross == 0 and between:
            return True
    return False


def lies_in(inner: Polygon, outer: Polygon) -> bool:
    """Whether no part of `inner` is outside `outer`; they may touch."""
    for a, b in edges(inner):
        for c, d in edges(outer):
            if _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0:
                return False
    for a, b in edges(inner):
        for t in (Fraction(0), Fraction(1, 3), Fraction(1, 2), Fraction(6, 7)):
            p = (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]))
            if not _is_on(outer, p) and not is_inside(outer, *p):
                return False
    return True


def depth_rule(polygons: list[Polygon], rows: int, columns: int) -> set[tuple[int, int]]:
    """A pixel belongs when an innermost contour around it has an odd depth of nesting."""
    unique = [p for i, p in enumerate(polygons) if p not in polygons[:i]]
    parents = {
        i: {j for j in range(len(unique)) if j != i and lies_in(unique[i], unique[j])}
        for i in range(len(unique))
    }

    def depth(i: int) -> int:
        return 1 + max((depth(j) for j in parents[i]), default=0)

    drawn = [pixels(p, rows, columns) for p in unique]
    result = set()
    for pixel in set().union(*drawn):
        around = {i for i in range(len(unique)) if pixel in drawn[i]}
        innermost = {i for i in around if not any(i in parents[j] for j in around)}
        if any(depth(i) % 2 for i in innermost):
            result.add(pixel)
    return result


def xor_rule(polygons: list[Polygon], rows: int, columns: int) -> set[tuple[int, int]]:
    result: set[tuple[int, int]] = set()
    for polygon in polygons:
        result ^= pixels(polygon, rows, columns)
    return result


def union_rule(polygons: list[Polygon], rows: int, columns: int) -> set[tuple[int, int]]:
    return set().union(*(pixels(polygon, rows, columns) for polygon in polygons))


RULES = {"depth": depth_rule, "xor": xor_rule, "union": union_rule}


def slice_of(level: Fraction, levels: list[Fraction]) -> int | None:
    """The slice that a contour plane belongs to: nearest, lower in a tie, half a gap at most."""
    nearest = min(range(len(levels)), key=lambda k: (abs(levels[k] - level), levels[k]))
    below = [z for z in levels if z <= level]
    above = [z for z in levels if z >= level]
    if below and above:
        gap = min(above) - max(below)
    elif below:
        gap = levels[-1] - levels[-2]
    else:
        gap = levels[1] - levels[0]
    return nearest if abs(levels[nearest] - level) <= gap / 2 else None
