"""From stored values to 256 grey levels (PS3.3 C.11.1, C.11.2, C.11.6; PS3.4 N.2).

Integers of up to 16 bits go through one table made of all the steps, which is kept: the images of
a series share it. Everything else is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.dicom.image_header import (
    DOUBLE_PIXELS,
    FLOAT_PIXELS,
    LUT_SHAPE,
    MODALITY,
    MODALITY_LUTS,
    PADDING,
    PADDING_LIMIT,
    RESCALE_INTERCEPT,
    RESCALE_SLOPE,
    VOI_FUNCTION,
    VOI_LUTS,
    WINDOW_CENTER,
    WINDOW_WIDTH,
    ImageHeader,
)
from isocenter.core.errors import ConfigurationError, PixelError
from isocenter.core.rendering.order import FUNCTIONS, Window
from isocenter.core.rendering.source import Image, frame_value

#: HU where a CT carries no window: soft tissue.
CT_WINDOW = Window(40.0, 400.0)
_PERCENTILES = (1.0, 99.7)
_MOST_SAMPLED = 1 << 20  # pixels looked at for percentiles

Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Lut:
    """A lookup table (PS3.3 C.11.1.1.1, C.11.2.1.1).

    Attributes:
        first: input that the first entry is for; inputs below it take the first entry, those
            above take the last.
        entries: as they are stored, as bytes of ``<u4``, so that tables can be compared.
        bits: of an entry.
    """

    first: int
    entries: bytes
    bits: int

    def apply(self, values: Values) -> Values:
        """Entries for the values."""
        table = np.frombuffer(self.entries, "<u4").astype(np.float64)
        places = np.clip(np.rint(values) - self.first, 0, len(table) - 1)
        shown: Values = table[np.nan_to_num(places).astype(np.int64)]
        return shown


@dataclass(frozen=True, slots=True)
class Steps:
    """Everything between stored values and grey levels.

    Attributes:
        modality: a table in place of slope and intercept.
        voi: a table, or a window.
        inverted: the lowest value is white.
    """

    slope: float
    intercept: float
    modality: Lut | None
    voi: Lut | Window
    inverted: bool


def grey_levels(
    image: Image, index: int, stored: Values, window: Window | None = None
) -> NDArray[np.uint8]:
    """One frame as grey levels.

    Args:
        stored: (rows, columns) as decoded.
        window: in place of the image's own.
    """
    header = image.header
    values = _without_spare_bits(header, stored)
    slope, intercept = _rescale(image, index)
    modality = _lut(image, "ModalityLUTSequence", signed=header.signed, noted=MODALITY_LUTS)
    voi: Lut | Window | None = window
    if voi is None:
        voi = _own_voi(image, index, is_signed=header.signed or intercept < 0)
    if voi is None:
        voi = _whole_range(header, values, slope, intercept, modality)
    inverted = (header.photometric == "MONOCHROME1") or header.text(LUT_SHAPE) == "INVERSE"
    return _applied(values, Steps(slope, intercept, modality, voi, inverted))


def _without_spare_bits(header: ImageHeader, values: Values) -> Values:
    """Only the bits from High Bit down, with their sign: overlays may sit in the others."""
    if values.dtype.kind not in "iu" or header.bits_allocated == 1:
        return values
    width = 8 * values.dtype.itemsize
    above = width - 1 - min(header.high_bit, width - 1)
    spare = width - min(header.bits_stored, width)
    if not spare:
        return values
    return (values << above) >> spare if above != spare or _is_used(values, spare) else values


def _is_used(values: Values, spare: int) -> bool:
    """Whether shifting up and down would change anything; most images keep those bits clear."""
    width = 8 * values.dtype.itemsize
    if values.dtype.kind == "u":
        return bool(values.max(initial=0) >> (width - spare))
    limit = 1 << (width - spare - 1)
    return bool(values.max(initial=0) >= limit or values.min(initial=0) < -limit)


def _applied(values: Values, steps: Steps) -> NDArray[np.uint8]:
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        table = _table(values.dtype.str, steps)
        # A negative index counts from the end, which is where negative inputs are kept.
        unsigned = values.view(f"<u{values.dtype.itemsize}")
        return table.take(unsigned, mode="wrap")  # every index is in it; the fastest mode
    return _levels(values.astype(np.float64), steps)


@lru_cache(maxsize=64)
def _table(kind: str, steps: Steps) -> NDArray[np.uint8]:
    """Grey levels of all values of an integer type, negative ones behind the others."""
    dtype = np.dtype(kind)
    every = np.arange(1 << (8 * dtype.itemsize), dtype=f"<u{dtype.itemsize}").view(dtype)
    return _levels(every.astype(np.float64), steps)


def _levels(stored: NDArray[np.float64], steps: Steps) -> NDArray[np.uint8]:
    if steps.modality is not None:
        values = steps.modality.apply(stored)
    else:
        values = stored * steps.slope + steps.intercept
    if isinstance(steps.voi, Lut):
        shown = steps.voi.apply(values) / ((1 << steps.voi.bits) - 1)
    else:
        shown = windowed(values, steps.voi)
    shown = np.nan_to_num(np.clip(shown, 0.0, 1.0), copy=False)
    levels: NDArray[np.uint8] = np.rint(shown * 255.0).astype(np.uint8)
    return np.bitwise_not(levels) if steps.inverted else levels


def windowed(values: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """0 to 1 by a window (PS3.3 C.11.2.1.2 and C.11.2.1.3); not clipped."""
    center, width = window.center, window.width
    with np.errstate(over="ignore", invalid="ignore"):
        if window.function == "SIGMOID":
            return np.asarray(1.0 / (1.0 + np.exp(-4.0 * (values - center) / width)))
        if window.function == "LINEAR_EXACT":
            return (values - center) / width + 0.5
        if width <= 1.0:
            return (values > center - 0.5).astype(np.float64)
        return (values - (center - 0.5)) / (width - 1.0) + 0.5


def _rescale(image: Image, index: int) -> tuple[float, float]:
    """Slope and intercept; 1 and 0 where there are none."""
    header = image.header
    sequence = "PixelValueTransformationSequence"
    slope = _number(frame_value(image, index, sequence, "RescaleSlope"))
    intercept = _number(frame_value(image, index, sequence, "RescaleIntercept"))
    slope = header.number(RESCALE_SLOPE) if slope is None else slope
    intercept = header.number(RESCALE_INTERCEPT) if intercept is None else intercept
    return slope or 1.0, intercept or 0.0


def _number(value: Any) -> float | None:
    """The first of one or several; None where it is none."""
    if value is not None and not isinstance(value, str | bytes) and hasattr(value, "__len__"):
        value = value[0] if len(value) else None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _own_voi(image: Image, index: int, *, is_signed: bool) -> Lut | Window | None:
    """The first VOI LUT or window that the image carries; a CT without one: soft tissue."""
    header = image.header
    found = _lut(image, "VOILUTSequence", signed=is_signed, noted=VOI_LUTS)
    if found is not None:
        return found
    sequence = "FrameVOILUTSequence"
    center = _number(frame_value(image, index, sequence, "WindowCenter"))
    width = _number(frame_value(image, index, sequence, "WindowWidth"))
    function = str(frame_value(image, index, sequence, "VOILUTFunction") or "")
    if center is None or width is None:
        center, width = header.number(WINDOW_CENTER), header.number(WINDOW_WIDTH)
        function = header.text(VOI_FUNCTION)
    if center is None or width is None:
        return CT_WINDOW if header.text(MODALITY) == "CT" else None
    if function not in FUNCTIONS.values():
        function = "LINEAR"
    if function == "LINEAR" and header.pixel_tag in (FLOAT_PIXELS, DOUBLE_PIXELS):
        # LINEAR counts whole steps; on numbers between 0 and 1 it would leave black and white.
        function = "LINEAR_EXACT"
    try:
        return Window(center, width, function)
    except ConfigurationError:  # stored windows may be nonsense
        return None


def _lut(image: Image, keyword: str, *, signed: bool, noted: int) -> Lut | None:
    """The first table of a sequence."""
    if noted not in image.header.noted:
        return None
    items = image.presentation.get(keyword) or []
    return _lut_of(items[0], signed) if len(items) else None


def _lut_of(item: Dataset, signed: bool) -> Lut:
    """A table from its descriptor and data (PS3.3 C.11.1.1.1)."""
    try:
        count, first, bits = (int(number) for number in item.LUTDescriptor)
        data = item["LUTData"].value
        if isinstance(data, bytes):
            is_big = item.original_encoding[1] is False
            entries = np.frombuffer(data, ">u2" if is_big else "<u2")
        else:
            entries = np.atleast_1d(np.asarray(data)).astype(np.int64) & 0xFFFF
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PixelError(f"a lookup table cannot be read: {type(error).__name__}") from error
    count = (count & 0xFFFF) or 1 << 16
    if bits <= 8 and len(entries) * 2 >= count > len(entries):  # two entries in a word
        entries = np.frombuffer(entries.astype("<u2").tobytes(), "u1")
    entries = entries[:count]
    if not len(entries) or not 1 <= bits <= 16:
        raise PixelError("a lookup table has no entries, or none of 1 to 16 bits")
    first &= 0xFFFF
    if signed and first >= 0x8000:
        first -= 0x10000
    return Lut(first, entries.astype("<u4").tobytes(), bits)


def _whole_range(
    header: ImageHeader, stored: Values, slope: float, intercept: float, modality: Lut | None
) -> Window:
    """A window from nearly the lowest to nearly the highest value, padding left out."""
    step = max(1, int(np.sqrt(stored.size / _MOST_SAMPLED)))
    sample = stored[::step, ::step].astype(np.float64).ravel()
    keep = np.isfinite(sample)
    padding = header.stored_value(PADDING)
    if padding is not None:
        limit = header.stored_value(PADDING_LIMIT)
        first, last = sorted((padding, padding if limit is None else limit))
        keep &= (sample < first) | (sample > last)
    sample = sample[keep]
    values = modality.apply(sample) if modality is not None else sample * slope + intercept
    if not values.size:
        return Window(0.5, 1.0, "LINEAR_EXACT")
    low, high = (float(value) for value in np.percentile(values, _PERCENTILES))
    if high <= low:  # nearly all is background
        low, high = float(values.min()), float(values.max())
    width = high - low
    if width > 0 and np.isfinite(width):
        return Window(low + width / 2, width, "LINEAR_EXACT")
    return Window(low + 0.5, 1.0, "LINEAR_EXACT")
