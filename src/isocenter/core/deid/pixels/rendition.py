"""Frames as pictures of 8 bits, in which a person could read text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, convert_color_space

from isocenter.core.deid.pixels.ocr import Picture
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import reading_attributes

#: A window on the middle values is shown too where it is narrower than this share of all values.
_NARROW = 0.6
_LOW, _HIGH = 0.5, 99.5  # percentiles


def pictures_of(
    frame: NDArray[np.generic], photometric_interpretation: str, dataset: Dataset
) -> list[Picture]:
    """A frame as (rows, columns) or (rows, columns, 3), eight bits; one or two pictures.

    Colour that is in a palette is looked up, and shown by its index too: who reads the values
    without the palette sees what was written with another one. Values of more than 8 bits are
    shown in full range, and with the middle values spread where a few extreme ones would hide
    them.

    Args:
        frame: stored values as decoded, (rows, columns) or (rows, columns, samples).
        photometric_interpretation: of the decoded values.
        dataset: has the palette, where there is one.

    Raises:
        DataSetError: the palette makes no sense.
    """
    if photometric_interpretation == "PALETTE COLOR" and frame.ndim == 2:
        with quiet_pydicom(), reading_attributes("the palette"):
            coloured = apply_color_lut(frame, dataset)
        return [_eight_bits(coloured[..., :3]), *_grey(frame)]
    if frame.ndim == 2:
        return _grey(frame)
    if frame.shape[2] < 3:
        return [picture for layer in range(frame.shape[2]) for picture in _grey(frame[..., layer])]
    colours = _eight_bits(frame[..., :3])
    if photometric_interpretation.startswith("YBR"):
        colours = np.asarray(convert_color_space(colours, "YBR_FULL", "RGB"), dtype=np.uint8)
    return [np.ascontiguousarray(colours)]


def _grey(frame: NDArray[np.generic]) -> list[Picture]:
    values = frame.astype(np.float32)
    lowest, highest = float(values.min()), float(values.max())
    pictures = [_window(values, lowest, highest)]
    if frame.dtype.itemsize > 1:
        low, high = (float(edge) for edge in np.percentile(values[::2, ::2], (_LOW, _HIGH)))
        if low < high and high - low < _NARROW * (highest - lowest):
            pictures.append(_window(values, low, high))
    return pictures


def _window(values: NDArray[np.float32], low: float, high: float) -> Picture:
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    return np.asarray(np.clip((values - low) * (255 / (high - low)), 0, 255), dtype=np.uint8)


def _eight_bits(colours: NDArray[np.generic]) -> Picture:
    if colours.dtype == np.uint8:
        return np.asarray(colours, dtype=np.uint8)
    values = colours.astype(np.float32)
    return _window(values, 0, max(255.0, float(values.max())))
