"""Structure set + image series → masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from isocenter.core.contours.image_series import Pair
from isocenter.core.contours.interpolate import fill_between
from isocenter.core.contours.masks import EMPTY_BOX, Box, Mask, RoiMask, cropped
from isocenter.core.contours.nesting import PlaneMask, combine
from isocenter.core.contours.options import RoiChoice
from isocenter.core.contours.rasterise import EMPTY, Polygon, reach, snapped
from isocenter.core.contours.selection import Skipped, select
from isocenter.core.contours.slices import Assignment, Plane, assign
from isocenter.core.contours.structure_set import CLOSEDPLANAR_XOR, Contour, Roi
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
    sheets = _sheets(assignment, stack, nesting, warnings)
    box, array = _assembled(sheets, assignment)
    if interpolate and len(assignment.planes) > 1:
        box, array, said = fill_between(array, box, tuple(assignment.planes), stack)
        warnings += said
    box, array = cropped(box, array)
    levels = [plane.distance_mm for plane in assignment.planes.values()]
    if not array.size and assignment.planes:
        warnings.append("no pixel centre lies inside its contours")
    counts = np.count_nonzero(array, axis=(1, 2))
    return RoiMask(
        roi=roi,
        shape=stack.shape,
        box=box,
        array=array,
        contours=sum(len(plane.contours) for plane in assignment.planes.values()),
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


def _sheets(
    assignment: Assignment, stack: SliceStack, nesting: str, warnings: list[str]
) -> dict[int, PlaneMask]:
    sheets: dict[int, PlaneMask] = {}
    notes = {"outside": 0, "cut": 0, "copies": 0, "mixed": 0}
    for index, plane in assignment.planes.items():
        sheets[index] = _sheet(plane, index, stack, nesting, notes)
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
    plane: Plane, index: int, stack: SliceStack, nesting: str, notes: dict[str, int]
) -> PlaneMask:
    kinds = {contour.geometric_type for contour in plane.contours}
    if CLOSEDPLANAR_XOR in kinds:
        nesting = "xor"
        notes["mixed"] += len(kinds) > 1
    polygons = [_polygon(contour, stack, index) for contour in plane.contours]
    window = EMPTY
    for polygon in polygons:
        reached = reach(polygon, stack.rows, stack.columns)
        if reached.is_empty:
            notes["outside"] += _is_outside(polygon, stack)
        else:
            notes["cut"] += _is_cut(polygon, stack)
            window = window.union(reached)
    sheet = combine(polygons, nesting, stack.rows, stack.columns, window)
    notes["copies"] += sheet.copies if nesting != "xor" else 0
    return sheet


def _polygon(contour: Contour, stack: SliceStack, index: int) -> Polygon:
    return snapped(stack.to_pixel(contour.points, index)[:, :2])


def _is_outside(polygon: Polygon, stack: SliceStack) -> bool:
    """Whether it misses the image; a sliver between two pixel centres inside does not."""
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    size = np.array([stack.columns, stack.rows])
    return bool((high < -0.5).any() or (low > size - 0.5).any())


def _is_cut(polygon: Polygon, stack: SliceStack) -> bool:
    size = np.array([stack.columns, stack.rows])
    return bool((polygon < -0.5).any() or (polygon > size - 0.5).any())


def _assembled(sheets: Mapping[int, PlaneMask], assignment: Assignment) -> tuple[Box, Mask]:
    window = EMPTY
    for sheet in sheets.values():
        window = window.union(sheet.window)
    if window.is_empty:
        return EMPTY_BOX, np.zeros((0, 0, 0), dtype=np.bool_)
    first, last = min(assignment.planes), max(assignment.planes)
    array = np.zeros((last - first + 1, window.height, window.width), dtype=np.bool_)
    for index, sheet in sheets.items():
        if sheet.window.is_empty:
            continue
        top, left = sheet.window.row - window.row, sheet.window.column - window.column
        array[
            index - first,
            top : top + sheet.window.height,
            left : left + sheet.window.width,
        ] = sheet.array
    box = (
        slice(first, last + 1),
        slice(window.row, window.row + window.height),
        slice(window.column, window.column + window.width),
    )
    return box, array
