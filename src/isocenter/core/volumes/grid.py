"""Regular voxel grids in the patient's coordinate system.

DICOM's patient coordinate system is LPS in millimetres (PS3.3 C.7.6.2.1.1). Arrays of images are
indexed ``[slice, row, column]``; an affine maps the homogeneous vector ``(column, row, slice, 1)``
of a voxel's centre to LPS or, for NIfTI, to RAS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import GeometryError

LPS_TO_RAS: NDArray[np.float64] = np.diag([-1.0, -1.0, 1.0, 1.0])

# Positions are written with few digits (DS has 16 characters); a hundredth of a millimetre is
# below any pixel that exists and above what rounding makes of it.
POSITION_TOLERANCE_MM = 0.01


@dataclass(frozen=True)
class Grid:
    """A regular grid of voxels.

    Attributes:
        slices, rows, columns: number of voxels along each axis.
        affine_lps: 4x4, ``(column, row, slice, 1)`` → LPS in mm, voxel centres.
    """

    slices: int
    rows: int
    columns: int
    affine_lps: NDArray[np.float64]

    def __post_init__(self) -> None:
        if min(self.slices, self.rows, self.columns) < 1:
            raise GeometryError(
                f"a grid of {self.columns} x {self.rows} x {self.slices} voxels is empty"
            )
        if self.affine_lps.shape != (4, 4) or not np.isfinite(self.affine_lps).all():
            raise GeometryError("the affine is not a finite 4x4 matrix")
        if abs(np.linalg.det(self.affine_lps[:3, :3])) < 1e-12:
            raise GeometryError("the affine is singular: two axes of the grid are parallel")

    @property
    def affine_ras(self) -> NDArray[np.float64]:
        """4x4, ``(column, row, slice, 1)`` → RAS in mm, as NIfTI wants it."""
        return LPS_TO_RAS @ self.affine_lps

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of neighbours along column index, row index and slice index."""
        lengths = np.linalg.norm(self.affine_lps[:3, :3], axis=0)
        return (float(lengths[0]), float(lengths[1]), float(lengths[2]))

    @property
    def is_orthogonal(self) -> bool:
        """Whether the three axes are perpendicular (false for a tilted gantry)."""
        axes = self.affine_lps[:3, :3] / np.array(self.spacing_mm)
        return bool(np.abs(axes.T @ axes - np.eye(3)).max() < 1e-4)


@dataclass(frozen=True)
class Resampled:
    """A regular grid for a stack of slices.

    Attributes:
        grid: the grid.
        source: for each slice of the grid, the index of the stack's slice that it shows.
        is_exact: each slice of the stack is one slice of the grid; false when the slices are at
            irregular distances and the nearest one was taken.
    """

    grid: Grid
    source: NDArray[np.intp]
    is_exact: bool


def regular_grid(
    positions: NDArray[np.float64],
    row_direction: NDArray[np.float64],
    column_direction: NDArray[np.float64],
    pixel_spacing_mm: tuple[float, float],
    matrix: tuple[int, int],
    *,
    single_slice_thickness_mm: float = 1.0,
) -> Resampled:
    """The regular grid of a stack of parallel slices.

    Slices at equal distances keep their places. Where distances differ, NIfTI and NRRD cannot say
    so: the grid then has the smallest distance, and each of its slices shows the nearest slice of
    the stack (the lower one at a tie), which keeps the volume of what is drawn.

    Args:
        positions: (n, 3) LPS mm, centre of each slice's first pixel, in stack order.
        row_direction: unit vector along a row, towards higher column index (first three values of
            ImageOrientationPatient).
        column_direction: unit vector along a column, towards higher row index.
        pixel_spacing_mm: PixelSpacing: between rows, between columns.
        matrix: Rows, Columns.
        single_slice_thickness_mm: length of the third axis when there is one slice only.

    Raises:
        GeometryError: the slices do not follow one another along one line.
    """
    rows, columns = matrix
    positions = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
    normal = np.cross(row_direction, column_direction)
    normal /= np.linalg.norm(normal)
    affine = np.eye(4)
    affine[:3, 0] = np.asarray(row_direction) * pixel_spacing_mm[1]
    affine[:3, 1] = np.asarray(column_direction) * pixel_spacing_mm[0]
    affine[:3, 3] = positions[0]
    if len(positions) == 1:
        affine[:3, 2] = normal * single_slice_thickness_mm
        return Resampled(Grid(1, rows, columns, affine), np.zeros(1, dtype=np.intp), True)
    step, source, is_exact = _third_axis(positions, normal)
    affine[:3, 2] = step
    return Resampled(Grid(len(source), rows, columns, affine), source, is_exact)


def _third_axis(
    positions: NDArray[np.float64], normal: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.intp], bool]:
    """Step vector of the slice axis, the stack's slice for each grid slice, and if it is exact."""
    count = len(positions)
    heights = (positions - positions[0]) @ normal
    gaps = np.diff(heights)
    if np.any(gaps == 0) or np.any(np.sign(gaps) != np.sign(gaps[0])):
        raise GeometryError(
            "the slices are not in order along their normal", hint="sort them by position first"
        )
    step = (positions[-1] - positions[0]) / (count - 1)
    if np.abs(positions - (positions[0] + np.outer(np.arange(count), step))).max() <= max(
        POSITION_TOLERANCE_MM, 0.01 * float(np.abs(gaps).min())
    ):
        return step, np.arange(count), True
    line = (positions[-1] - positions[0]) / (heights[-1] - heights[0])
    offsets = positions - (positions[0] + np.outer(heights, line))
    if np.abs(offsets).max() > POSITION_TOLERANCE_MM * 10:
        raise GeometryError(
            f"the slices shift sideways by up to {np.abs(offsets).max():.2f} mm; "
            "no regular grid holds them"
        )
    gap = gaps[np.argmin(np.abs(gaps))]
    length = round(float((heights[-1] - heights[0]) / gap))
    wanted = np.arange(length + 1) * gap
    ascending = np.abs(heights)
    upper = np.clip(np.searchsorted(ascending, np.abs(wanted)), 1, count - 1)
    lower = upper - 1
    # A hair towards the lower one, so that rounding does not decide a tie.
    takes_upper = ascending[upper] - np.abs(wanted) < np.abs(wanted) - ascending[lower] - 1e-6
    return line * gap, np.where(takes_upper, upper, lower), False
