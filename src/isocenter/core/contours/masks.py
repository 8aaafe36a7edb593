"""The drawn mask of one ROI, kept only inside its bounding box."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.contours.structure_set import Roi

Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]

EMPTY_BOX: Box = (slice(0, 0), slice(0, 0), slice(0, 0))


class RoiMask:
    """Which voxels belong to an ROI. Kept as bits; `array` and `slice` unpack.

    Attributes:
        roi: the ROI that was drawn.
        shape: (slices, rows, columns) of the whole stack.
        box: where `array` lies in the stack: slices of (slice, row, column) indices.
        contours: number of closed contours that were drawn.
        planes: number of slices that have at least one drawn contour.
        voxels: how many belong.
        volume_ml: voxels times the volume of a voxel (local slice distance).
        polygon_volume_ml: depth-signed polygon areas times the local slice distance.
        min_plane_mm, max_plane_mm: first and last drawn contour plane, as distance from the
            patient origin along the stack's normal; None without a drawn contour.
        skipped_contours: contours that are not in the mask; the warnings say why.
        warnings: for people.
    """

    def __init__(
        self,
        roi: Roi,
        shape: tuple[int, int, int],
        box: Box,
        array: Mask,
        contours: int,
        planes: int,
        volume_ml: float,
        polygon_volume_ml: float,
        min_plane_mm: float | None = None,
        max_plane_mm: float | None = None,
        skipped_contours: int = 0,
        warnings: tuple[str, ...] = (),
    ) -> None:
        if array.shape != tuple(part.stop - part.start for part in box):
            raise ValueError(f"an array of {array.shape} does not fit {box}")
        self.roi = roi
        self.shape = shape
        self.box = box
        self.contours = contours
        self.planes = planes
        self.voxels = int(np.count_nonzero(array))
        self.volume_ml = volume_ml
        self.polygon_volume_ml = polygon_volume_ml
        self.min_plane_mm = min_plane_mm
        self.max_plane_mm = max_plane_mm
        self.skipped_contours = skipped_contours
        self.warnings = warnings
        self._size = (array.shape[0], array.shape[1], array.shape[2])
        self._bits = np.packbits(array, axis=2)

    @property
    def array(self) -> Mask:
        """The mask inside `box`, bool; unpacked anew with each call."""
        return self._unpacked(self._bits)

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
            part = self._unpacked(self._bits[index - self.box[0].start])
            plane[self.box[1:]][part] = value

    def has_slice(self, index: int) -> bool:
        """Whether slice `index` lies in the box; it may still be empty there."""
        return bool(self.box[0].start <= index < self.box[0].stop)

    def _unpacked(self, bits: NDArray[np.uint8]) -> Mask:
        if bits.size == 0:
            return np.zeros((*bits.shape[:-1], self._size[2]), dtype=np.bool_)
        return np.unpackbits(bits, axis=-1, count=self._size[2]).view(np.bool_)

    @property
    def slices(self) -> tuple[int, ...]:
        """Indices of the slices that have a voxel."""
        if self._bits.size == 0:
            return ()
        inside = np.flatnonzero(self._bits.any(axis=(1, 2)))
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
            "min_plane_mm": self.min_plane_mm,
            "max_plane_mm": self.max_plane_mm,
            "colour": list(self.roi.colour) if self.roi.colour else None,
            "skipped_contours": self.skipped_contours,
            "warnings": list(self.warnings),
        }


def cropped(box: Box, array: Mask) -> tuple[Box, Mask]:
    """`box` and `array` cut down to the voxels that are set."""
    if not array.any():
        return EMPTY_BOX, np.zeros((0, 0, 0), dtype=np.bool_)
    limits = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        where = np.flatnonzero(array.any(axis=others))
        limits.append((int(where[0]), int(where[-1]) + 1))
    inner = tuple(slice(low, high) for low, high in limits)
    outer = tuple(
        slice(b.start + low, b.start + high) for b, (low, high) in zip(box, limits, strict=True)
    )
    return (outer[0], outer[1], outer[2]), array[inner]
