"""A disclaimer in the pixels: drawn at the image's own bit depth, inside its text box alone.

Every pixel outside the box stays bit-identical, the bits of a pixel above BitsStored stay even
inside, and rescale and VOI attributes are not touched. The ground of the box has the darkest and
the letters the brightest value of the image or of its VOI window, so that the text can be seen
and an automatic window stays where it was. Native little endian pixels are changed in place;
anything else is decoded and written as explicit little endian, with the lossy history kept.

BurnedInAnnotation (0028,0301) is YES when the pixels hold text that identifies the patient and
the date (PS3.3 C.7.6.1.1.1 and C.7.6.1). A disclaimer does not, so a value that is there stays.
Where it is absent, NO is set for CT, MR and PET images, whose pixels are measured; any other
image may have text of its own that nobody has looked for, and gets no claim.
RecognizableVisualFeatures is left alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from isocenter.core.contours.modality_values import depth_of, stored_values
from isocenter.core.contours.options import BurnIn
from isocenter.core.contours.text_box import TextBox, place
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.part10 import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from isocenter.core.dicom.pixels import decode_frames
from isocenter.core.errors import PixelError

_NATIVE = (IMPLICIT_LITTLE, EXPLICIT_LITTLE)
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_RCT", "YBR_ICT", "YBR_FULL_422")
#: JPEG 2000 decoders undo its colour transform; chroma comes out at full size.
_DECODED_AS = {
    "YBR_RCT": "RGB",
    "YBR_ICT": "RGB",
    "YBR_FULL_422": "YBR_FULL",
}
#: CT, MR and PET Image Storage.
_MEASURED = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.128",
)

Pixels = NDArray[np.integer[Any]]


def burn_text(dataset: Dataset, options: BurnIn, *, bounds: Bounds = DEFAULT_BOUNDS) -> TextBox:
    """Draws the text into every frame of an image, in place; returns the box.

    The transfer syntax in ``file_meta`` becomes explicit little endian where the pixels had to
    be decoded.

    Raises:
        PixelError: no pixels, pixels that cannot be decoded, PALETTE COLOR, one bit per pixel,
            floating point, or an image too small for the text.
        ConfigurationError: the font lacks a letter of the text.
    """
    _refuse_unfit(dataset)
    box = place(options, int(dataset.Rows), int(dataset.Columns))
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax in _NATIVE and str(dataset.PhotometricInterpretation) in (*_GREY, "RGB", "YBR_FULL"):
        frames, planar = _native(dataset)
    else:
        frames, planar = _decoded(dataset, bounds), False
        _become_native(dataset, frames)
    # Drawing wants samples last; a view leaves the order of the bytes as it is.
    view = np.moveaxis(frames, 1, -1) if planar else frames
    if view.ndim == 4:
        _draw_colour(view, box, dataset)
    else:
        _draw_grey(view, box, dataset)
    _store(dataset, frames)
    if "BurnedInAnnotation" not in dataset and str(dataset.get("SOPClassUID")) in _MEASURED:
        dataset.BurnedInAnnotation = "NO"
    return box


def _refuse_unfit(dataset: Dataset) -> None:
    for keyword in ("FloatPixelData", "DoubleFloatPixelData"):
        if keyword in dataset:
            raise PixelError("floating point pixels cannot take text")
    if "PixelData" not in dataset or not dataset.get("Rows") or not dataset.get("Columns"):
        raise PixelError("there are no pixels to burn text into")
    if int(dataset.get("BitsAllocated", 0)) not in (8, 16, 32):
        raise PixelError(f"{dataset.get('BitsAllocated')} bits per pixel cannot take text")
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if photometric not in (*_GREY, *_COLOUR):
        raise PixelError(
            f"{photometric or 'an unknown photometric interpretation'} cannot take text",
            hint="its values are entries of a table" if photometric == "PALETTE COLOR" else "",
        )


def _native(dataset: Dataset) -> tuple[Pixels, bool]:
    """Writable words of native little endian pixels: (frames, rows, columns[, samples]).

    The second value says whether samples come first: (frames, samples, rows, columns).
    """
    kind = "i" if int(dataset.get("PixelRepresentation", 0)) else "u"
    words = np.dtype(f"<{kind}{int(dataset.BitsAllocated) // 8}")
    samples = int(dataset.get("SamplesPerPixel") or 1)
    size = (int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns))
    planar = samples > 1 and int(dataset.get("PlanarConfiguration") or 0) == 1
    shape = size if samples == 1 else (*size, samples)
    if planar:
        shape = (size[0], samples, *size[1:])
    count = int(np.prod(shape, dtype=np.int64))
    data = bytes(dataset.PixelData)
    if len(data) < count * words.itemsize:
        raise PixelError(f"PixelData has {len(data)} bytes instead of {count * words.itemsize}")
    return np.frombuffer(data, dtype=words, count=count).reshape(shape).copy(), planar


def _decoded(dataset: Dataset, bounds: Bounds) -> Pixels:
    frames = np.array(decode_frames(dataset, bounds=bounds))
    if not np.issubdtype(frames.dtype, np.integer):
        raise PixelError(f"pixels of type {frames.dtype} cannot take text")
    return frames


def _become_native(dataset: Dataset, frames: Pixels) -> None:
    """Describes decoded pixels: interleaved, explicit little endian."""
    if str(dataset.file_meta.TransferSyntaxUID) == EXPLICIT_BIG:
        _swap_words(dataset)
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE)
    if frames.ndim == 4:
        dataset.PlanarConfiguration = 0
        photometric = str(dataset.PhotometricInterpretation)
        dataset.PhotometricInterpretation = _DECODED_AS.get(photometric, photometric)
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            del dataset[keyword]


def _swap_words(dataset: Dataset) -> None:
    """Turns OW values, overlays and tables, into little endian; pixels are replaced anyway."""
    for element in dataset.iterall():
        if element.VR == "OW" and element.keyword != "PixelData" and element.value:
            element.value = np.frombuffer(element.value, dtype=">u2").astype("<u2").tobytes()


def _draw_grey(frames: Pixels, box: TextBox, dataset: Dataset) -> None:
    rows, columns = box.window
    bits, signed = depth_of(dataset, frames.dtype.itemsize)
    stored = stored_values(frames, bits, signed)
    dark, bright = _range(stored, bits, signed, dataset)
    if str(dataset.PhotometricInterpretation) == "MONOCHROME1":
        dark, bright = bright, dark
    text = np.rint(dark + (bright - dark) * box.cover).astype(np.int64)
    mask = (1 << bits) - 1
    inside = frames[:, rows, columns].astype(np.int64)
    full = frames.dtype.itemsize * 8
    # Bits above BitsStored may hold an old overlay: they stay, unless they extend the sign.
    high = inside & (((1 << full) - 1) ^ mask)
    sign_extended = signed and np.array_equal(frames[:, rows, columns], stored[:, rows, columns])
    value = np.broadcast_to(text, inside.shape) if sign_extended else high | (text & mask)
    wrapped = value & ((1 << full) - 1)
    words = wrapped.astype(np.dtype(f"u{frames.dtype.itemsize}"))
    frames[:, rows, columns] = words.view(words.dtype.str.replace("u", frames.dtype.kind))
    _widen_extremes(dataset, int(text.min()), int(text.max()))


def _range(stored: NDArray[np.int64], bits: int, signed: bool, dataset: Dataset) -> tuple[int, int]:
    """Darkest and brightest stored value for the text; never equal."""
    least = -(1 << (bits - 1)) if signed else 0
    most = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1
    dark, bright = int(stored.min()), int(stored.max())
    window = _window_in_stored_values(dataset)
    if window is not None:
        dark = min(dark, max(least, int(np.floor(window[0]))))
        bright = max(bright, min(most, int(np.ceil(window[1]))))
    if dark == bright:
        dark, bright = (least, bright) if bright > least else (least, most)
    return dark, bright


def _window_in_stored_values(dataset: Dataset) -> tuple[float, float] | None:
    """Lower and upper end of the first VOI window, through the inverse rescale."""
    try:
        centre, width = (_first(dataset.get(k)) for k in ("WindowCenter", "WindowWidth"))
        slope = _first(dataset.get("RescaleSlope", 1))
        intercept = _first(dataset.get("RescaleIntercept", 0))
    except (TypeError, ValueError, IndexError):
        return None
    if not (np.isfinite([centre, width, slope, intercept]).all() and width > 0 and slope):
        return None
    ends = sorted((centre + side * width / 2 - intercept) / slope for side in (-1, 1))
    return ends[0], ends[1]


def _first(value: Any) -> float:
    return float(value if isinstance(value, str | int | float) else value[0])


def _widen_extremes(dataset: Dataset, low: int, high: int) -> None:
    """Smallest/LargestImagePixelValue, where present, must hold for the text too."""
    for keyword, better in (("SmallestImagePixelValue", min), ("LargestImagePixelValue", max)):
        value = dataset.get(keyword)
        if isinstance(value, int):
            setattr(dataset, keyword, better(value, low, high))


def _draw_colour(frames: Pixels, box: TextBox, dataset: Dataset) -> None:
    rows, columns = box.window
    most = (1 << int(dataset.get("BitsStored") or 8)) - 1
    ink = np.broadcast_to(np.rint(box.cover * most)[..., None], (*box.cover.shape, 3)).copy()
    if str(dataset.PhotometricInterpretation).startswith("YBR"):
        ink[..., 1:] = (most + 1) // 2  # grey has no colour difference
    frames[:, rows, columns, :] = ink.astype(frames.dtype)


def _store(dataset: Dataset, frames: Pixels) -> None:
    data = np.ascontiguousarray(frames).astype(frames.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = data + bytes(len(data) % 2)
    element = dataset["PixelData"]
    element.is_undefined_length = False
    implicit = str(dataset.file_meta.TransferSyntaxUID) == IMPLICIT_LITTLE
    element.VR = "OW" if implicit or frames.dtype.itemsize > 1 else "OB"
