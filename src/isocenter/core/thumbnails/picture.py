"""One image of an instance as a small picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, convert_color_space

from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.pixels import PixelLayout, decode_frames, pixel_layout
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.errors import PixelError
from isocenter.core.thumbnails.frame import read_middle
from isocenter.core.thumbnails.grey import grey_levels

#: Longest side in pixels.
SIZE = 192
#: A larger file or frame would cost more than a small picture is worth.
BOUNDS = Bounds(max_instance_bytes=1 << 30)
MAX_FRAME_PIXELS = 1 << 28
_MAX_STRETCH = 4.0  # pixels that are longer than this are not believed
_YBR = frozenset({"YBR_FULL", "YBR_FULL_422"})


@dataclass(frozen=True)
class Rendered:
    """A small picture.

    Attributes:
        image: grey (``L``) or colour (``RGB``), no side longer than what was asked for.
        burned_in: the instance says that its pixels name the patient (Burned In Annotation,
            PS3.3 C.7.6.1).
    """

    image: Image.Image
    burned_in: bool


def render(path: Path, *, size: int = SIZE) -> Rendered:
    """The middle frame of an instance, windowed, in its true proportions.

    Args:
        size: longest side in pixels.

    Raises:
        DicomError: it has no pixels, or they cannot be read.
        OSError: the file cannot be opened.
    """
    with quiet_pydicom():
        dataset, place, index = read_middle(path, BOUNDS)
        layout = pixel_layout(dataset, BOUNDS)
        if layout.rows * layout.columns > MAX_FRAME_PIXELS:
            raise PixelError(f"{layout.rows} x {layout.columns} pixels are too many for a preview")
        frame = decode_frames(dataset, bounds=BOUNDS, frames=[place])[0]
        picture = _picture(dataset, layout, frame, index, size)
        burned_in = str(dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES"
    return Rendered(picture, burned_in)


def _picture(
    dataset: Dataset, layout: PixelLayout, frame: NDArray[np.generic], index: int, size: int
) -> Image.Image:
    if layout.photometric_interpretation == "PALETTE COLOR" and frame.ndim == 2:
        try:
            frame = apply_color_lut(frame, dataset)
        except (AttributeError, ValueError, KeyError, IndexError, TypeError) as error:
            raise PixelError(f"its palette cannot be read: {type(error).__name__}") from error
        bits = 8 * frame.dtype.itemsize
        levels = _eight_bits(frame, bits)
    elif frame.ndim == 3:
        levels = _eight_bits(_colours(frame, layout), layout.bits_stored)
    else:
        levels = grey_levels(dataset, layout, _reduced(frame, size), index)
    return _scaled(Image.fromarray(levels), _stretch(dataset), size)


def _colours(frame: NDArray[np.generic], layout: PixelLayout) -> NDArray[np.generic]:
    """RGB; what a codec's own colour transform does is done already."""
    colour = frame[..., :3]
    if colour.shape[-1] != 3:
        raise PixelError(f"{layout.samples} samples per pixel are no colour")
    if layout.photometric_interpretation in _YBR and colour.dtype == np.uint8:
        colour = convert_color_space(colour, "YBR_FULL", "RGB")
    return colour


def _eight_bits(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if bits <= 8:
        return np.ascontiguousarray(values[..., :3], dtype=np.uint8)
    return np.ascontiguousarray(values[..., :3] >> (bits - 8)).astype(np.uint8)


def _reduced(frame: NDArray[Any], size: int) -> NDArray[Any]:
    """A huge frame thinned out, so that what follows costs little; at least thrice the size."""
    step = max(1, min(frame.shape) // (3 * size))
    return frame[::step, ::step]


def _stretch(dataset: Dataset) -> float:
    """Height of a pixel per width; 1 where the image does not say or says nonsense."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio"):
        value = dataset.get(keyword)
        try:
            ratio = float(value[0]) / float(value[1])
        except (TypeError, ValueError, IndexError, ZeroDivisionError):
            continue
        if 1 / _MAX_STRETCH <= ratio <= _MAX_STRETCH:
            return ratio
    return 1.0


def _scaled(image: Image.Image, stretch: float, size: int) -> Image.Image:
    height, width = image.height * stretch, float(image.width)
    factor = size / max(height, width)
    wanted = max(1, round(width * factor)), max(1, round(height * factor))
    return image.resize(
        wanted, Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.BICUBIC
    )
