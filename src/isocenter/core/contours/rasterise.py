"""Polygon → pixels: a pixel belongs when its centre is inside by the even-odd rule.

Edges are half-open: a centre on a left or upper edge is inside, on a right or lower edge outside,
so that two polygons that share an edge share no pixel and a square on the grid has its own area.
Polygons are (n, 2) arrays of (column, row) in pixels, pixel centres at integers, closed by
themselves.

Coordinates and crossings are rounded to 2**-30 pixel. A planning system's points lie on pixel
centres more often than not, and the turn into pixels leaves errors of 1e-12 there; without the
rounding the half-open rule would be a coin toss. numba and numpy do the same operations in the
same order, so that their masks are equal bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocenter.core.contours import kernels

Mask = NDArray[np.bool_]
Polygon = NDArray[np.float64]

_GRID = float(1 << 30)
#: Farther out, 2**-30 pixel is no longer exact in a float64.
_MAX_PIXEL = float(1 << 20)


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: rows ``row..row+height-1``, columns ``column..column+width-1``."""

    row: int
    column: int
    height: int
    width: int

    @property
    def is_empty(self) -> bool:
        return self.height <= 0 or self.width <= 0

    def union(self, other: Window) -> Window:
        """The smallest window that holds both; of two empty ones, one without size."""
        if self.is_empty:
            return EMPTY if other.is_empty else other
        if other.is_empty:
            return self
        row, column = min(self.row, other.row), min(self.column, other.column)
        return Window(
            row,
            column,
            max(self.row + self.height, other.row + other.height) - row,
            max(self.column + self.width, other.column + other.width) - column,
        )


EMPTY = Window(0, 0, 0, 0)


def snapped(points: ArrayLike) -> Polygon:
    """(n, 2) points on the grid of 2**-30 pixel; beyond 2**20 pixels they are moved there.

    So is what is no number, which only coordinates near the end of float64 can become.
    """
    near = np.fmin(np.fmax(np.asarray(points, dtype=np.float64), -_MAX_PIXEL), _MAX_PIXEL)
    return np.ascontiguousarray(np.rint(near * _GRID) / _GRID)


def reach(polygon: Polygon, rows: int, columns: int) -> Window:
    """The window of an image of `rows` x `columns` that a snapped polygon can touch."""
    left, top = np.ceil(polygon.min(axis=0))
    right, bottom = np.ceil(polygon.max(axis=0))  # exclusive: right and lower edges are open
    first_row, first_column = max(int(top), 0), max(int(left), 0)
    return Window(
        first_row,
        first_column,
        min(int(bottom), rows) - first_row,
        min(int(right), columns) - first_column,
    )


def rasterise(polygon: ArrayLike, rows: int, columns: int) -> Mask:
    """The mask (rows, columns) of one polygon."""
    mask = np.zeros((rows, columns), dtype=np.bool_)
    points = snapped(polygon)
    if len(points) == 0:
        return mask
    window = reach(points, rows, columns)
    if not window.is_empty:
        part = rasterise_window(points, window)
        mask[
            window.row : window.row + window.height,
            window.column : window.column + window.width,
        ] = part
    return mask


def rasterise_window(polygon: Polygon, window: Window) -> Mask:
    """The mask (window.height, window.width) of one snapped polygon."""
    toggles = np.zeros((window.height, window.width), dtype=np.uint8)
    kernels.fill(polygon, window.row, window.column, toggles)
    return toggles.view(np.bool_)


def area(polygon: Polygon) -> float:
    """Enclosed area in square pixels (shoelace; a keyhole's slit cancels)."""
    x, y = polygon[:, 0] - polygon[0, 0], polygon[:, 1] - polygon[0, 1]
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
