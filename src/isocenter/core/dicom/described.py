"""Part 10 files from metadata in DICOM JSON and bulk data beside it (PS3.18 8.6.1.3, annex F).

For a child process: the JSON is a stranger's. A ``BulkDataURI`` is looked up among what came with
it; nothing is ever fetched. Pixel data goes from file to file without being held.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from isocenter.core.dicom.described_checks import check_described, named
from isocenter.core.dicom.described_pixels import (
    bits_of,
    check_float_pixels,
    check_native_length,
    number_of,
)
from isocenter.core.dicom.described_values import check_words
from isocenter.core.dicom.part10 import EXPLICIT_LITTLE, FileMeta, encode_file_meta
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.uids import is_valid_uid
from isocenter.core.dicom.writing import encode_dataset
from isocenter.core.errors import DataSetError

_PIXEL_DATA = "7FE00010"
_PIXEL_TAG = 0x7FE00010
_MAX_BULK_BYTES = 256 << 20  # of one instance, pixel data apart
_CHUNK = 1 << 20
_NAMING = {"sop_class_uid": "00080016", "sop_instance_uid": "00080018"}
_UTF_8 = {"vr": "CS", "Value": ["ISO_IR 192"]}
_ITEM = struct.pack("<HH", 0xFFFE, 0xE000)
_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
#: Media type of frames → transfer syntax where the part names none (PS3.18 table 8.7.3-4).
_SYNTAXES = {
    "image/jls": "1.2.840.10008.1.2.4.80",
    "image/jp2": "1.2.840.10008.1.2.4.90",
    "image/jphc": "1.2.840.10008.1.2.4.201",
    "image/dicom-rle": "1.2.840.10008.1.2.5",
}
_OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class Bulk:
    """One part of bulk data."""

    path: Path
    media_type: str
    transfer_syntax: str


def run(request: dict[str, Any], progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Write a file per described instance.

    Args:
        request: ``metadata`` and ``folder`` (paths), ``bulk``: a list of {"location", "path",
            "media_type", "transfer_syntax"}.

    Returns:
        ``instances``: {"path", "reason", "sop_class_uid", "sop_instance_uid"} each, in order; a
        reason where it could not be made, UIDs as far as they are known.

    Raises:
        DataSetError: the metadata is no array of data sets.
    """
    bulk: dict[str, list[Bulk]] = {}
    for part in request["bulk"]:
        each = Bulk(Path(part["path"]), part["media_type"], part["transfer_syntax"])
        bulk.setdefault(part["location"], []).append(each)
    described = _described(Path(request["metadata"]))
    made = []
    for number, instance in enumerate(described):
        path = Path(request["folder"]) / f"{number}.dcm"
        reason = _why_not(instance, bulk, path)
        uids = {name: _uid_in(instance, tag) for name, tag in _NAMING.items()}
        made.append({"path": str(path), "reason": reason, **uids})
        progress((number + 1) / len(described), "")
    return {"instances": made}


def _why_not(instance: Any, bulk: Mapping[str, Sequence[Bulk]], path: Path) -> str:
    """Write the file of one instance; why there is none, or nothing."""
    try:
        check_described(instance)
        write_described(instance, bulk, path)
        return ""
    except DataSetError as error:
        reason = str(error)
    except Exception as error:  # what nobody thought of is no fault of the other instances
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = f"cannot be read as DICOM JSON ({type(error).__name__})"
    path.unlink(missing_ok=True)
    return reason


def _described(path: Path) -> list[Any]:
    """Infinity as JSON does not know it becomes the text of F.2.3; 1e999 is too large a number."""
    try:
        found = json.loads(path.read_bytes(), parse_constant=str)
    except (ValueError, RecursionError):
        raise DataSetError("the metadata is no JSON that can be read") from None
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list) or not found:
        raise DataSetError("the metadata is no array of data sets")
    return found


