"""What the volume outputs (NIfTI, NRRD, STL) share: the grid of a stack, names of files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from isocenter.core.contours.masks import RoiMask
from isocenter.core.contours.outputs.writer import Scene
from isocenter.core.dicom.geometry import SliceStack
from isocenter.core.volumes.grid import Resampled, regular_grid
from isocenter.core.volumes.naming import FileNames
from isocenter.core.volumes.patches import Patch


def stack_grid(stack: SliceStack) -> Resampled:
    """The regular grid of a stack; see `regular_grid` for irregular slice distances.

    Raises:
        GeometryError: the slices do not lie along one line.
    """
    return regular_grid(
        stack.positions,
        stack.row_cosine,
        stack.column_cosine,
        stack.spacing_mm,
        (stack.rows, stack.columns),
        single_slice_thickness_mm=stack.slice_thickness_mm or 1.0,
    )


def planes(mask: RoiMask, grid: Resampled) -> Iterator[Patch]:
    """The mask as 0 and 1, slice by slice of the grid: only the part in its box."""
    row, column = mask.box[1].start, mask.box[2].start
    nothing = Patch(0, 0, np.zeros((0, 0), dtype=np.uint8))
    for index in grid.source.tolist():
        if mask.has_slice(index):
            yield Patch(row, column, mask.array[index - mask.box[0].start].view(np.uint8))
        else:
            yield nothing


def named_masks(scene: Scene) -> Iterator[tuple[RoiMask, str]]:
    """Each ROI that has a voxel, with a file name stem of its own; tells the progress.

    Names are given to all ROIs, so that a file's name does not depend on which are empty.
    """
    names = FileNames()
    stems = [names.stem(mask.roi.name, f"ROI {mask.roi.number}") for mask in scene.masks]
    for index, (mask, stem) in enumerate(zip(scene.masks, stems, strict=True)):
        scene.on_progress(index / len(stems), mask.roi.name)
        if not mask.is_empty:
            yield mask, stem
