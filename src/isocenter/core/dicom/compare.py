"""Whether two files hold the same data set, however it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.part10 import EXPLICIT_BIG
from isocenter.core.dicom.pixels import NATIVE, decode_frames, encoded_frames, pixel_layout
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import read_dataset, reading_attributes
from isocenter.core.dicom.scanner import tag_text

_MAX_TAGS = 20
_PIXEL_DATA = 0x7FE00010
_TRAILING_PADDING = 0xFFFCFFFC
_OFFSET_TABLES = frozenset((0x7FE00001, 0x7FE00002, 0x7FE00003))
_PHOTOMETRIC_INTERPRETATION = 0x00280004
_PLANAR_CONFIGURATION = 0x00280006
# Bytes in words of these sizes, which turn round with the byte order (PS3.5 6.2).
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_TEXT_VRS = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UC", "UI")
)
_HEADER_BYTES = 8  # tag and length, implicit


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two data sets differ; never what their values are.

    Attributes:
        tags: paths such as ``(0040,A730)[2].(0040,A160)``, at most 20.
        more: how many further ones there are.
    """

    tags: tuple[str, ...]
    more: int = 0

    def __str__(self) -> str:
        listed = ", ".join(self.tags)
        return f"{listed} and {self.more} more" if self.more else listed


def same_data_set(
    path_a: Path, path_b: Path, *, bounds: Bounds = DEFAULT_BOUNDS
) -> Difference | None:
    """Compare two files element by element.

    Not part of the comparison: file meta information, group lengths, padding of values and of the
    data set, defined or undefined length of sequences and items, byte order, implicit or explicit
    VR. Where the transfer syntaxes of the pixel data differ, decoded pixels are compared (with
    the codecs in this process; call it isolated for files from outside), else the encoded frames.

    Returns:
        None where they are the same.

    Raises:
        DicomError: a file cannot be read, or pixel data that has to be decoded cannot be.
        OSError: a file cannot be opened.
    """
    a, b = read_dataset(path_a, bounds=bounds), read_dataset(path_b, bounds=bounds)
    with quiet_pydicom(), reading_attributes("one of the data sets"):
        paths = list(_differences(a, b, ""))
        if _PIXEL_DATA in a and _PIXEL_DATA in b:
            paths = _judge_pixels(a, b, paths, bounds)
    if not paths:
        return None
    return Difference(tuple(paths[:_MAX_TAGS]), max(0, len(paths) - _MAX_TAGS))


def _is_compared(tag: int) -> bool:
    return tag & 0xFFFF != 0 and tag != _TRAILING_PADDING and tag not in _OFFSET_TABLES


def _differences(a: Dataset, b: Dataset, path: str) -> Iterator[str]:
    """Paths of the elements that differ; pixel data of the top level is left out."""
    tags = {
        int(tag) for dataset in (a, b) for tag in list(dataset.keys()) if _is_compared(int(tag))
    }
    for tag in sorted(tags):
        if tag == _PIXEL_DATA and not path and tag in a and tag in b:
            continue
        where = path + tag_text(tag)
        if tag not in a or tag not in b:
            yield where
        elif not _same_raw(a, b, tag):
            yield from _element_differences(a[tag], b[tag], where, a, b)


def _same_raw(a: Dataset, b: Dataset, tag: int) -> bool:
    """Whether both were read from the very same bytes: the common case, nothing is decoded."""
    first, second = a.get_item(tag), b.get_item(tag)
    if not isinstance(first, RawDataElement) or not isinstance(second, RawDataElement):
        return False
    if first.value == second.value and "UN" in (first.VR, second.VR):
        return True  # bytes that nobody could turn round
    return (
        first.is_little_endian == second.is_little_endian
        and (first.is_implicit_VR == second.is_implicit_VR or first.VR != "SQ" != second.VR)
        and first.value is not None
        and first.value == second.value
    )


def _element_differences(
    first: DataElement, second: DataElement, where: str, a: Dataset, b: Dataset
) -> Iterator[str]:
    if first.VR == "SQ" and second.VR == "SQ":
        items_a, items_b = first.value or [], second.value or []
        if len(items_a) != len(items_b):
            yield where
        for index, (item_a, item_b) in enumerate(zip(items_a, items_b, strict=False)):
            yield from _differences(item_a, item_b, f"{where}[{index}].")
    elif not _same_value(first, second, a, b):
        yield where


