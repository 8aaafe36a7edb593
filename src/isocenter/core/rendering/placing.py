"""Which part of an image is shown, how large, mirrored or not (PS3.18 8.3.5.1.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from isocenter.core.dicom.image_header import (
    ASPECT_RATIO,
    IMAGER_SPACING,
    PIXEL_SPACING,
    ImageHeader,
)
from isocenter.core.errors import PixelError
from isocenter.core.rendering.order import MAX_SIDE, Order, Viewport

_MAX_STRETCH = 4.0  # pixels that are longer than this are not believed

Levels = NDArray[np.uint8]
Box = tuple[float, float, float, float]


def thinned(stored: NDArray[Any], order: Order) -> NDArray[Any]:
    """A huge image, of which a small picture is wanted, with fewer pixels; at least thrice what
    is wanted, so that the picture looks the same."""
    view = order.viewport
    if view is None or not order.true_shape:
        return stored
    wanted = 3 * max(view.width, view.height, 1)
    step = max(1, min(stored.shape[:2]) // wanted)
    return stored[::step, ::step]


def placed(levels: Levels, order: Order, header: ImageHeader) -> Levels:
    """The region that is wanted in the size that is wanted.

    Raises:
        PixelError: the region lies outside the image.
    """
    view = order.viewport
    if order.region is not None:
        left, top, right, bottom = order.region
        rows, columns = levels.shape[:2]
        region = (left * columns, top * rows, (right - left) * columns, (bottom - top) * rows)
        bound = view or Viewport(0, 0)
        view = Viewport(bound.width, bound.height, *region)
    if view is None:
        return levels
    box = _box(view, levels)
    levels = _mirrored(levels, view)
    width, height = box[2] - box[0], box[3] - box[1]
    if (view.region_width or 0) < 0:
        box = (levels.shape[1] - box[2], box[1], levels.shape[1] - box[0], box[3])
    if (view.region_height or 0) < 0:
        box = (box[0], levels.shape[0] - box[3], box[2], levels.shape[0] - box[1])
    size = _size(view, width, height * (_stretch(header) if order.true_shape else 1.0))
    if size == (levels.shape[1], levels.shape[0]) and box == (0, 0, *size):
        return levels
    return _resized(levels, box, size)


def _box(view: Viewport, levels: Levels) -> Box:
    """Left, top, right and bottom edge of the region in pixels, cut at the image's edges."""
    rows, columns = levels.shape[:2]
    right = view.x + abs(columns - view.x if view.region_width is None else view.region_width)
    bottom = view.y + abs(rows - view.y if view.region_height is None else view.region_height)
    box = (view.x, view.y, min(right, columns), min(bottom, rows))
    if box[2] - box[0] <= 0 or box[3] - box[1] <= 0:
        raise PixelError(f"the region lies outside the image of {columns} x {rows} pixels")
    return box


def _mirrored(levels: Levels, view: Viewport) -> Levels:
    if (view.region_width or 0) < 0:
        levels = levels[:, ::-1]
    if (view.region_height or 0) < 0:
        levels = levels[::-1]
    return levels


def _size(view: Viewport, width: float, height: float) -> tuple[int, int]:
    """The largest picture that fits, in the region's proportions."""
    factors = [
        wanted / side for wanted, side in ((view.width, width), (view.height, height)) if wanted
    ]
    factor = min(factors, default=1.0)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    if max(size) > MAX_SIDE:
        raise PixelError(f"a picture has at most {MAX_SIDE} pixels on a side")
    return size


def _resized(levels: Levels, box: Box, size: tuple[int, int]) -> Levels:
    picture = Pictures.fromarray(np.ascontiguousarray(levels))
    is_smaller = size[0] < box[2] - box[0]
    method = Pictures.Resampling.LANCZOS if is_smaller else Pictures.Resampling.BICUBIC
    return np.asarray(picture.resize(size, method, box=box))


def _stretch(header: ImageHeader) -> float:
    """Height of a pixel per width; 1 where the image does not say or says nonsense."""
    for tag in (PIXEL_SPACING, IMAGER_SPACING, ASPECT_RATIO):
        numbers = header.numbers(tag)
        if len(numbers) < 2 or min(numbers[:2]) <= 0:
            continue
        ratio = numbers[0] / numbers[1]
        if 1 / _MAX_STRETCH <= ratio <= _MAX_STRETCH:
            return ratio
    return 1.0
