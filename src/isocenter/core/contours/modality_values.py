"""Modality values (HU, Bq/ml, …) of an image: stored values through the rescale (PS3.3 C.11.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.contours.masks import Mask
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.pixels import decode_frames
from isocenter.core.errors import DicomError


@dataclass(frozen=True, eq=False)
class ModalityImage:
    """A grey image of which some values are wanted.

    Attributes:
        words: (rows, columns) as they are stored.
        bits, signed: BitsStored, PixelRepresentation.
        slope, intercept: of the rescale.
    """

    words: NDArray[Any]
    bits: int
    signed: bool
    slope: float
    intercept: float

    def values(self, where: Mask) -> NDArray[np.float64]:
        """(n,) modality values of the pixels of `where` (rows, columns)."""
        stored = stored_values(self.words[where], self.bits, self.signed)
        return np.asarray(stored * self.slope + self.intercept, dtype=np.float64)


def modality_image(dataset: Dataset, *, bounds: Bounds = DEFAULT_BOUNDS) -> ModalityImage | None:
    """A single-frame grey image, or None where there are no modality values to give.

    That is so for colour, for a Modality LUT that is a table, and for pixels that no decoder
    here can read.
    """
    if int(dataset.get("SamplesPerPixel") or 1) != 1 or "ModalityLUTSequence" in dataset:
        return None
    if str(dataset.get("PhotometricInterpretation", "")) not in ("MONOCHROME1", "MONOCHROME2"):
        return None
    try:
        frames = decode_frames(dataset, bounds=bounds)
        slope = float(dataset.get("RescaleSlope", 1) or 1)
        intercept = float(dataset.get("RescaleIntercept", 0) or 0)
    except (DicomError, TypeError, ValueError):
        return None
    if len(frames) != 1 or not np.issubdtype(frames.dtype, np.integer):
        return None
    bits, signed = depth_of(dataset, frames.dtype.itemsize)
    return ModalityImage(frames[0], bits, signed, slope, intercept)


def depth_of(dataset: Dataset, word_bytes: int) -> tuple[int, bool]:
    """BitsStored (no more than a word has), and whether values are signed."""
    bits = min(int(dataset.get("BitsStored") or 8 * word_bytes), 8 * word_bytes)
    return bits, int(dataset.get("PixelRepresentation") or 0) == 1


def stored_values(words: NDArray[Any], bits: int, signed: bool) -> NDArray[np.int64]:
    """Values of the `bits` lowest bits of words; an old overlay may sit in those above."""
    values = words.astype(np.int64)
    if bits < 8 * words.dtype.itemsize:
        values &= (1 << bits) - 1
        if signed:
            values = np.where(values >= 1 << (bits - 1), values - (1 << bits), values)
    return values
