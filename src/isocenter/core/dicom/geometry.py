"""The one geometry module: where the pixels of a series of slices lie in the patient.

Coordinates are LPS (x to the Left, y to Posterior, z to Superior) in mm, as in the patient
coordinate system of PS3.3 C.7.6.2.1.1. A pixel has its *centre* at integer (column, row);
an array of a stack is indexed ``[slice, row, column]``. Slices are sorted ascending along the
normal, which is row cosine x column cosine, however the files came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocenter.core.errors import GeometryError

Floats = NDArray[np.float64]

#: Cosines as planning systems write them (six digits, sometimes four) differ by this much.
COSINE_TOLERANCE = 1e-3
#: Two slices closer than this are the same position.
POSITION_TOLERANCE_MM = 1e-3
#: Two distances that differ by less are equal; far below what DS can say of a position.
TIE_TOLERANCE_MM = 1e-6
#: Gaps between slices may differ by this much in a uniform stack.
UNIFORM_TOLERANCE_MM = 0.01


class Attributes(Protocol):
    """Values by keyword: a pydicom data set, or a mapping of what is asked for."""

    def get(self, keyword: Any, default: Any = None, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class SliceStack:
    """Parallel slices of one size, sorted ascending along their normal. Build with `of_...`.

    Attributes:
        row_cosine: (3,) unit vector along a row: the way the *column* index grows.
        column_cosine: (3,) unit vector along a column: the way the *row* index grows.
        positions: (n, 3) LPS of the centre of the first pixel of each slice, in mm.
        spacing_mm: (between rows, between columns), as PixelSpacing.
        rows, columns: size of each slice.
        source_index: for each slice of the stack, its index in the input.
        slice_thickness_mm: SliceThickness of the source, 0 when it has none; used only where
            there is a single slice, which has no neighbour to measure a distance to.
    """

    row_cosine: Floats
    column_cosine: Floats
    positions: Floats
    spacing_mm: tuple[float, float]
    rows: int
    columns: int
    source_index: tuple[int, ...]
    slice_thickness_mm: float = 0.0

    @classmethod
    def of_positions(
        cls,
        positions: ArrayLike,
        orientation: Sequence[float],
        spacing_mm: tuple[float, float],
        rows: int,
        columns: int,
        *,
        slice_thickness_mm: float = 0.0,
        names: Sequence[str] = (),
    ) -> SliceStack:
        """Sorts slices at `positions` (n, 3), all with the same six cosines, into a stack.

        `names` (file names or UIDs) are used in error messages only.

        Raises:
            GeometryError: no slice, cosines that are not perpendicular unit vectors, spacing
                or size not positive, or two slices in one place (says which).
        """
        points = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
        if len(points) == 0:
            raise GeometryError("a series without images makes no volume")
        if not np.isfinite(points).all():
            raise GeometryError("ImagePositionPatient (0020,0032) has a value that is no number")
        row, column = _unit_cosines(orientation)
        if min(spacing_mm) <= 0 or not np.isfinite(spacing_mm).all():
            raise GeometryError(f"PixelSpacing (0028,0030) is {spacing_mm}; it must be positive")
        if rows < 1 or columns < 1:
            raise GeometryError(f"an image of {rows} x {columns} pixels makes no volume")
        along = points @ np.cross(row, column)
        order = np.argsort(along, kind="stable")
        _refuse_duplicates(along, order, names)
        return cls(
            row_cosine=_frozen(row),
            column_cosine=_frozen(column),
            positions=_frozen(points[order]),
            spacing_mm=(float(spacing_mm[0]), float(spacing_mm[1])),
            rows=int(rows),
            columns=int(columns),
            source_index=tuple(int(i) for i in order),
            slice_thickness_mm=float(slice_thickness_mm),
        )

    @classmethod
    def of_datasets(cls, datasets: Sequence[Attributes]) -> SliceStack:
        """The stack of a series' single-frame images (headers are enough).

        Uses ImagePositionPatient, ImageOrientationPatient, PixelSpacing, Rows, Columns.

        Raises:
            GeometryError: an attribute is missing, or orientation, spacing or size are mixed,
                or two images are in one place. Says which image by its SOP Instance UID.
        """
        if not datasets:
            raise GeometryError("a series without images makes no volume")
        names = [str(ds.get("SOPInstanceUID", f"image {i}")) for i, ds in enumerate(datasets)]
        planes = [_plane_of(ds, name) for ds, name in zip(datasets, names, strict=True)]
        first = planes[0]
        for plane, name in zip(planes, names, strict=True):
            _refuse_mixed(first, plane, name)
        thickness = _number(datasets[0].get("SliceThickness"))
        return cls.of_positions(
            [plane.position for plane in planes],
            first.orientation,
            first.spacing_mm,
            first.rows,
            first.columns,
            slice_thickness_mm=thickness if thickness > 0 else 0.0,
            names=names,
        )

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return len(self), self.rows, self.columns

    @cached_property
    def normal(self) -> Floats:
        """(3,) unit vector along which the slices ascend."""
        return _frozen(np.cross(self.row_cosine, self.column_cosine))

    @cached_property
    def distances_mm(self) -> Floats:
        """(n,) distance of each slice from the patient origin along the normal, ascending."""
        return _frozen(self.positions @ self.normal)

    @cached_property
    def gaps_mm(self) -> Floats:
        """(n-1,) distance between neighbours."""
        return _frozen(np.diff(self.distances_mm))

    @cached_property
    def thickness_mm(self) -> Floats:
        """(n,) extent of each slice: half the gap to each neighbour.

        A slice at an end counts its only gap twice. A single slice has its SliceThickness,
        or 0 when the source does not say.
        """
        if len(self) == 1:
            return _frozen(np.array([self.slice_thickness_mm]))
        gaps = self.gaps_mm
        below = np.concatenate([gaps[:1], gaps])
        above = np.concatenate([gaps, gaps[-1:]])
        return _frozen((below + above) / 2)

    @property
    def is_uniform(self) -> bool:
        """Whether all gaps are equal (0.01 mm), so that `affine` is exact."""
        return len(self) < 3 or bool(np.ptp(self.gaps_mm) <= UNIFORM_TOLERANCE_MM)

    @property
    def is_sheared(self) -> bool:
        """Whether slices are shifted in their planes (gantry tilt), so that voxels are no boxes."""
        offset = self.positions - self.positions[0]
        in_plane = offset - np.outer(offset @ self.normal, self.normal)
        return bool(np.abs(in_plane).max() > UNIFORM_TOLERANCE_MM)

    @property
    def pixel_area_mm2(self) -> float:
        return self.spacing_mm[0] * self.spacing_mm[1]

    @cached_property
    def voxel_volumes_mm3(self) -> Floats:
        """(n,) volume of one voxel of each slice."""
        return _frozen(self.thickness_mm * self.pixel_area_mm2)

    def distance_of(self, points: ArrayLike) -> Floats:
        """Distance of LPS `points` (..., 3) from the patient origin along the normal, in mm."""
        return np.asarray(np.asarray(points, dtype=np.float64) @ self.normal)

    def nearest_slice(self, distance_mm: float, tolerance_mm: float | None = None) -> int | None:
        """Index of the slice that a plane at `distance_mm` (along the normal) belongs to.

        The nearest slice, the lower one in a tie, if it is within `tolerance_mm`; by default
        within half the local slice distance (the gap that the plane lies in; beyond the ends,
        the last gap; for a single slice, its thickness, at least 0.02 mm). Else None.
        """
        levels = self.distances_mm
        upper = int(np.searchsorted(levels, distance_mm))
        lower = max(upper - 1, 0)
        upper = min(upper, len(self) - 1)
        to_lower = abs(distance_mm - levels[lower])
        to_upper = abs(distance_mm - levels[upper])
        nearest = lower if to_lower <= to_upper + TIE_TOLERANCE_MM else upper
        if tolerance_mm is None:
            tolerance_mm = self._half_gap(lower)
        reached = min(to_lower, to_upper) <= tolerance_mm + TIE_TOLERANCE_MM
        return nearest if reached else None

    def _half_gap(self, lower: int) -> float:
        if len(self) == 1:
            return max(self.slice_thickness_mm / 2, 0.01)
        return float(self.gaps_mm[min(lower, len(self) - 2)]) / 2

    def to_pixel(self, points: ArrayLike, slice_index: int | NDArray[np.intp] = 0) -> Floats:
        """LPS `points` (n, 3) as (n, 3) of (column, row, distance along the normal in mm).

        Column and row are in pixels from the centre of the first pixel of `slice_index`, one for
        all or one for each point
        (slices may be shifted in their plane, as with a tilted gantry); the distance is
        from the patient origin, comparable to `distances_mm`.
        """
        lps = np.asarray(points, dtype=np.float64).reshape(-1, 3)
        offset = lps - self.positions[slice_index]
        column = offset @ self.row_cosine / self.spacing_mm[1]
        row = offset @ self.column_cosine / self.spacing_mm[0]
        return np.stack([column, row, lps @ self.normal], axis=1)

    def to_patient(self, pixels: ArrayLike, slice_index: int) -> Floats:
        """(n, 2) of (column, row) in the plane of a slice as LPS (n, 3) in mm."""
        where = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
        return np.asarray(
            self.positions[slice_index]
            + where[:, :1] * self.spacing_mm[1] * self.row_cosine
            + where[:, 1:2] * self.spacing_mm[0] * self.column_cosine
        )

    def affine(self) -> Floats:
        """(4, 4) matrix from (column, row, slice, 1) to (x, y, z, 1) in LPS mm.

        The third column is the mean step between slices (shear included), exact when
        `is_uniform`. A single slice steps by its thickness, or 1 mm when it has none.
        """
        matrix = np.eye(4)
        matrix[:3, 0] = self.row_cosine * self.spacing_mm[1]
        matrix[:3, 1] = self.column_cosine * self.spacing_mm[0]
        if len(self) > 1:
            matrix[:3, 2] = (self.positions[-1] - self.positions[0]) / (len(self) - 1)
        else:
            matrix[:3, 2] = self.normal * (self.slice_thickness_mm or 1.0)
        matrix[:3, 3] = self.positions[0]
        return matrix


@dataclass(frozen=True)
class _Plane:
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, float]
    rows: int
    columns: int


def _plane_of(dataset: Attributes, name: str) -> _Plane:
    spacing = _numbers(dataset, "PixelSpacing", 2, name)
    rows, columns = dataset.get("Rows"), dataset.get("Columns")
    if not rows or not columns:
        raise GeometryError(f"{name} has no Rows or Columns, so it is no image")
    return _Plane(
        position=_numbers(dataset, "ImagePositionPatient", 3, name),
        orientation=_numbers(dataset, "ImageOrientationPatient", 6, name),
        spacing_mm=(spacing[0], spacing[1]),
        rows=int(rows),
        columns=int(columns),
    )


def _numbers(dataset: Attributes, keyword: str, count: int, name: str) -> tuple[float, ...]:
    value: Any = dataset.get(keyword)
    try:
        numbers = tuple(float(x) for x in value) if value is not None else ()
    except (TypeError, ValueError) as error:
        raise GeometryError(f"{keyword} of {name} is no list of numbers") from error
    if len(numbers) != count:
        raise GeometryError(
            f"{keyword} of {name} has {len(numbers)} values instead of {count}",
            hint="without it nobody knows where the pixels lie",
        )
    return numbers


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if np.isfinite(number) else 0.0


def _refuse_mixed(first: _Plane, plane: _Plane, name: str) -> None:
    if (plane.rows, plane.columns) != (first.rows, first.columns):
        raise GeometryError(
            f"sizes are mixed: {first.rows} x {first.columns}, but {name} has "
            f"{plane.rows} x {plane.columns} pixels"
        )
    cosines = zip(plane.orientation, first.orientation, strict=True)
    if not all(abs(one - other) <= COSINE_TOLERANCE for one, other in cosines):
        raise GeometryError(f"orientations are mixed: {name} is turned against the first image")
    spacings = zip(plane.spacing_mm, first.spacing_mm, strict=True)
    if not all(abs(one - other) <= 1e-4 * abs(other) for one, other in spacings):
        raise GeometryError(
            f"pixel spacings are mixed: {first.spacing_mm}, but {name} has {plane.spacing_mm} mm"
        )


def _unit_cosines(orientation: Sequence[float]) -> tuple[Floats, Floats]:
    cosines = np.asarray(orientation, dtype=np.float64).reshape(-1)
    if cosines.size != 6 or not np.isfinite(cosines).all():
        raise GeometryError("ImageOrientationPatient (0020,0037) must be six numbers")
    row, column = cosines[:3], cosines[3:]
    lengths = np.array([np.linalg.norm(row), np.linalg.norm(column)])
    if np.abs(lengths - 1).max() > 0.01 or abs(float(row @ column)) > COSINE_TOLERANCE:
        raise GeometryError(
            "ImageOrientationPatient (0020,0037) is not two perpendicular unit vectors"
        )
    row = row / lengths[0]
    # Six digits leave the two a little off the right angle; the row's direction is kept.
    column = column - (column @ row) * row
    return row, column / np.linalg.norm(column)


def _refuse_duplicates(along: Floats, order: NDArray[np.intp], names: Sequence[str]) -> None:
    close = np.flatnonzero(np.diff(along[order]) < POSITION_TOLERANCE_MM)
    if len(close) == 0:
        return
    first, second = (int(order[close[0] + i]) for i in (0, 1))
    which = f"{names[first]} and {names[second]}" if names else f"slices {first} and {second}"
    raise GeometryError(
        f"{which} are in one place (and {len(close) - 1} more pairs)"
        if len(close) > 1
        else f"{which} are in one place",
        hint="a series of several volumes or time points must be split first",
    )


def _frozen(array: Floats) -> Floats:
    array = np.ascontiguousarray(array, dtype=np.float64)
    array.setflags(write=False)
    return array
