"""Writes an image anew with rectangles of its frames blanked, every other stored value unchanged.

Native explicit little endian comes out (PS3.5 A.2), one frame at a time. What described the
decoded pixels before still does: colour space and planar configuration are those of the decoded
samples, and loss by compression stays on record (PS3.3 C.7.6.1.1.5).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels import apply_color_lut

from isocenter.core.deid.pixels.frames import Frame, FrameSource
from isocenter.core.deid.pixels.rectangles import Rectangle
from isocenter.core.dicom.part10 import EXPLICIT_LITTLE, FileMeta, encode_file_meta
from isocenter.core.dicom.pixels import (
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LS_NEAR_LOSSLESS,
    LOSSY,
    PixelLayout,
)
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import reading_attributes
from isocenter.core.dicom.writing import encode_dataset
from isocenter.core.errors import PixelError

_PIXEL_DATA = 0x7FE00010
_LONGEST = 0xFFFFFFFE  # bytes of a native value (PS3.5 7.1.1)
_ENCAPSULATION = (
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "EncapsulatedPixelDataValueTotalLength",
)
# PS3.3 C.7.6.1.1.5.1
_LOSSY_METHODS = {
    JPEG_BASELINE: "ISO_10918_1",
    JPEG_EXTENDED: "ISO_10918_1",
    JPEG_LS_NEAR_LOSSLESS: "ISO_14495_1",
    JPEG_2000: "ISO_15444_1",
}
_DECODED_AS = {
    "YBR_RCT": "RGB",
    "YBR_ICT": "RGB",
    "YBR_FULL_422": "YBR_FULL",
    "YBR_PARTIAL_420": "YBR_FULL",
    "YBR_PARTIAL_422": "YBR_FULL",
}


def decoded_colour_space(layout: PixelLayout) -> str:
    """PhotometricInterpretation of what the decoder gives: codecs undo their own transforms."""
    space = layout.photometric_interpretation
    return _DECODED_AS.get(space, space)


def write_blanked(
    source: FrameSource,
    path: Path,
    rectangles: Sequence[Rectangle],
    *,
    change: Callable[[Dataset], None] = lambda dataset: None,
    clear_unused_bits: bool = False,
) -> None:
    """Write the image to `path`, whole or not at all.

    Args:
        source: the image; its data set is not changed.
        rectangles: of every frame; what reaches out of the image is cut off.
        change: does what else is to be done to the data set (a copy without pixels).
        clear_unused_bits: set bits of a pixel that are not of BitsStored to 0, or to the sign.

    Raises:
        PixelError: the pixels cannot be decoded, or are too long to be native.
        DataSetError: a value cannot be written.
        OSError: the file cannot be written.
    """
    layout = source.layout
    if layout.keyword != "PixelData":
        raise PixelError("floating point pixels are not blanked")
    length = _native_length(layout)
    header = _copy(source.dataset, below=0x7FE00000)
    trailer = _copy(source.dataset, above=_PIXEL_DATA)
    _describe(header, source)
    change(header)
    cut = [one for r in rectangles if (one := r.inside(layout.columns, layout.rows)) is not None]
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(encode_file_meta(_meta(header, source)))
            file.write(encode_dataset(header, EXPLICIT_LITTLE))
            vr = b"OB" if layout.bits_allocated <= 8 else b"OW"
            even = length + length % 2
            file.write(struct.pack("<HH2sxxL", 0x7FE0, 0x0010, vr, even))
            blanked = (_blanked(frame, cut, source, clear_unused_bits) for frame in source)
            written = _write_frames(file, blanked, layout)
            if written != length:
                raise PixelError(f"{written} bytes of pixels were written where {length} belong")
            file.write(bytes(even - length) + encode_dataset(trailer, EXPLICIT_LITTLE))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _native_length(layout: PixelLayout) -> int:
    """Bytes of all frames, decoded, without padding."""
    bits = layout.frames * layout.rows * layout.columns * layout.samples * layout.bits_allocated
    length = (bits + 7) // 8
    if length > _LONGEST:
        raise PixelError("the decoded pixels are longer than a native value may be")
    return length


def _copy(dataset: FileDataset, *, below: int = 1 << 32, above: int = -1) -> Dataset:
    copy = Dataset()
    with quiet_pydicom(), reading_attributes("the image"):
        for tag in sorted(dataset.keys()):
            if above < tag < below:
                copy[tag] = deepcopy(dataset[tag])  # elements are shared otherwise
    copy.set_original_encoding(False, True, dataset.original_character_set)
    return copy


def _meta(header: Dataset, source: FrameSource) -> FileMeta:
    given = source.dataset.file_meta
    return FileMeta(
        sop_class_uid=str(header.get("SOPClassUID") or given.get("MediaStorageSOPClassUID") or ""),
        sop_instance_uid=str(
            header.get("SOPInstanceUID") or given.get("MediaStorageSOPInstanceUID") or ""
        ),
        transfer_syntax_uid=EXPLICIT_LITTLE,
    )


def _describe(header: Dataset, source: FrameSource) -> None:
    """Image Pixel attributes of the decoded samples, and the loss that there was."""
    layout = source.layout
    for keyword in _ENCAPSULATION:
        if keyword in header:
            delattr(header, keyword)
    header.PhotometricInterpretation = decoded_colour_space(layout)
    if layout.samples > 1:
        header.PlanarConfiguration = 0
    if source.syntax in LOSSY and str(header.get("LossyImageCompression") or "") != "01":
        header.LossyImageCompression = "01"
        ratio = layout.native_bytes / max(1, source.encoded_bytes)
        header.LossyImageCompressionRatio = f"{ratio:.2f}"
        method = _LOSSY_METHODS.get(source.syntax)
        if method:
            header.LossyImageCompressionMethod = method


def _blanked(
    frame: Frame, rectangles: Iterable[Rectangle], source: FrameSource, clear: bool
) -> Frame:
    values = frame
    if clear:
        values = _stored_bits(values, source)
    black = black_value(values, decoded_colour_space(source.layout), source.dataset)
    values = values.copy() if values is frame else values
    for rectangle in rectangles:
        values[rectangle.slices] = black
    return values


def black_value(
    frame: Frame, photometric_interpretation: str, dataset: Dataset
) -> NDArray[np.generic]:
    """The darkest stored value: one number, or one for each sample.

    0 where values are unsigned and 0 is black; else the darkest of the frame, so that a display
    that takes its window from the values keeps it.

    Raises:
        DataSetError: there is a palette and it makes no sense.
    """
    samples = frame.shape[2] if frame.ndim == 3 else 1
    if photometric_interpretation == "PALETTE COLOR" and samples == 1:
        with quiet_pydicom(), reading_attributes("the palette"):
            used = np.unique(frame)
            colours = apply_color_lut(used.reshape(1, -1), dataset)
        darkest = used[np.argmin(colours[0, :, :3].astype(np.int64).sum(axis=1))]
        return np.asarray(darkest)
    if photometric_interpretation == "MONOCHROME1":
        return np.asarray(frame.max())
    if photometric_interpretation.startswith("YBR_FULL"):
        half = 1 << (8 * frame.dtype.itemsize - 1)
        return np.array([0, half, half][:samples], dtype=frame.dtype)
    if frame.dtype.kind == "i":
        return np.asarray(frame.min())
    return np.zeros(samples if samples > 1 else (), dtype=frame.dtype)


def _stored_bits(frame: Frame, source: FrameSource) -> Frame:
    """Only the bits from HighBit down, BitsStored of them; signed values keep their sign."""
    layout = source.layout
    bits = 8 * frame.dtype.itemsize
    high = int(source.dataset.get("HighBit") or layout.bits_stored - 1)
    low = max(0, high + 1 - layout.bits_stored)
    cleared: Frame
    if frame.dtype.kind == "i":
        left = bits - 1 - high
        cleared = np.right_shift(np.left_shift(frame, left), left)
        cleared = np.left_shift(np.right_shift(cleared, low), low)
        return cleared
    mask = ((1 << layout.bits_stored) - 1) << low
    cleared = np.bitwise_and(frame, frame.dtype.type(mask & ((1 << bits) - 1)))
    return cleared


def _write_frames(file: BinaryIO, frames: Iterator[Frame], layout: PixelLayout) -> int:
    """The frames one after the other; one-bit pixels are packed over the frames' borders."""
    written = 0
    carry = np.zeros(0, np.uint8)
    for frame in frames:
        if layout.bits_allocated == 1:
            bits = np.concatenate((carry, frame.reshape(-1).astype(np.uint8)))
            whole = len(bits) // 8 * 8
            data, carry = np.packbits(bits[:whole], bitorder="little").tobytes(), bits[whole:]
        else:
            data = np.ascontiguousarray(frame).tobytes()
        written += file.write(data)
    if carry.size:
        written += file.write(np.packbits(carry, bitorder="little").tobytes())
    return written
