"""Outlines of masks as lines in a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours

from isocenter.core.contours.masks import RoiMask


def outlines(mask: RoiMask, index: int, scale: tuple[float, float]) -> list[NDArray[np.float64]]:
    """Closed lines around a mask on one slice (marching squares, halfway between pixel centres).

    Args:
        mask: of the ROI.
        index: slice of the stack.
        scale: pixels of the picture per row and per column.

    Returns:
        (n, 2) arrays of (x, y) in the picture, pixel corners at whole numbers.
    """
    if not mask.has_slice(index):
        return []
    plane = np.pad(mask.array[index - mask.box[0].start], 1).astype(np.float32)
    if not plane.any():
        return []
    # Padding shifted by one; a pixel's centre is half a pixel from its corner.
    shift = np.array([mask.box[1].start - 0.5, mask.box[2].start - 0.5])
    return [
        ((line + shift) * scale)[:, ::-1]
        for line in find_contours(plane, 0.5, fully_connected="high")
    ]
