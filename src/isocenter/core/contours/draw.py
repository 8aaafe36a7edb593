"""Structure set + image series → masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from isocenter.core.contours.image_series import Pair
from isocenter.core.contours.interpolate import fill_between
from isocenter.core.contours.masks import EMPTY_BOX, Box, Mask, RoiMask, cropped
from isocenter.core.contours.nesting import PlaneMask, clear_nest, combine
from isocenter.core.contours.options import RoiChoice
from isocenter.core.contours.parity import fill_stack
from isocenter.core.contours.polygons import Polygons
from isocenter.core.contours.rasterise import EMPTY, reach
from isocenter.core.contours.selection import Skipped, select
from isocenter.core.contours.slices import Assignment, Plane, assign
from isocenter.core.contours.structure_set import CLOSEDPLANAR_XOR, Roi
from isocenter.core.dicom.geometry import SliceStack

MM2_PER_CM2 = 100.0
MM3_PER_ML = 1000.0


@dataclass(frozen=True, eq=False)
class Drawing:
    """What became of the ROIs of a structure set.

    Attributes:
        masks: one per chosen ROI, in the order of the structure set; some may be empty.
        skipped: ROIs that were not drawn, and why.
    """

    masks: tuple[RoiMask, ...]
    skipped: tuple[Skipped, ...]


def draw_structure_set(
    pair: Pair,
    choice: RoiChoice,
    nesting: str = "depth",
    interpolate: bool = False,
    on_roi: Callable[[int, int], None] = lambda done, total: None,
) -> Drawing:
    """Draws the chosen ROIs of ``pair.structure_set`` on the stack of ``pair.series``.

    `on_roi` is told (done, total) after each ROI.
    """
    selection = select(pair.structure_set.rois, choice)
    foreign = [roi for roi in selection.chosen if roi.number in pair.foreign_rois]
    chosen = [roi for roi in selection.chosen if roi.number not in pair.foreign_rois]
    masks: list[RoiMask] = []
    for roi in chosen:
        masks.append(draw_roi(roi, pair.series.stack, nesting, interpolate))
        on_roi(len(masks), len(chosen))
    elsewhere = tuple(Skipped(roi, "it lies in another frame of reference") for roi in foreign)
    return Drawing(tuple(masks), selection.skipped + elsewhere)


def draw_roi(
    roi: Roi, stack: SliceStack, nesting: str = "depth", interpolate: bool = False
) -> RoiMask:
    """Draws one ROI by the rule of `nesting` (depth, union or xor).

    With `interpolate`, slices between two contour planes are filled by shape.
    """
    assignment = assign(roi.contours, stack)
    warnings = [*roi.problems, *assignment.warnings]
    polygons = Polygons.of(assignment, stack)
    sheets = _sheets(assignment, polygons, stack, nesting, warnings)
    box, array = _assembled(sheets, polygons, stack)
    if interpolate and len(assignment.planes) > 1:
        box, array, said = fill_between(array, box, tuple(assignment.planes), stack)
        warnings += said
    box, array = cropped(box, array)
    levels = [plane.distance_mm for plane in assignment.planes.values()]
    if not array.size and assignment.planes:
        warnings.append("no pixel centre lies inside its contours")
    counts = np.array([np.count_nonzero(plane) for plane in array], dtype=np.float64)
    return RoiMask(
        roi=roi,
        shape=stack.shape,
        box=box,
        array=array,
        contours=len(polygons),
        planes=len(assignment.planes),
        volume_ml=float(counts @ stack.voxel_volumes_mm3[box[0]]) / MM3_PER_ML,
        polygon_volume_ml=sum(
            sheet.area_px * float(stack.voxel_volumes_mm3[index]) for index, sheet in sheets.items()
        )
        / MM3_PER_ML,
        area_cm2=sum(sheet.area_px for sheet in sheets.values())
        * float(np.prod(stack.spacing_mm))
        / MM2_PER_CM2,
        min_plane_mm=round(min(levels), 4) if levels else None,
        max_plane_mm=round(max(levels), 4) if levels else None,
        skipped_contours=assignment.skipped + len(roi.problems),
        warnings=tuple(warnings),
    )


@dataclass(frozen=True, eq=False)
class _Sheet:
    """What is drawn on one slice.

    Attributes:
        area_px: area by the polygons.
        mask: where the polygons do not simply combine by XOR, what they make.
    """

    area_px: float
    mask: PlaneMask | None = None


def _sheets(
    assignment: Assignment,
    polygons: Polygons,
    stack: SliceStack,
    nesting: str,
    warnings: list[str],
) -> dict[int, _Sheet]:
    sheets: dict[int, _Sheet] = {}
    is_touching = polygons.touching(stack.rows, stack.columns)
    notes = {
        "outside": int((polygons.outside(stack.rows, stack.columns) & ~is_touching).sum()),
        "cut": int((polygons.cut(stack.rows, stack.columns) & is_touching).sum()),
        "copies": 0,
        "mixed": 0,
    }
    first = 0
    for index, plane in assignment.planes.items():
        which = range(first, first + len(plane.contours))
        first = which.stop
        sheets[index] = _sheet(plane, which, polygons, stack, nesting, notes)
    said = {
        "outside": "contour(s) lie outside the image",
        "cut": "contour(s) reach over the image's edge and are cut there",
        "copies": "contour(s) are copies of another one in the same plane and count once",
        "mixed": "plane(s) mix CLOSEDPLANAR_XOR with other types; all are combined by XOR",
    }
    warnings += [f"{notes[key]} {text}" for key, text in said.items() if notes[key]]
    if len(stack) == 1 and not stack.slice_thickness_mm:
        warnings.append("the single slice has no SliceThickness, so volumes are 0")
    return sheets


def _sheet(
    plane: Plane,
    which: range,
    polygons: Polygons,
    stack: SliceStack,
    nesting: str,
    notes: dict[str, int],
) -> _Sheet:
    kinds = {contour.geometric_type for contour in plane.contours}
    if CLOSEDPLANAR_XOR in kinds:
        nesting = "xor"
        notes["mixed"] += len(kinds) > 1
    if len(which) == 1:
        return _Sheet(float(polygons.areas[which.start]))
    shapes = [polygons[number] for number in which]
    part = slice(which.start, which.stop)
    nest = clear_nest(shapes, polygons.low[part], polygons.high[part])
    if nest is not None and (nesting != "union" or max(nest.depth) == 1):
        signs = np.where(np.array(nest.depth) % 2, 1.0, -1.0)
        return _Sheet(float(signs @ polygons.areas[part]))
    window = EMPTY
    for shape in shapes:
        window = window.union(reach(shape, stack.rows, stack.columns))
    mask = combine(shapes, nesting, stack.rows, stack.columns, window)
    notes["copies"] += mask.copies if nesting != "xor" else 0
    return _Sheet(mask.area_px, mask)


def _assembled(
    sheets: Mapping[int, _Sheet], polygons: Polygons, stack: SliceStack
) -> tuple[Box, Mask]:
    window = polygons.window(stack.rows, stack.columns)
    if window.is_empty:
        return EMPTY_BOX, np.zeros((0, 0, 0), dtype=np.bool_)
    first, last = min(sheets), max(sheets)
    combined = [index for index, sheet in sheets.items() if sheet.mask is not None]
    which = ~np.isin(polygons.slices, combined)
    points, begins, slices = polygons.chosen(which)
    shape = (last - first + 1, window.height, window.width)
    array = fill_stack(points, begins, slices - first, (window.row, window.column), shape)
    for index in combined:
        mask = sheets[index].mask
        if mask is not None and not mask.window.is_empty:
            top, left = mask.window.row - window.row, mask.window.column - window.column
            bottom, right = top + mask.window.height, left + mask.window.width
            array[index - first, top:bottom, left:right] = mask.array
    box = (
        slice(first, last + 1),
        slice(window.row, window.row + window.height),
        slice(window.column, window.column + window.width),
    )
    return box, array
