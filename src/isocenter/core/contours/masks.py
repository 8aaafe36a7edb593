"""The drawn mask of one ROI, kept only inside its bounding box."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.contours.structure_set import Roi

Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]

EMPTY_BOX: Box = (slice(0, 0), slice(0, 0), slice(0, 0))


@dataclass(frozen=True, eq=False)
class RoiMask:
    """Which voxels belong to an ROI.

    Attributes:
        roi: the ROI that was drawn.
        shape: (slices, rows, columns) of the whole stack.
        box: where `array` lies in the stack: slices of (slice, row, column) indices.
        array: bool, shape of `box`, read-only.
        contours: number of closed contours that were drawn.
        planes: number of slices that have at least one drawn contour.
        volume_ml: voxels times the volume of a voxel (local slice distance).
        polygon_volume_ml: depth-signed polygon areas times the local slice distance.
        area_cm2: depth-signed polygon areas of all planes together.
        min_plane_mm, max_plane_mm: first and last contour plane, as distance from the patient
            origin along the stack's normal; None without a closed contour.
        skipped_contours: contours that are not in the mask; the warnings say why.
        warnings: for people.
        voxels: how many belong.
    """

    roi: Roi
    shape: tuple[int, int, int]
    box: Box
    array: Mask
    contours: int
    planes: int
    volume_ml: float
    polygon_volume_ml: float
    min_plane_mm: float | None = None
    max_plane_mm: float | None = None
    area_cm2: float = 0.0
    skipped_contours: int = 0
    warnings: tuple[str, ...] = ()
    voxels: int = field(init=False)

    def __post_init__(self) -> None:
        if self.array.shape != tuple(part.stop - part.start for part in self.box):
            raise ValueError(f"an array of {self.array.shape} does not fit {self.box}")
        object.__setattr__(self, "voxels", int(np.count_nonzero(self.array)))

    @property
    def is_empty(self) -> bool:
        return self.voxels == 0

    def full(self) -> Mask:
        """The mask on the whole stack, (slices, rows, columns)."""
        whole = np.zeros(self.shape, dtype=np.bool_)
        whole[self.box] = self.array
        return whole

    def slice(self, index: int) -> Mask:
        """The mask on one slice of the stack, (rows, columns)."""
        plane = np.zeros(self.shape[1:], dtype=np.bool_)
        self.paint(plane, index)
        return plane

    def paint(self, plane: NDArray[Any], index: int, value: object = True) -> None:
        """Sets `plane` (rows, columns) to `value` where the ROI is on slice `index`."""
        if self.has_slice(index):
            plane[self.box[1:]][self.array[index - self.box[0].start]] = value

    def has_slice(self, index: int) -> bool:
        """Whether slice `index` lies in the box; it may still be empty there."""
        return bool(self.box[0].start <= index < self.box[0].stop)

    @property
    def slices(self) -> tuple[int, ...]:
        """Indices of the slices that have a voxel."""
        if self.array.size == 0:
            return ()
        inside = np.flatnonzero(self.array.any(axis=(1, 2)))
        return tuple(int(i) + int(self.box[0].start) for i in inside)

    def summary(self) -> dict[str, object]:
        """The ROI's entry in ``summary.json``."""
        return {
            "number": self.roi.number,
            "name": self.roi.name,
            "type": self.roi.interpreted_type,
            "contours": self.contours,
            "planes": self.planes,
            "voxels": self.voxels,
            "volume_ml": round(self.volume_ml, 6),
            "polygon_volume_ml": round(self.polygon_volume_ml, 6),
            "area_cm2": round(self.area_cm2, 4),
            "min_plane_mm": self.min_plane_mm,
            "max_plane_mm": self.max_plane_mm,
            "colour": list(self.roi.colour) if self.roi.colour else None,
            "skipped_contours": self.skipped_contours,
            "warnings": list(self.warnings),
        }


def cropped(box: Box, array: Mask) -> tuple[Box, Mask]:
    """`box` and `array` cut down to the voxels that are set."""
    reached = np.flatnonzero([plane.any() for plane in array])
    if len(reached) == 0:
        return EMPTY_BOX, np.zeros((0, 0, 0), dtype=np.bool_)
    flat = np.bitwise_or.reduce(array, axis=0)
    limits = [
        (int(where[0]), int(where[-1]) + 1)
        for where in (reached, *(np.flatnonzero(flat.any(axis=axis)) for axis in (1, 0)))
    ]
    inner = tuple(slice(low, high) for low, high in limits)
    outer = tuple(
        slice(b.start + low, b.start + high) for b, (low, high) in zip(box, limits, strict=True)
    )
    cut = np.ascontiguousarray(array[inner])
    cut.setflags(write=False)
    return (outer[0], outer[1], outer[2]), cut
