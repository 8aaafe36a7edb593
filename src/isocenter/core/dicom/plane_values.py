"""What says where an image lies, read without building a data set of the whole header."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.geometry import Attributes
from isocenter.core.dicom.part10 import EXPLICIT_BIG
from isocenter.core.dicom.reading import read_dataset, structure_of
from isocenter.core.dicom.scanner import tag_text
from isocenter.core.dicom.structure import PIXEL_TAGS
from isocenter.core.errors import DataSetError

#: Decimal strings as PS3.5 6.2 has them, with the padding that occurs.
_DECIMAL = rb" *[+-]?(?:\d{1,15}\.?\d{0,15}|\.\d{1,15}) *"
_DECIMALS = re.compile(rb"%b(?:\\%b)*" % (_DECIMAL, _DECIMAL))
_UID = re.compile(rb"[0-9.]{1,64}")


class _NotPlain(Exception):
    """Only pydicom knows what it means."""


def _decimals(value: bytes) -> list[float]:
    if not _DECIMALS.fullmatch(value.rstrip(b"\0")):
        raise _NotPlain
    return [float(part) for part in value.rstrip(b"\0 ").split(b"\\")]


def _uid(value: bytes) -> str:
    text = value.rstrip(b"\0 ")
    if not _UID.fullmatch(text):
        raise _NotPlain
    return text.decode("ascii")


def _short(value: bytes) -> int:
    if len(value) != 2:
        raise _NotPlain
    return int.from_bytes(value, "little")


#: Tag → keyword, VR, how its value is read.
_WANTED: dict[int, tuple[str, bytes, Callable[[bytes], Any]]] = {
    0x00080018: ("SOPInstanceUID", b"UI", _uid),
    0x00180050: ("SliceThickness", b"DS", _decimals),
    0x00200032: ("ImagePositionPatient", b"DS", _decimals),
    0x00200037: ("ImageOrientationPatient", b"DS", _decimals),
    0x00280010: ("Rows", b"US", _short),
    0x00280011: ("Columns", b"US", _short),
    0x00280030: ("PixelSpacing", b"DS", _decimals),
}
_TAGS = frozenset(_WANTED)


def plane_values(path: Path, *, bounds: Bounds = DEFAULT_BOUNDS) -> Attributes:
    """What `SliceStack.of_datasets` asks of an image, by keyword.

    The whole header is checked as by `read_dataset`, up to the pixels. Where a value is written
    in an unusual way, the answer is pydicom's data set.

    Raises:
        DicomError: no DICOM file, beyond the bounds, or broken.
        OSError: the file cannot be opened.
    """
    with path.open("rb", buffering=0) as file:
        meta, structure = structure_of(file, PIXEL_TAGS, bounds, _TAGS)
    if structure.truncated_at is not None:
        raise DataSetError(f"the data set ends inside {tag_text(structure.truncated_at)}")
    try:
        if meta.transfer_syntax_uid == EXPLICIT_BIG:
            raise _NotPlain
        return _plain(structure.values, structure.implicit)
    except _NotPlain:
        dataset: Attributes = read_dataset(path, bounds=bounds, stop_before_pixels=True)
        return dataset


def _plain(found: dict[int, tuple[bytes, bytes] | None], implicit: bool) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for tag, element in found.items():
        keyword, vr, read = _WANTED[tag]
        if element is None or element[0] != (b"" if implicit else vr):
            raise _NotPlain
        value = read(element[1])
        if keyword == "SliceThickness":
            if len(value) != 1:
                raise _NotPlain
            value = value[0]
        values[keyword] = value
    return values