def _same_value(first: DataElement, second: DataElement, a: Dataset, b: Dataset) -> bool:
    if first.VR == second.VR and first.VR not in _WORDS and first.value == second.value:
        return True
    value_a, value_b = _little_endian(first, a), _little_endian(second, b)
    if "UN" in (first.VR, second.VR) or first.VR not in _TEXT_VRS:
        return _unpadded(value_a) == _unpadded(value_b)
    return [part.strip(b" \0") for part in value_a.split(b"\\")] == [
        part.strip(b" \0") for part in value_b.split(b"\\")
    ]


def _little_endian(element: DataElement, dataset: Dataset) -> bytes:
    """The value as it is written in little endian, in the data set's character set."""
    value = element.value
    if isinstance(value, bytes):
        width = _WORDS.get(element.VR, 1)
        is_little = dataset.original_encoding[1]
        if width > 1 and is_little is False and len(value) % width == 0:
            return np.frombuffer(value, f"u{width}").byteswap().tobytes()
        return value
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = True
    write_data_element(buffer, element, dataset.get("SpecificCharacterSet") or "iso8859")
    return bytes(buffer.getvalue()[_HEADER_BYTES:])


def _unpadded(value: bytes) -> bytes:
    return value.rstrip(b" \0") if value[-1:] in (b" ", b"\0") else value


def _judge_pixels(a: FileDataset, b: FileDataset, paths: list[str], bounds: Bounds) -> list[str]:
    """Add the pixel data where it differs; forgive what differs only because of the syntax."""
    syntax_a, syntax_b = (str(dataset.file_meta.TransferSyntaxUID) for dataset in (a, b))
    if syntax_a == syntax_b and _same_raw(a, b, _PIXEL_DATA):
        return paths
    both_native = syntax_a in NATIVE and syntax_b in NATIVE
    decode_to_compare = syntax_a != syntax_b and not (
        both_native and EXPLICIT_BIG not in (syntax_a, syntax_b)
    )
    if not decode_to_compare:
        compare: Callable[[FileDataset, FileDataset, Bounds], bool] = (
            _same_native if both_native else _same_frames
        )
        return paths if compare(a, b, bounds) else [*paths, tag_text(_PIXEL_DATA)]
    forgiven = set()
    if _colour_space(a) == _colour_space(b):
        forgiven = {tag_text(_PHOTOMETRIC_INTERPRETATION), tag_text(_PLANAR_CONFIGURATION)}
    paths = [path for path in paths if path not in forgiven]
    if paths:  # different anyway: no need to decode
        return paths
    same = np.array_equal(decode_frames(a, bounds=bounds), decode_frames(b, bounds=bounds))
    return [] if same else [tag_text(_PIXEL_DATA)]


def _colour_space(dataset: Dataset) -> str:
    """JPEG 2000's own colour transforms are undone by its decoder (PS3.5 8.2.4)."""
    space = str(dataset.get("PhotometricInterpretation") or "")
    return "RGB" if space in ("YBR_RCT", "YBR_ICT") else space


def _same_native(a: FileDataset, b: FileDataset, bounds: Bounds) -> bool:
    """The bytes that belong to pixels, whatever pads them."""
    length = pixel_layout(a, bounds).native_bytes
    first, second = a.PixelData or b"", b.PixelData or b""
    if min(len(first), len(second)) < length:
        return bool(first == second)
    return bool(first[:length] == second[:length])


def _same_frames(a: FileDataset, b: FileDataset, bounds: Bounds) -> bool:
    """Encoded frames, however they are cut into fragments."""
    layout = pixel_layout(a, bounds)
    frames_a, frames_b = (list(encoded_frames(dataset, layout)) for dataset in (a, b))
    return len(frames_a) == len(frames_b) and all(
        first.rstrip(b"\0") == second.rstrip(b"\0")
        for first, second in zip(frames_a, frames_b, strict=True)
    )
