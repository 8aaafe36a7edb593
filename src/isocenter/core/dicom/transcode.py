"""Changing the transfer syntax of a file: headers without touching values, pixels without loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels import pack_bits
from pydicom.uid import UID

from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.part10 import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from isocenter.core.dicom.pixels import (
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LS_LOSSLESS,
    JPEG_LS_NEAR_LOSSLESS,
    LOSSY,
    NATIVE,
    RLE_LOSSLESS,
    PixelLayout,
    decode_frames,
    pixel_layout,
)
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import read_dataset, reading_attributes
from isocenter.core.dicom.vrs import make_explicit
from isocenter.core.dicom.writing import write_part10
from isocenter.core.errors import PixelError

# Lossless encapsulated syntax → pydicom's plugin that writes it.
_ENCODERS = {
    RLE_LOSSLESS: "pylibjpeg",
    JPEG_LS_LOSSLESS: "pyjpegls",
    JPEG_2000_LOSSLESS: "pylibjpeg",
}
#: Transfer syntaxes that :func:`transcode` writes.
WRITABLE = (NATIVE - {EXPLICIT_BIG}) | _ENCODERS.keys()

# PS3.3 C.7.6.1.1.5.1
_LOSSY_METHODS = {
    JPEG_BASELINE: "ISO_10918_1",
    JPEG_EXTENDED: "ISO_10918_1",
    JPEG_LS_NEAR_LOSSLESS: "ISO_14495_1",
    JPEG_2000: "ISO_15444_1",
}
_SWAPPED = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_PIXEL_DATA = 0x7FE00010
_ENCAPSULATION = (
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "EncapsulatedPixelDataValueTotalLength",
)


def transcode(
    path_in: Path, path_out: Path, target_syntax: str, *, bounds: Bounds = DEFAULT_BOUNDS
) -> None:
    """Write a file anew in another transfer syntax, losing nothing.

    Between native syntaxes only the encoding changes. Encapsulated pixel data is decoded with
    the codecs in this process (:func:`run` does it for many files, to be called isolated); what
    was lossy stays as it was decoded and says so. Lossless compression is read back and compared
    before the file is written.

    Args:
        path_in: any file that :func:`~isocenter.core.dicom.reading.read_dataset` reads.
        path_out: written whole or not at all.
        target_syntax: one of :data:`WRITABLE`.
        bounds: see :class:`Bounds`.

    Raises:
        PixelError: the target is not written here, or the pixel data cannot be decoded, or is of
            a kind that the target cannot hold.
        DicomError: the file cannot be read, or a value cannot be written.
        OSError: a file cannot be opened or written.
    """
    if target_syntax not in WRITABLE:
        raise PixelError(f"transfer syntax {target_syntax} is not written here")
    dataset = read_dataset(path_in, bounds=bounds)
    source_syntax = str(dataset.file_meta.TransferSyntaxUID)
    with quiet_pydicom(), reading_attributes("the data set"):
        if source_syntax != target_syntax:
            if source_syntax not in NATIVE or target_syntax not in NATIVE:
                _recode_pixels(dataset, source_syntax, target_syntax, bounds)
            elif source_syntax == EXPLICIT_BIG:
                _pixels_to_little_endian(dataset, bounds)
            _reencode(dataset, source_syntax, target_syntax)
        dataset.file_meta.TransferSyntaxUID = UID(target_syntax)
        write_part10(dataset, path_out)


def run(request: dict[str, Any], progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Transcode many files, for :func:`~isocenter.core.isolation.run_isolated`.

    Args:
        request: ``{"files": [{"source", "target", "syntax"}]}``, paths and a transfer syntax.
        progress: told after each file.

    Returns:
        ``{"refused": {source: reason}}`` for the files that could not be transcoded.
    """
    from isocenter.core.errors import DicomError

    refused = {}
    files = request["files"]
    for index, file in enumerate(files):
        try:
            transcode(Path(file["source"]), Path(file["target"]), file["syntax"])
        except DicomError as error:
            refused[file["source"]] = str(error)
        progress((index + 1) / len(files), f"{index + 1} of {len(files)} files transcoded")
    return {"refused": refused}


def _reencode(dataset: FileDataset, source_syntax: str, target_syntax: str) -> None:
    """Have every element ready to be written in the target's byte order and VR."""
    if source_syntax == EXPLICIT_BIG:
        _to_little_endian(dataset)
    if target_syntax != IMPLICIT_LITTLE and dataset.original_encoding[0]:
        make_explicit(dataset)


