"""Text detectors for tests: no network, no weights."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from isocenter.core.deid.pixels.ocr import Picture
from isocenter.core.deid.pixels.rectangles import Rectangle


class BrightSpots:
    """Takes white bars for text; counts how often it was asked."""

    name = "bright spots"

    def __init__(self) -> None:
        self.asked = 0

    def find(self, picture: Picture) -> list[Rectangle]:
        self.asked += 1
        bright = ndimage.binary_opening(picture.min(axis=2) >= 240, np.ones((6, 6)))
        joined = ndimage.binary_dilation(bright, np.ones((5, 5)))
        labels, _ = ndimage.label(joined)
        return [
            Rectangle(box[1].start, box[0].start, box[1].stop - box[1].start,
                      box[0].stop - box[0].start)
            for box in ndimage.find_objects(labels)
            if box[0].stop - box[0].start < 60
        ]  # fmt: skip


class Nothing:
    """Finds no text."""

    name = "nothing"

    def find(self, picture: Picture) -> list[Rectangle]:
        return []
