"""From stored values to 256 levels: rescale, then the image's own window, else its range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.dicom.pixels import PixelLayout

#: Centre and width in HU where a CT carries no window: soft tissue.
_CT_WINDOW = (40.0, 400.0)
#: Modalities that are read dark on white.
_INVERTED = frozenset({"PT", "NM"})


def grey_levels(
    dataset: Dataset, layout: PixelLayout, frame: NDArray[Any], index: int
) -> NDArray[np.uint8]:
    """One frame as grey levels.

    Args:
        frame: (rows, columns) stored values, thinned out or not.
        index: of the frame; enhanced images describe each (PS3.3 C.7.6.16).
    """
    values = _modality_values(dataset, layout, frame, index)
    low, high = _window(dataset, values, index)
    scaled = np.clip((values - low) * (255.0 / max(high - low, 1e-6)), 0, 255)
    levels: NDArray[np.uint8] = np.rint(np.nan_to_num(scaled)).astype(np.uint8)
    inverted = (layout.photometric_interpretation == "MONOCHROME1") != (
        str(dataset.get("Modality", "")) in _INVERTED
    )
    return np.bitwise_not(levels) if inverted else levels


def _modality_values(
    dataset: Dataset, layout: PixelLayout, frame: NDArray[Any], index: int
) -> NDArray[np.float32]:
    values = frame
    spare = 8 * values.dtype.itemsize - layout.bits_stored
    if values.dtype.kind in "iu" and spare > 0 and layout.bits_allocated > 1:
        # Shifted up and down again: an old overlay may sit in the bits above.
        values = (values << spare) >> spare
    result: NDArray[np.float32] = values.astype(np.float32)
    slope = _number(dataset, index, "PixelValueTransformationSequence", "RescaleSlope")
    intercept = _number(dataset, index, "PixelValueTransformationSequence", "RescaleIntercept")
    if slope is not None and slope != 0:
        result *= np.float32(slope)
    if intercept is not None:
        result += np.float32(intercept)
    return result


def _window(dataset: Dataset, values: NDArray[np.float32], index: int) -> tuple[float, float]:
    """Lowest and highest value shown."""
    center = _number(dataset, index, "FrameVOILUTSequence", "WindowCenter")
    width = _number(dataset, index, "FrameVOILUTSequence", "WindowWidth")
    if (center is None or width is None) and str(dataset.get("Modality", "")) == "CT":
        center, width = _CT_WINDOW
    if center is not None and width is not None and width > 0:
        low, high = center - width / 2, center + width / 2
        if _shows_something(values, low, high):
            return low, high
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(finite, [1.0, 99.7]))
    if high <= low:  # nearly all is background
        low, high = float(finite.min()), float(finite.max())
    return low, high


def _shows_something(values: NDArray[np.float32], low: float, high: float) -> bool:
    """Whether more than black and white would be seen; stored windows may be nonsense."""
    if float(values.min()) == float(values.max()):
        return True
    return bool(((values > low) & (values < high)).any()) or bool(
        (values <= low).any() and (values >= high).any()
    )


def _number(dataset: Dataset, index: int, sequence: str, keyword: str) -> float | None:
    """First value of an attribute, of the frame where the image describes frames."""
    for place in _places(dataset, index, sequence):
        value = place.get(keyword)
        if value is not None and not isinstance(value, str) and hasattr(value, "__len__"):
            value = value[0] if len(value) else None
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if np.isfinite(number):
            return number
    return None


def _places(dataset: Dataset, index: int, sequence: str) -> Iterator[Dataset]:
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for group in (*groups[index : index + 1], *shared[:1]):
        yield from (group.get(sequence) or [])[:1]
    yield dataset
