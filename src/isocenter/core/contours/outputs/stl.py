"""One surface mesh per ROI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isocenter.core.contours.masks import RoiMask
from isocenter.core.contours.outputs.mask_volume import named_masks
from isocenter.core.contours.outputs.writer import Output, Scene
from isocenter.core.dicom.geometry import SliceStack
from isocenter.core.volumes.mesh import surface, write_stl


class StlWriter:
    """``<ROI name>.stl``: the closed surface of the drawn mask, binary STL, LPS in mm.

    The surface runs halfway between voxel centres inside and outside; it is not smoothed.
    Irregular slice distances and tilted stacks keep their true places.
    """

    format = "stl"
    version = "1"

    def __call__(self, scene: Scene, out_dir: Path) -> list[Output]:
        """Writes a file for each ROI that has a voxel."""
        outputs = []
        for mask, stem in named_masks(scene):
            path = out_dir / f"{stem}.stl"
            to_patient = index_to_patient(scene.stack, mask)
            write_stl(path, surface(mask.array, to_patient), title=stem)
            outputs.append(Output("stl", f"{mask.roi.name} surface", path))
        return outputs


def index_to_patient(
    stack: SliceStack, mask: RoiMask
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Maps (n, 3) indices ``(slice, row, column)`` inside a mask's box to LPS mm.

    Between two slices positions are interpolated; outside the first and last slice they go on
    by the nearest slice distance (a single slice: by its thickness, 1 mm when it has none).
    """
    start = np.array([axis.start for axis in mask.box], dtype=np.float64)
    if len(stack) == 1:
        step = stack.normal * (stack.slice_thickness_mm or 1.0)
        corners = np.stack(
            [stack.positions[0] - step, stack.positions[0], stack.positions[0] + step]
        )
    else:
        first = 2 * stack.positions[0] - stack.positions[1]
        last = 2 * stack.positions[-1] - stack.positions[-2]
        corners = np.concatenate([first[None], stack.positions, last[None]])
    row_step = stack.column_cosine * stack.spacing_mm[0]
    column_step = stack.row_cosine * stack.spacing_mm[1]
    places = np.arange(-1, len(corners) - 1, dtype=np.float64)

    def to_patient(indices: NDArray[np.float64]) -> NDArray[np.float64]:
        where = indices + start
        origin = np.stack(
            [np.interp(where[:, 0], places, corners[:, axis]) for axis in range(3)], 1
        )
        lps: NDArray[np.float64] = origin + where[:, 1:2] * row_step + where[:, 2:3] * column_step
        return lps

    return to_patient


WRITER = StlWriter()
