"""How the contours of one ROI in one plane combine.

``depth``: contours nest by containment. A contour that no other contains has depth 1, one inside
it depth 2, and so on (the longest chain counts). A pixel belongs when an innermost contour around
it has an odd depth: rings and islands in holes come out right, contours that merely overlap
unite. ``union``: inside any. ``xor``: inside an odd number. Contours of type CLOSEDPLANAR_XOR
combine by XOR whatever is chosen (PS3.3 C.8.8.6.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.core.contours.rasterise import Mask, Polygon, Window, area, rasterise_window, reach

#: Contours that touch each other within this are not crossing.
TOUCH_PX = 1e-3
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Nest:
    """Containment among polygons.

    Attributes:
        inside: for each polygon, the indices of those that lie inside it.
        depth: for each polygon, 1 for outermost; 0 for a copy of an earlier one.
    """

    inside: tuple[frozenset[int], ...]
    depth: tuple[int, ...]

    @property
    def copies(self) -> int:
        return sum(1 for depth in self.depth if depth == 0)


@dataclass(frozen=True, eq=False)
class PlaneMask:
    """The mask of one plane inside `window`, and its area by the polygons."""

    window: Window
    array: Mask
    area_px: float
    copies: int


def combine(
    polygons: Sequence[Polygon], rule: str, rows: int, columns: int, window: Window
) -> PlaneMask:
    """Draws snapped `polygons` of one plane by `rule` (depth, union, xor) inside `window`."""
    nest = nest_of(polygons)
    array = np.zeros((window.height, window.width), dtype=np.bool_)
    own = [_part(polygon, rows, columns, window) for polygon in polygons]
    for index, (box, part) in enumerate(own):
        if part.size == 0:
            continue
        if rule == "xor":
            array[box] ^= part
        elif rule == "union":
            array[box] |= part
        elif nest.depth[index] % 2:
            array[box] |= _without(index, nest, own)
    return PlaneMask(window, array, _signed_area(polygons, nest, rule), nest.copies)


Box = tuple[slice, slice]


def _part(polygon: Polygon, rows: int, columns: int, window: Window) -> tuple[Box, Mask]:
    reached = reach(polygon, rows, columns)
    if reached.is_empty:
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), dtype=np.bool_)
    top, left = reached.row - window.row, reached.column - window.column
    box = (slice(top, top + reached.height), slice(left, left + reached.width))
    return box, rasterise_window(polygon, reached)


def _without(index: int, nest: Nest, own: Sequence[tuple[Box, Mask]]) -> Mask:
    """The part of polygon `index` that lies in no polygon inside it."""
    (rows, columns), part = own[index]
    if not nest.inside[index]:
        return part
    rest = part.copy()
    for inner in nest.inside[index]:
        (inner_rows, inner_columns), hole = own[inner]
        if hole.size:
            # Touching within TOUCH_PX may put a hole's box one pixel outside.
            top, left = inner_rows.start - rows.start, inner_columns.start - columns.start
            y0, x0 = max(top, 0), max(left, 0)
            y1 = min(top + hole.shape[0], rest.shape[0])
            x1 = min(left + hole.shape[1], rest.shape[1])
            rest[y0:y1, x0:x1] &= ~hole[y0 - top : y1 - top, x0 - left : x1 - left]
    return rest


def _signed_area(polygons: Sequence[Polygon], nest: Nest, rule: str) -> float:
    total = 0.0
    for polygon, depth in zip(polygons, nest.depth, strict=True):
        if depth % 2:
            total += area(polygon) if rule != "union" or depth == 1 else 0.0
        elif depth and rule != "union":
            total -= area(polygon)
    return total


def nest_of(polygons: Sequence[Polygon]) -> Nest:
    """Which of the polygons contain which. Of equal ones, only the first counts."""
    count = len(polygons)
    if count == 1:
        return Nest((frozenset(),), (1,))
    bounds = [(polygon.min(axis=0), polygon.max(axis=0)) for polygon in polygons]
    inside: list[set[int]] = [set() for _ in range(count)]
    for outer in range(count):
        for inner in range(count):
            if (
                outer != inner
                and (bounds[inner][0] >= bounds[outer][0] - TOUCH_PX).all()
                and (bounds[inner][1] <= bounds[outer][1] + TOUCH_PX).all()
                and contains(polygons[outer], polygons[inner])
            ):
                inside[outer].add(inner)
    copies = {j for i in range(count) for j in inside[i] if j > i and i in inside[j]}
    kept = [frozenset(inner - copies) for inner in inside]
    for index in copies:
        kept[index] = frozenset()
    return Nest(tuple(kept), _depths(kept, copies))


def clear_nest(polygons: Sequence[Polygon], low: Polygon, high: Polygon) -> Nest | None:
    """The nest of polygons whose edges come nowhere near each other, else None.

    Such polygons lie apart or one wholly within the other, pixel for pixel, so that the rules
    ``depth`` and ``xor`` are both the XOR of them all.

    Args:
        polygons: snapped.
        low, high: (polygons, 2) corners of the box around each.
    """
    inside: list[set[int]] = [set() for _ in polygons]
    for second in range(len(polygons)):
        gaps = np.maximum(low[:second] - high[second], low[second] - high[:second])
        for first in np.flatnonzero(gaps.max(axis=1) <= 2 * TOUCH_PX):
            outer, inner = int(first), second
            if (low[inner] < low[outer]).any() or (high[inner] > high[outer]).any():
                outer, inner = inner, outer
            if (low[inner] < low[outer]).any() or (high[inner] > high[outer]).any():
                return None
            if _any_outside(polygons[outer], polygons[inner][:1]) or _come_near(
                polygons[outer], polygons[inner]
            ):
                return None
            inside[outer].add(inner)
    kept = [frozenset(inner) for inner in inside]
    return Nest(tuple(kept), _depths(kept, set()))


def _depths(inside: Sequence[frozenset[int]], copies: set[int]) -> tuple[int, ...]:
    depth = [0 if index in copies else 1 for index in range(len(inside))]
    for _ in inside:  # as many rounds as the longest chain can have links
        changed = False
        for outer, inner in enumerate(inside):
            for index in inner:
                if depth[index] <= depth[outer]:
                    depth[index] = depth[outer] + 1
                    changed = True
        if not changed:
            break
    return tuple(depth)


def contains(outer: Polygon, inner: Polygon) -> bool:
    """Whether `inner` lies wholly inside `outer`; touching within `TOUCH_PX` is allowed."""
    probes = inner[:: max(1, len(inner) // 8)]
    if _any_outside(outer, probes):
        return False
    if not _come_near(outer, inner):
        return True  # no edge reaches the other's: all of it is where the probes are
    if _any_outside(outer, inner):
        return False
    middles = (inner + np.roll(inner, -1, axis=0)) / 2
    if _any_outside(outer, middles):
        return False
    return not _cross(outer, inner)


def _come_near(first: Polygon, second: Polygon) -> bool:
    """Whether the boxes around two edges, one of each polygon, meet within `TOUCH_PX`."""
    low, high = _boxes_meeting(*_edge_boxes(first), second)
    if len(low) == 0:
        return False
    other_low, other_high = _edge_boxes(second)
    other_low, other_high = other_low - TOUCH_PX, other_high + TOUCH_PX
    step = max(1, _CHUNK // len(low))
    for start in range(0, len(second), step):
        block = slice(start, start + step)
        apart = np.zeros((len(low), len(other_low[block])), dtype=np.bool_)
        for axis in (0, 1):
            apart |= low[:, axis, None] > other_high[block, axis]
            apart |= high[:, axis, None] < other_low[block, axis]
        if not apart.all():
            return True
    return False


def _boxes_meeting(low: Polygon, high: Polygon, polygon: Polygon) -> tuple[Polygon, Polygon]:
    """Those of the boxes that meet the box around a polygon within `TOUCH_PX`."""
    meets = (low <= polygon.max(axis=0) + TOUCH_PX) & (high >= polygon.min(axis=0) - TOUCH_PX)
    kept = meets.all(axis=1)
    return low[kept], high[kept]


def _edge_boxes(polygon: Polygon) -> tuple[Polygon, Polygon]:
    """Lower and upper corner of the box around each edge."""
    ends = np.roll(polygon, -1, axis=0)
    return np.minimum(polygon, ends), np.maximum(polygon, ends)


def _any_outside(polygon: Polygon, points: Polygon) -> bool:
    """Whether a point is outside `polygon` by more than `TOUCH_PX`."""
    step = max(1, _CHUNK // len(polygon))
    for start in range(0, len(points), step):
        block = points[start : start + step]
        lost = block[~_even_odd(polygon, block)]
        if len(lost) and (_distance(polygon, lost) > TOUCH_PX).any():
            return True
    return False


def _even_odd(polygon: Polygon, points: Polygon) -> Mask:
    x1, y1 = polygon.T
    x2, y2 = np.roll(polygon, -1, axis=0).T
    x, y = points[:, :1], points[:, 1:2]
    straddles = (y1 <= y) != (y2 <= y)
    height = np.where(y1 == y2, 1.0, y2 - y1)
    crossed = straddles & (x1 + (y - y1) * (x2 - x1) / height <= x)
    return np.asarray(np.count_nonzero(crossed, axis=1) % 2 == 1)


def _distance(polygon: Polygon, points: Polygon) -> NDArray[np.float64]:
    """Distance of each point to the nearest edge, in pixels."""
    nearest = np.full(len(points), np.inf)
    starts, along = polygon, np.roll(polygon, -1, axis=0) - polygon
    length = np.maximum((along**2).sum(axis=1), 1e-30)
    for index, point in enumerate(points):
        offset = point - starts
        part = np.clip((offset * along).sum(axis=1) / length, 0, 1)
        gap = offset - part[:, None] * along
        nearest[index] = np.sqrt((gap**2).sum(axis=1).min())
    return nearest


def _cross(first: Polygon, second: Polygon) -> bool:
    """Whether an edge of one goes through an edge of the other by more than `TOUCH_PX`."""
    a, b = first, np.roll(first, -1, axis=0)
    step = max(1, _CHUNK // len(first))
    after = np.roll(second, -1, axis=0)
    for start in range(0, len(second), step):
        c, d = second[start : start + step], after[start : start + step]
        sides = _side(a, b, c) * _side(a, b, d)
        if not (sides < 0).any():
            continue
        other = _side(c, d, a).T * _side(c, d, b).T
        if ((sides < 0) & (other < 0)).any():
            return True
    return False


def _side(a: Polygon, b: Polygon, points: Polygon) -> NDArray[np.float64]:
    """(points, edges): on which side of each line a-b a point is: -1, 0 (on it), 1."""
    along = b - a
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-15)
    x, y = points[:, :1], points[:, 1:2]
    distance = (along[:, 0] * (y - a[:, 1]) - along[:, 1] * (x - a[:, 0])) / length
    return np.asarray(np.sign(np.where(np.abs(distance) <= TOUCH_PX, 0.0, distance)))