def _uid_in(instance: Any, tag: str) -> str:
    """A UID of a described instance, whatever that is; empty where there is none."""
    element = instance.get(tag) if isinstance(instance, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    uid = values[0] if isinstance(values, list) and values else ""
    return uid if isinstance(uid, str) and is_valid_uid(uid) else ""


def write_described(
    instance: Mapping[str, Any], bulk: Mapping[str, Sequence[Bulk]], path: Path
) -> None:
    """Write the file of one instance.

    Raises:
        DataSetError: it cannot be made of what came.
    """
    described = {tag: value for tag, value in instance.items() if not tag.startswith("0002")}
    described["00080005"] = _UTF_8
    pixels = described.get(_PIXEL_DATA)
    frames: Sequence[Bulk] = ()
    if isinstance(pixels, dict) and "BulkDataURI" in pixels:
        del described[_PIXEL_DATA]
        frames = _found(bulk, pixels["BulkDataURI"])
    dataset = _dataset(described, bulk)
    sop_class, sop_instance = (
        str(dataset.get(name, "")) for name in ("SOPClassUID", "SOPInstanceUID")
    )
    if not sop_class or not sop_instance:
        raise DataSetError("a described instance has no SOP Class UID or SOP Instance UID")
    syntax = _syntax_of(frames)
    _check_pixels(dataset, frames, syntax)
    before, behind = dataset[:_PIXEL_TAG], dataset[_PIXEL_TAG + 1 :]
    if not frames and _PIXEL_TAG in dataset:
        before = dataset[: _PIXEL_TAG + 1]
    with path.open("wb") as file:
        file.write(encode_file_meta(FileMeta(sop_class, sop_instance, syntax)))
        file.write(encode_dataset(before, syntax))
        if frames:
            _write_pixels(file, frames, dataset, syntax)
        file.write(encode_dataset(behind, syntax))


def _check_pixels(dataset: Dataset, parts: Sequence[Bulk], syntax: str) -> None:
    check_float_pixels(dataset, has_frames=bool(parts))
    if syntax != EXPLICIT_LITTLE:
        bits_of(dataset)  # for what it needs
    elif len(parts) > 1:
        raise DataSetError(
            f"{len(parts)} parts of bulk data have one Content-Location; uncompressed Pixel Data "
            "comes in one"
        )
    elif parts:
        length = parts[0].path.stat().st_size
        check_native_length(dataset, length)
        check_words("PixelData", _native_vr(dataset), length)
    elif _PIXEL_TAG in dataset:
        check_native_length(dataset, len(dataset[_PIXEL_TAG].value or b""))


def _native_vr(dataset: Dataset) -> str:
    return "OW" if number_of(dataset, "BitsAllocated") > 8 else "OB"


def _dataset(described: Mapping[str, Any], bulk: Mapping[str, Sequence[Bulk]]) -> Dataset:
    left = _MAX_BULK_BYTES

    def value_of(tag: str, vr: str, uri: str) -> bytes:
        nonlocal left
        parts = _found(bulk, uri)
        length = sum(part.path.stat().st_size for part in parts)
        left -= length
        if len(parts) != 1 or left < 0:
            raise DataSetError("bulk data of an instance is in several parts, or too long")
        check_words(named(tag), vr, length)
        return parts[0].path.read_bytes()

    try:
        with quiet_pydicom():
            dataset = Dataset.from_json(dict(described), value_of)
            dataset.walk(_mend)  # what is only half there is found here, too
    except DataSetError:
        raise
    except Exception as error:  # whatever a stranger's JSON does to the library
        raise DataSetError(
            f"a described instance cannot be read ({type(error).__name__})"
        ) from None
    return dataset


def _mend(_dataset: Dataset, element: DataElement) -> None:
    """What pydicom makes wrong of good JSON.

    It writes UN with an odd length, which no value may have (PS3.5 7.1), and an empty one of
    several numbers in text as "None".
    """
    value = element.value
    if element.VR == "UN" and isinstance(value, bytes) and len(value) % 2:
        element.value = value + b"\0"
    elif element.VR in ("IS", "DS") and isinstance(value, MultiValue) and None in value:
        element.value = ["" if each is None else each for each in value]


def _found(bulk: Mapping[str, Sequence[Bulk]], uri: object) -> Sequence[Bulk]:
    parts = bulk.get(uri) if isinstance(uri, str) else None
    if not parts:
        raise DataSetError("a BulkDataURI names no part of this request; nothing is fetched")
    return parts


def _syntax_of(frames: Sequence[Bulk]) -> str:
    if not frames:
        return EXPLICIT_LITTLE
    kinds = {(frame.media_type, frame.transfer_syntax) for frame in frames}
    if len(kinds) > 1:
        raise DataSetError("frames of one instance are of different kinds")
    media_type, named = kinds.pop()
    if media_type == _OCTETS:
        if named not in ("", EXPLICIT_LITTLE):
            raise DataSetError(f"{_OCTETS} is uncompressed and in little endian")
        return EXPLICIT_LITTLE
    with frames[0].path.open("rb") as stream:
        start = stream.read(64 << 10)
    if start[4:8] == b"jP  ":
        raise DataSetError("a frame is a JP2 file; send its code stream")
    syntax = (
        named or _SYNTAXES.get(media_type) or (_jpeg(start) if media_type == "image/jpeg" else "")
    )
    if not syntax:
        raise DataSetError(
            "the transfer syntax of a frame is not known: name it in its Content-Type"
        )
    return syntax


def _jpeg(start: bytes) -> str:
    """The transfer syntax of a JPEG frame, from its markers (ISO 10918-1 B.1)."""
    at, process = 2, 0
    while at + 4 <= len(start) and start[at] == 0xFF:
        marker, length = start[at + 1], int.from_bytes(start[at + 2 : at + 4], "big")
        if marker in (0xC0, 0xC1, 0xC3):
            process = marker
        elif marker == 0xDA:
            count = start[at + 4] if at + 4 < len(start) else 0
            selection = start[at + 5 + 2 * count : at + 6 + 2 * count]
            lossless = "70" if selection == b"\x01" else "57"
            suffix = {0xC0: "50", 0xC1: "51", 0xC3: lossless}.get(process)
            return f"1.2.840.10008.1.2.4.{suffix}" if suffix else ""
        at += 2 + length
    return ""


def _write_pixels(file: BinaryIO, frames: Sequence[Bulk], dataset: Dataset, syntax: str) -> None:
    sizes = [frame.path.stat().st_size for frame in frames]
    tag = struct.pack("<HH", 0x7FE0, 0x0010)
    if syntax == EXPLICIT_LITTLE:
        vr = _native_vr(dataset).encode()
        length = sizes[0]
        if length >= 0xFFFFFFFE:
            raise DataSetError("uncompressed pixel data is longer than 4 GB")
        file.write(tag + struct.pack("<2sxxL", vr, length + length % 2))
        _copy(frames[0].path, file)
        file.write(bytes(length % 2))
        return
    count = number_of(dataset, "NumberOfFrames", 1)
    if count != len(frames):
        raise DataSetError(f"{len(frames)} compressed frames came, {count} are described")
    file.write(tag + struct.pack("<2sxxL", b"OB", 0xFFFFFFFF) + _ITEM + bytes(4))
    for frame, size in zip(frames, sizes, strict=True):
        if size >= 0xFFFFFFFE:
            raise DataSetError("a compressed frame is longer than 4 GB")
        file.write(_ITEM + struct.pack("<L", size + size % 2))
        _copy(frame.path, file)
        file.write(bytes(size % 2))
    file.write(_END)


def _copy(path: Path, file: BinaryIO) -> None:
    with path.open("rb") as stream:
        shutil.copyfileobj(stream, file, _CHUNK)
