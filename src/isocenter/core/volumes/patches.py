"""Slices of a volume as they are written: whole, or the part of them that is not 0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import GeometryError
from isocenter.core.volumes.grid import Grid


@dataclass(frozen=True, eq=False, slots=True)
class Patch:
    """A slice that is 0 but for a rectangle.

    Attributes:
        row, column: of the first pixel of `values` in the slice.
        values: (rows, columns); empty where all of the slice is 0.
    """

    row: int
    column: int
    values: NDArray[Any]


Plane: TypeAlias = NDArray[Any] | Patch


def checked_planes(
    slices: Iterable[Plane], grid: Grid, stored: np.dtype[np.generic]
) -> Iterator[memoryview]:
    """Bytes of each slice in the stored type, valid until the next one is asked for.

    Raises:
        GeometryError: slices and grid do not fit.
    """
    buffer = np.zeros((grid.rows, grid.columns), dtype=stored)
    for plane in _fitting(slices, grid):
        if isinstance(plane, Patch):
            part = _place(plane)
            buffer[part] = plane.values
            yield buffer.data.cast("B")
            buffer[part] = 0
        else:
            yield np.ascontiguousarray(plane, dtype=stored).data.cast("B")


def filled_rows(
    slices: Iterable[Plane], grid: Grid, stored: np.dtype[np.generic]
) -> Iterator[tuple[int, memoryview]]:
    """For each slice, its first row that is not 0, and the bytes of the rows down to the last.

    Raises:
        GeometryError: slices and grid do not fit.
    """
    for plane in _fitting(slices, grid):
        if isinstance(plane, Patch):
            first, count = plane.row, len(plane.values)
            rows = np.zeros((count, grid.columns), dtype=stored)
            rows[:, plane.column : plane.column + plane.values.shape[1]] = plane.values
        else:
            # Bytes decide, not values: a negative zero is written too.
            rows = np.ascontiguousarray(plane, dtype=stored)
            filled = np.flatnonzero(rows.view(np.uint8).any(axis=1))
            first, last = (int(filled[0]), int(filled[-1]) + 1) if len(filled) else (0, 0)
            rows = rows[first:last]
        yield first, rows.data.cast("B") if rows.size else memoryview(b"")


def _place(patch: Patch) -> tuple[slice, slice]:
    height, width = patch.values.shape
    return slice(patch.row, patch.row + height), slice(patch.column, patch.column + width)


def _fitting(slices: Iterable[Plane], grid: Grid) -> Iterator[Plane]:
    count = 0
    for plane in slices:
        if isinstance(plane, Patch):
            rows, columns = _place(plane)
            is_inside = rows.start >= 0 and columns.start >= 0
            fits = is_inside and rows.stop <= grid.rows and columns.stop <= grid.columns
        else:
            fits = plane.shape == (grid.rows, grid.columns)
        if not fits:
            what = _place(plane) if isinstance(plane, Patch) else plane.shape
            raise GeometryError(
                f"slice {count} is {what}, the grid has {(grid.rows, grid.columns)}"
            )
        count += 1
        yield plane
    if count != grid.slices:
        raise GeometryError(f"{count} slices were given, the grid has {grid.slices}")
