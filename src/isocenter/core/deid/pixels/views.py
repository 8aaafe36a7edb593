"""Looks at a frame in several ways, so that small, faint, inverted and turned text is found.

A frame becomes pictures of 8 bits as a display would show it, and one where every neighbourhood
has the same contrast. Each is searched at its size, enlarged, and turned by 90 degrees, in tiles,
so that memory does not grow with the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from isocenter.core.deid.pixels.ocr import Picture, TextDetector
from isocenter.core.deid.pixels.rectangles import Rectangle, clipped, merged

_TILE = 960  # pixels a side
_OVERLAP = 128
_ENLARGED = 2
#: Larger images have larger letters; they are not enlarged, and looked at reduced too.
_LARGE_PIXELS = 2_000_000
_NEIGHBOURHOOD = 31  # pixels: about two lines of small text
_NOISE_FLOOR = 6  # grey levels: less contrast than this is not drawn up to full contrast
_CONTRAST = 45
_MARGIN = 2  # pixels round every box
_FLAT = 3  # grey levels: a tile with less has nothing on it


@dataclass(frozen=True, slots=True)
class _Look:
    even: bool  # contrast evened out
    scale: float
    turned: bool


_SMALL_LOOKS = (
    _Look(False, 1, False),
    _Look(False, _ENLARGED, False),
    _Look(True, _ENLARGED, False),
    _Look(False, 1, True),
    _Look(True, _ENLARGED, True),
)
_LARGE_LOOKS = (
    _Look(False, 1, False),
    _Look(True, 1, False),
    _Look(True, 1, True),
    _Look(False, 0.5, False),
)


def find_text(picture: Picture, detector: TextDetector) -> list[Rectangle]:
    """Boxes of text in a picture, with a margin, in order from the top.

    Args:
        picture: (rows, columns) or (rows, columns, 3).
        detector: an engine.
    """
    rows, columns = picture.shape[:2]
    colour = picture if picture.ndim == 3 else np.repeat(picture[..., np.newaxis], 3, axis=2)
    is_large = rows * columns > _LARGE_PIXELS
    found: list[Rectangle] = []
    evened = None
    for look in _LARGE_LOOKS if is_large else _SMALL_LOOKS:
        if look.even and evened is None:
            evened = even_contrast(picture)
        shown = evened if look.even and evened is not None else colour
        found += _look(shown, look, detector)
    grown = (box.grown(_MARGIN, _MARGIN, columns, rows) for box in found)
    return merged(box for box in grown if box is not None)


def even_contrast(picture: Picture) -> Picture:
    """The same contrast everywhere: deviation from the neighbourhood's mean, by its spread."""
    layers = picture[..., np.newaxis] if picture.ndim == 2 else picture
    evened = np.empty((*picture.shape[:2], 3), np.uint8)
    for index in range(layers.shape[2]):
        values = layers[..., index].astype(np.float32)
        mean = ndimage.uniform_filter(values, _NEIGHBOURHOOD)
        square = ndimage.uniform_filter(values * values, _NEIGHBOURHOOD)
        spread = np.sqrt(np.maximum(square - mean * mean, 0))
        level = 128 + _CONTRAST * (values - mean) / (spread + _NOISE_FLOOR)
        evened[..., index] = np.clip(level, 0, 255)
    if layers.shape[2] == 1:
        evened[..., 1:] = evened[..., :1]
    return evened


def _look(picture: Picture, look: _Look, detector: TextDetector) -> Iterator[Rectangle]:
    rows, columns = picture.shape[:2]
    side = max(32, int(_TILE / look.scale))
    overlap = int(_OVERLAP / max(1.0, look.scale))
    for top in _starts(rows, side, overlap):
        for left in _starts(columns, side, overlap):
            tile = picture[top : top + side, left : left + side]
            if np.ptp(tile) < _FLAT:
                continue
            for box in _search_tile(tile, look, detector):
                moved = box.moved(left, top).inside(columns, rows)
                if moved is not None:
                    yield moved


def _starts(length: int, side: int, overlap: int) -> Iterator[int]:
    start = 0
    while True:
        yield start
        if start + side >= length:
            return
        start += side - overlap


def _search_tile(tile: Picture, look: _Look, detector: TextDetector) -> Iterator[Rectangle]:
    rows, columns = tile.shape[:2]
    size = max(1, round(columns * look.scale)), max(1, round(rows * look.scale))
    shown = tile
    if look.scale != 1:
        shown = np.asarray(Image.fromarray(tile).resize(size, Image.Resampling.BICUBIC))
    if look.turned:
        shown = np.ascontiguousarray(np.rot90(shown))
    for found in detector.find(shown):
        box = found
        if look.turned:  # rot90 took column c, row r to column r, row width - 1 - c
            box = Rectangle(size[0] - found.bottom, found.x, found.h, found.w)
        back = _scaled(box, columns / size[0], rows / size[1], columns, rows)
        if back is not None:
            yield back


def _scaled(
    box: Rectangle, across: float, down: float, columns: int, rows: int
) -> Rectangle | None:
    return clipped(
        int(box.x * across),
        int(box.y * down),
        int(np.ceil(box.right * across)),
        int(np.ceil(box.bottom * down)),
        columns,
        rows,
    )
