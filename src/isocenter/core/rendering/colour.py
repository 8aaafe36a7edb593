"""From stored colour to RGB with 8 bits (PS3.3 C.7.6.3.1.2, C.7.9)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_color_lut, convert_color_space

from isocenter.core.errors import PixelError
from isocenter.core.rendering.source import Image

_YBR = frozenset({"YBR_FULL", "YBR_FULL_422"})


def rgb_levels(image: Image, stored: NDArray[Any]) -> NDArray[np.uint8]:
    """One frame as (rows, columns, 3).

    Args:
        stored: (rows, columns) of a palette image, else (rows, columns, samples); what a codec's
            own colour transform does is done already.

    Raises:
        PixelError: it is no colour, or its palette cannot be read.
    """
    header = image.header
    if stored.ndim == 2:
        return _palette(image, stored)
    colour = stored[..., :3]
    if colour.shape[-1] != 3:
        raise PixelError(f"{header.samples} samples per pixel are no colour")
    if header.photometric in _YBR and colour.dtype == np.uint8:
        colour = convert_color_space(colour, "YBR_FULL", "RGB")
    return _eight_bits(colour, header.bits_stored)


def _palette(image: Image, stored: NDArray[Any]) -> NDArray[np.uint8]:
    try:
        colour = apply_color_lut(stored, image.presentation)
    except (AttributeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise PixelError(f"its palette cannot be read: {type(error).__name__}") from error
    return _eight_bits(colour, 8 * colour.dtype.itemsize)


def _eight_bits(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if values.dtype.kind == "i":
        values = values.view(values.dtype.str.replace("i", "u"))
    shown = values[..., :3]
    if bits < 8:
        shown = shown.astype(np.uint16) * 255 // ((1 << bits) - 1)
    elif bits > 8:
        shown = shown >> (bits - 8)
    return np.ascontiguousarray(shown, dtype=np.uint8)
