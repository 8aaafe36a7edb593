"""Writing DICOM files (PS3.10): the same data set gives the same bytes."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO, DicomFileLike
from pydicom.filewriter import write_dataset

from isocenter.core.dicom.part10 import (
    DEFLATED_LITTLE,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    FileMeta,
    encode_file_meta,
)
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.errors import DataSetError

_TAG = re.compile(r"\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)")
_FIRST = 0x00030000
_WRITE_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)


def write_part10(dataset: Dataset, path: Path) -> None:
    """Write a data set as a DICOM file, whole or not at all.

    The transfer syntax is ``dataset.file_meta.TransferSyntaxUID`` (explicit little endian where
    there is none); pixel data must already be in it. The file meta information is ours. The file
    is not synced to the disk; who needs that does it.

    Raises:
        DataSetError: the data set has no SOP Class or Instance UID, or a value cannot be written.
        OSError: the file cannot be written.
    """
    meta = _file_meta(dataset)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(encode_file_meta(meta))
            if meta.transfer_syntax_uid == DEFLATED_LITTLE:
                file.write(_deflate(dataset))
            else:
                _write_elements(DicomFileLike(file), dataset, meta.transfer_syntax_uid)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _file_meta(dataset: Dataset) -> FileMeta:
    """What the data set says of itself; where it says nothing, what its file meta said."""
    given = getattr(dataset, "file_meta", Dataset())
    with quiet_pydicom():
        meta = FileMeta(
            sop_class_uid=str(
                dataset.get("SOPClassUID") or given.get("MediaStorageSOPClassUID") or ""
            ),
            sop_instance_uid=str(
                dataset.get("SOPInstanceUID") or given.get("MediaStorageSOPInstanceUID") or ""
            ),
            transfer_syntax_uid=str(given.get("TransferSyntaxUID") or EXPLICIT_LITTLE),
        )
    if not meta.sop_class_uid or not meta.sop_instance_uid:
        raise DataSetError("a data set without SOP Class UID or SOP Instance UID is not written")
    return meta


def encode_dataset(dataset: Dataset, transfer_syntax_uid: str) -> bytes:
    """The bytes of a data set without file meta information, not deflated.

    Raises:
        DataSetError: a value cannot be written.
    """
    buffer = DicomBytesIO()
    _write_elements(buffer, dataset, transfer_syntax_uid)
    return bytes(buffer.getvalue())


def _write_elements(file: DicomFileLike, dataset: Dataset, transfer_syntax_uid: str) -> None:
    file.is_implicit_VR = transfer_syntax_uid == IMPLICIT_LITTLE
    file.is_little_endian = transfer_syntax_uid != EXPLICIT_BIG
    lowest = min(dataset.keys(), default=_FIRST)
    elements = dataset if lowest >= _FIRST else dataset[_FIRST:]  # no group 0002 or command group
    try:
        with quiet_pydicom():
            if not file.is_implicit_VR:
                _find_missing_vrs(elements)
            write_dataset(file, elements)
    except (*_WRITE_ERRORS, OSError) as error:
        raise _what_happened(error) from None


def _what_happened(error: Exception) -> Exception:
    """The system's own error, or one that shows no value.

    pydicom packs every error into a new one, with the traceback and the value in its message; a
    value that cannot be written is an OSError there, as is a full disk.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause
        cause = cause.__cause__ or cause.__context__
    tag = _TAG.search(str(error))
    where = f" at {tag.group()}" if tag else ""
    return DataSetError(f"the data set cannot be written{where} ({type(error).__name__})")


def _find_missing_vrs(dataset: Dataset) -> None:
    """Look up the VR of elements that were implicit in an explicit data set."""
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        if isinstance(element, RawDataElement) and element.VR is None:
            dataset[tag] = dataset[tag]


def _deflate(dataset: Dataset) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = compressor.compress(encode_dataset(dataset, EXPLICIT_LITTLE)) + compressor.flush()
    return data + b"\0" * (len(data) % 2)
