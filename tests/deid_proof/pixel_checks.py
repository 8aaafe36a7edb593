"""Whether a burned-in text is covered."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset


def box_is_covered(dataset: Dataset, path: str, box: str) -> str | None:
    """What is wrong with the pixels in a box, or None: they must all be the same.

    Args:
        dataset: the output.
        path: of Pixel Data, of Overlay Data, or of an icon's Pixel Data.
        box: frame from 0, x, y, width and height in pixels.
    """
    frame, x, y, width, height = (int(part) for part in box.split(","))
    if "(6000,3000)" in path:
        planes = _overlay(dataset)
    elif "(0088,0200)" in path:
        icons = dataset.get("IconImageSequence") or []
        planes = _icon(icons[0]) if icons else None
    else:
        pixels = dataset.pixel_array
        color = int(dataset.SamplesPerPixel) == 3
        planes = pixels.reshape((-1, *pixels.shape[-3 if color else -2 :]))
    if planes is None:
        return None
    region = planes[frame, y : y + height, x : x + width]
    flat = region.reshape((region.shape[0] * region.shape[1], -1))
    if np.all(flat == flat[0]):
        return None
    rest = int(np.any(flat != flat[0], axis=1).sum())
    return f"{rest} of {len(flat)} pixels of box {box} stand out"


def _overlay(dataset: Dataset) -> np.ndarray[Any, Any] | None:
    if 0x60003000 not in dataset:
        return None
    rows, columns = int(dataset[0x60000010].value), int(dataset[0x60000011].value)
    bits = np.unpackbits(np.frombuffer(dataset[0x60003000].value, np.uint8), bitorder="little")
    return bits[: rows * columns].reshape((1, rows, columns))


def _icon(icon: Dataset) -> np.ndarray[Any, Any] | None:
    if "PixelData" not in icon:
        return None
    rows, columns = int(icon.Rows), int(icon.Columns)
    samples = np.frombuffer(icon.PixelData, np.uint8)
    return samples[: rows * columns].reshape((1, rows, columns))
