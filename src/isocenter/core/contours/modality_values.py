"""Modality values (HU, Bq/ml, …) of an image: stored values through the rescale (PS3.3 C.11.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.pixels import decode_frames
from isocenter.core.errors import DicomError


def modality_values(
    dataset: Dataset, *, bounds: Bounds = DEFAULT_BOUNDS
) -> NDArray[np.float64] | None:
    """(rows, columns) of a single-frame grey image, or None where there are none to give.

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
    if len(frames) != 1:
        return None
    return np.asarray(frames[0] * slope + intercept, dtype=np.float64)
