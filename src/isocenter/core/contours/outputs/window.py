"""From stored values to grey: rescale, window, and what to show when the image does not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.contours.image_series import ImageSeries
from isocenter.core.contours.options import PreviewOptions
from isocenter.core.dicom.pixels import decode_frames

#: Centre and width in the modality's units where images carry no window: CT soft tissue (HU).
DEFAULT_WINDOWS = {"CT": (40.0, 400.0)}
#: Modalities that are read dark on white.
INVERTED_MODALITIES = frozenset({"PT", "NM"})
#: Slices that are looked at to find a range.
_SAMPLES = 9


@dataclass(frozen=True)
class Window:
    """A linear window (LINEAR_EXACT of PS3.3 C.11.2.1.3), and whether high values are dark.

    Attributes:
        center, width: in the modality's units, after rescale.
        inverted: high values are dark.
    """

    center: float
    width: float
    inverted: bool = False

    def __str__(self) -> str:
        return f"W {self.width:.4g}  L {self.center:.4g}"

    def to_grey(self, values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """Modality values (rows, columns) as 0..255."""
        low = self.center - self.width / 2
        scaled = (values - np.float32(low)) * np.float32(255.0 / self.width)
        np.clip(scaled, 0, 255, out=scaled)
        grey: NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
        return np.bitwise_not(grey) if self.inverted else grey


def modality_values(series: ImageSeries, index: int) -> NDArray[np.float32]:
    """One slice of a series after the Modality LUT's rescale, (rows, columns).

    Raises:
        PixelError: the pixels cannot be decoded.
    """
    header = series.headers[index]
    frame = decode_frames(series.paths[index])[0]
    if frame.ndim == 3:
        # Luma of ITU-R BT.601; a colour image under contours is rare and only shown.
        frame = frame[..., :3] @ np.array([0.299, 0.587, 0.114])
    values: NDArray[np.float32] = frame.astype(np.float32)
    slope, intercept = _number(header, "RescaleSlope", 1.0), _number(header, "RescaleIntercept", 0)
    if slope != 1.0:
        values *= np.float32(slope)
    if intercept != 0.0:
        values += np.float32(intercept)
    return values


def series_window(series: ImageSeries, options: PreviewOptions) -> Window:
    """One window for all slices: what was asked for, what the images say, or a sensible one."""
    header = series.headers[len(series) // 2]
    inverted = (header.get("PhotometricInterpretation") == "MONOCHROME1") != (
        series.modality in INVERTED_MODALITIES
    )
    if options.window_center is not None and options.window_width is not None:
        return Window(options.window_center, options.window_width, inverted)
    center, width = _number(header, "WindowCenter"), _number(header, "WindowWidth")
    if center is not None and width is not None and width > 0:
        return Window(center, width, inverted)
    if series.modality in DEFAULT_WINDOWS:
        return Window(*DEFAULT_WINDOWS[series.modality], inverted)
    return _window_of_range(series, inverted)


def _window_of_range(series: ImageSeries, inverted: bool) -> Window:
    """From the darkest to nearly the brightest values of some slices, outliers cut."""
    indices = np.unique(np.linspace(0, len(series) - 1, _SAMPLES).round().astype(int))
    values = np.concatenate([modality_values(series, int(i)).ravel()[::4] for i in indices])
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, [1.0, 99.7]) if values.size else (0.0, 1.0)
    if series.modality in INVERTED_MODALITIES:
        low = min(float(low), 0.0)
    width = max(float(high) - float(low), 1e-3)
    return Window(float(low) + width / 2, width, inverted)


def _number(header: Dataset, keyword: str, default: Any = None) -> Any:
    """First value of a DS attribute as a finite float, or the default."""
    value = header.get(keyword)
    if value is not None and not isinstance(value, str) and hasattr(value, "__len__"):
        value = value[0] if len(value) else None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return default
    return number if np.isfinite(number) else default
