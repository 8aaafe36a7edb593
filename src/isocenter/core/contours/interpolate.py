"""Slices between two contour planes, filled by shape (Raya & Udupa, IEEE TMI 9:32, 1990).

The signed distance to the edge is computed in both planes and blended linearly; a pixel belongs
where the blend is inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from isocenter.core.contours.masks import Box, Mask
from isocenter.core.dicom.geometry import SliceStack

#: A gap wider than this many usual gaps is taken for the space between two parts of the ROI.
WIDEST_GAP = 2.0


def fill_between(
    array: Mask, box: Box, planes: Sequence[int], stack: SliceStack
) -> tuple[Box, Mask, list[str]]:
    """Fills the slices of `array` (which lies at `box`) between neighbouring drawn `planes`.

    Returns box, array and what to tell people. Where two planes have nothing in common nothing
    is filled, and a gap of more than twice the ROI's median plane distance stays open.
    """
    if array.size == 0:
        return box, array, []
    levels = stack.distances_mm[list(planes)]
    usual = float(np.median(np.diff(levels)))
    filled, wide = 0, 0
    for low, high in pairwise(planes):
        if high - low < 2:
            continue
        gap = float(stack.distances_mm[high] - stack.distances_mm[low])
        if gap > WIDEST_GAP * usual + 1e-6:
            wide += 1
            continue
        filled += _fill(array, box, low, high, stack)
    said = []
    if filled:
        said.append(f"{filled} slice(s) between contour planes filled by shape")
    if wide:
        said.append(f"{wide} gap(s) between contour planes are too wide to be filled")
    return box, array, said


def _fill(array: Mask, box: Box, low: int, high: int, stack: SliceStack) -> int:
    first = int(box[0].start)
    below, above = array[low - first], array[high - first]
    if not (below & above).any():
        return 0
    from_below, from_above = (_signed(mask, stack.spacing_mm) for mask in (below, above))
    span = stack.distances_mm[high] - stack.distances_mm[low]
    for index in range(low + 1, high):
        part = float((stack.distances_mm[index] - stack.distances_mm[low]) / span)
        array[index - first] = (1 - part) * from_below + part * from_above > 0
    return high - low - 1


def _signed(mask: Mask, spacing_mm: tuple[float, float]) -> NDArray[np.float64]:
    """Distance to the edge in mm, positive inside."""
    from scipy.ndimage import distance_transform_edt

    framed = np.pad(mask, 1)
    inside = distance_transform_edt(framed, sampling=spacing_mm)
    outside = distance_transform_edt(~framed, sampling=spacing_mm)
    return np.asarray((inside - outside)[1:-1, 1:-1])