def _to_little_endian(dataset: Dataset) -> None:
    """Decode every value and turn round the bytes that pydicom keeps as they are."""
    for tag in list(dataset.keys()):
        if tag == _PIXEL_DATA:
            continue
        element = dataset[tag]
        if element.VR == "SQ":
            for item in element.value or ():
                _to_little_endian(item)
        elif isinstance(element.value, bytes) and element.VR in _SWAPPED:
            width = _SWAPPED[element.VR]
            if len(element.value) % width == 0:
                words = np.frombuffer(element.value, f"u{width}")
                element.value = words.byteswap().tobytes()


def _pixels_to_little_endian(dataset: FileDataset, bounds: Bounds) -> None:
    if "PixelData" not in dataset:
        return
    layout = pixel_layout(dataset, bounds)
    if layout.bits_allocated in (8, 16, 32, 64):
        value = dataset.PixelData or b""
        width = layout.bits_allocated // 8 if dataset["PixelData"].VR == "OW" else 1
        width = max(2, width) if dataset["PixelData"].VR == "OW" else 1
        if width > 1 and len(value) % width == 0:
            value = np.frombuffer(value, f"u{width}").byteswap().tobytes()
        _set_pixel_data(dataset, value, layout, encapsulated=False)


def _recode_pixels(
    dataset: FileDataset, source_syntax: str, target_syntax: str, bounds: Bounds
) -> None:
    """Decode, and encode where the target is encapsulated."""
    if "PixelData" not in dataset:
        if target_syntax in _ENCODERS:
            raise PixelError(f"an object without pixels cannot be in {UID(target_syntax).name}")
        return
    encoded_bytes = len(dataset.PixelData or b"")
    values = decode_frames(dataset, bounds=bounds)
    layout = pixel_layout(dataset, bounds)
    for keyword in _ENCAPSULATION:
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.PhotometricInterpretation = _decoded_colour_space(layout, source_syntax)
    if layout.samples > 1:
        dataset.PlanarConfiguration = 0
    if source_syntax in LOSSY:
        _note_loss(dataset, layout, source_syntax, encoded_bytes)
    _set_pixel_data(dataset, _native_bytes(values, layout), layout, encapsulated=False)
    if target_syntax in _ENCODERS:
        dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE)  # as the pixels are by now
        _compress(dataset, values, target_syntax, bounds)


def _decoded_colour_space(layout: PixelLayout, source_syntax: str) -> str:
    """What the decoded samples are: codecs undo their own transforms and subsampling."""
    space = layout.photometric_interpretation
    if space in ("YBR_RCT", "YBR_ICT"):
        return "RGB"
    if space in ("YBR_FULL_422", "YBR_PARTIAL_420", "YBR_PARTIAL_422"):
        return "YBR_FULL"
    return space


def _note_loss(
    dataset: FileDataset, layout: PixelLayout, source_syntax: str, encoded_bytes: int
) -> None:
    """PS3.3 C.7.6.1.1.5: once lossy, always lossy."""
    if str(dataset.get("LossyImageCompression") or "") == "01":
        return
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio = f"{layout.native_bytes / max(1, encoded_bytes):.2f}"
    method = _LOSSY_METHODS.get(source_syntax)
    if method:
        dataset.LossyImageCompressionMethod = method


def _native_bytes(values: NDArray[np.generic], layout: PixelLayout) -> bytes:
    if layout.bits_allocated == 1:
        return bytes(pack_bits(values.reshape(-1), pad=False))
    return values.tobytes()


def _set_pixel_data(
    dataset: FileDataset, value: bytes, layout: PixelLayout, *, encapsulated: bool
) -> None:
    """As PS3.5 8.2 and A wants it: OB for 8 bits or less and for encapsulated data, else OW."""
    vr = "OB" if encapsulated or layout.bits_allocated <= 8 else "OW"
    value += b"\0" * (len(value) % 2)
    dataset[_PIXEL_DATA] = DataElement(_PIXEL_DATA, vr, value, is_undefined_length=encapsulated)


def _compress(
    dataset: FileDataset, values: NDArray[np.generic], target_syntax: str, bounds: Bounds
) -> None:
    try:
        dataset.compress(
            UID(target_syntax),
            encoding_plugin=_ENCODERS[target_syntax],
            generate_instance_uid=False,
        )
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise PixelError(
            f"this pixel data cannot be written in {UID(target_syntax).name} "
            f"({type(error).__name__})"
        ) from error
    if not np.array_equal(decode_frames(dataset, bounds=bounds), values):
        raise PixelError(f"{UID(target_syntax).name} did not give the same pixels back")
