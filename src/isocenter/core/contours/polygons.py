"""All contours of an ROI as polygons in pixels, with what every one of them is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.core.contours.rasterise import EMPTY, Polygon, Window, snapped
from isocenter.core.contours.slices import Assignment
from isocenter.core.dicom.geometry import SliceStack

Places = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Polygons:
    """Closed polygons of one ROI, in the order of the slices.

    Attributes:
        points: (n, 2) of (column, row), snapped, one polygon after the other.
        starts: (polygons + 1,) where each begins in `points`, and the end.
        slices: (polygons,) index of the slice that each lies on.
        low, high: (polygons, 2) corners of the box around each.
        areas: (polygons,) enclosed area in square pixels (shoelace).
    """

    points: Polygon
    starts: Places
    slices: Places
    low: Polygon
    high: Polygon
    areas: NDArray[np.float64]

    @classmethod
    def of(cls, assignment: Assignment, stack: SliceStack) -> Polygons:
        """The contours of an ROI on the slices that they were given to."""
        contours = [
            (index, contour.points)
            for index, plane in assignment.planes.items()
            for contour in plane.contours
        ]
        lengths = np.array([len(points) for _, points in contours], dtype=np.intp)
        starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.intp)
        slices = np.array([index for index, _ in contours], dtype=np.intp)
        if not contours:
            none = np.zeros((0, 2))
            return cls(none, starts, slices, none, none, np.zeros(0))
        lps = np.concatenate([points for _, points in contours])
        with np.errstate(over="ignore", invalid="ignore"):  # coordinates near the end of float64
            points = snapped(stack.to_pixel(lps, np.repeat(slices, lengths))[:, :2])
        begins = starts[:-1]
        return cls(
            points,
            starts,
            slices,
            np.minimum.reduceat(points, begins),
            np.maximum.reduceat(points, begins),
            _areas(points, begins, lengths),
        )

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, index: int) -> Polygon:
        return self.points[self.starts[index] : self.starts[index + 1]]

    def window(self, rows: int, columns: int) -> Window:
        """The window of an image that any of them can touch."""
        first, stop = self._reaches(rows, columns)
        touching = (first < stop).all(axis=1)
        if not touching.any():
            return EMPTY
        column, row = (int(value) for value in first[touching].min(axis=0))
        right, bottom = (int(value) for value in stop[touching].max(axis=0))
        return Window(row, column, bottom - row, right - column)

    def touching(self, rows: int, columns: int) -> NDArray[np.bool_]:
        """Which of them have a pixel centre of an image in their boxes."""
        first, stop = self._reaches(rows, columns)
        return np.asarray((first < stop).all(axis=1))

    def _reaches(self, rows: int, columns: int) -> tuple[Polygon, Polygon]:
        """First and (exclusive) last column and row of each; see `rasterise.reach`."""
        return np.maximum(np.ceil(self.low), 0), np.minimum(np.ceil(self.high), (columns, rows))

    def outside(self, rows: int, columns: int) -> NDArray[np.bool_]:
        """Which miss the image; a sliver between two pixel centres inside does not."""
        size = np.array([columns, rows])
        return np.asarray(((self.high < -0.5) | (self.low > size - 0.5)).any(axis=1))

    def cut(self, rows: int, columns: int) -> NDArray[np.bool_]:
        """Which reach over the image's edge."""
        size = np.array([columns, rows])
        return np.asarray(((self.low < -0.5) | (self.high > size - 0.5)).any(axis=1))

    def chosen(self, which: NDArray[np.bool_]) -> tuple[Polygon, Places, Places]:
        """Points, begins and slices of some of them."""
        if which.all():
            return self.points, self.starts[:-1], self.slices
        lengths = np.diff(self.starts)
        kept = lengths[which]
        begins = np.cumsum(kept) - kept
        return self.points[np.repeat(which, lengths)], begins, self.slices[which]


def _areas(points: Polygon, begins: Places, lengths: Places) -> NDArray[np.float64]:
    x, y = (points - np.repeat(points[begins], lengths, axis=0)).T
    after = np.arange(1, len(points) + 1)
    after[begins + lengths - 1] = begins
    return np.abs(np.add.reduceat(x * y[after] - y * x[after], begins)) / 2
