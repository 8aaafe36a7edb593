"""Reading files from outside: bounds first, then pydicom."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.bytesource import (
    BufferSource,
    ByteSource,
    FileSource,
    InflatingSource,
)
from isocenter.core.dicom.header import Header
from isocenter.core.dicom.part10 import DEFLATED_LITTLE, FileMeta, read_file_meta
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.scanner import encoding_of, scan_header, tag_text
from isocenter.core.dicom.structure import PIXEL_TAGS, Structure, check_structure
from isocenter.core.errors import BoundsError, DataSetError, DicomError, NotDicomError

if TYPE_CHECKING:  # headers are read without it, and it takes long to import
    from pydicom.dataset import FileDataset

_CHUNK = 1 << 20


def header_of(path: Path, bounds: Bounds = DEFAULT_BOUNDS) -> tuple[FileMeta, Header]:
    """File meta information and indexed attributes of a file.

    Raises:
        NotDicomError: no DICOM file.
        DicomError: its data set cannot be scanned, see
            :func:`~isocenter.core.dicom.scanner.scan_header`.
        OSError: the file cannot be opened.
    """
    with path.open("rb", buffering=0) as file:
        return header_at(file, bounds=bounds)


def header_at(
    file: BinaryIO, *, start: int = 0, length: int | None = None, bounds: Bounds = DEFAULT_BOUNDS
) -> tuple[FileMeta, Header]:
    """The same for a DICOM file that is a part of an open file, such as a spool segment.

    Args:
        file: its position is moved.
        start: where the preamble begins.
        length: of the part; None means to the end of the file.
        bounds: see :class:`Bounds`.
    """
    file.seek(start)
    meta, offset = read_file_meta(file)
    if length is not None and offset > length:
        raise NotDicomError("the file ends inside its file meta information")
    header = scan_header(
        file,
        offset=start + offset,
        length=None if length is None else length - offset,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        bounds=bounds,
    )
    return meta, header


def read_dataset(
    path: Path, *, bounds: Bounds = DEFAULT_BOUNDS, stop_before_pixels: bool = False
) -> FileDataset:
    """Read a file into a pydicom data set.

    The structure is checked before pydicom sees it, so that nothing recurses or allocates without
    bound. Where the file has no file meta information, the transfer syntax that was found is put
    into ``file_meta``.

    Args:
        path: a DICOM file, with or without preamble.
        bounds: what is allowed.
        stop_before_pixels: leave out group 7FE0; a file that is truncated there can be read then.

    Raises:
        NotDicomError: no DICOM file.
        BoundsError: too large, too deep or too many elements.
        DataSetError: broken or truncated.
        OSError: the file cannot be opened.
    """
    return read_until(path, PIXEL_TAGS if stop_before_pixels else frozenset(), bounds=bounds)


def read_until(
    path: Path, stop_at: frozenset[int], *, bounds: Bounds = DEFAULT_BOUNDS
) -> FileDataset:
    """The same, up to the first top-level element that has one of the tags of ``stop_at``."""
    with path.open("rb") as file:
        meta, structure = structure_of(file, stop_at, bounds)
        if structure.truncated_at is not None:
            raise DataSetError(f"the data set ends inside {tag_text(structure.truncated_at)}")
        return _parse(file, meta, stop_at)


def is_cut_off(path: Path, bounds: Bounds = DEFAULT_BOUNDS) -> bool:
    """Whether the end of the file cuts a value off, as in a copy that is not finished.

    Raises:
        DicomError: no DICOM file, beyond the bounds, or broken in another way.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        return structure_of(file, frozenset(), bounds)[1].truncated_at is not None


def structure_of(
    file: BinaryIO,
    stop_at: frozenset[int],
    bounds: Bounds,
    wanted: frozenset[int] = frozenset(),
) -> tuple[FileMeta, Structure]:
    """Checks an open file; see :func:`~isocenter.core.dicom.structure.check_structure`.

    Raises:
        DicomError: no DICOM file, beyond the bounds, or broken.
    """
    size = os.fstat(file.fileno()).st_size
    if size > bounds.max_instance_bytes:
        raise BoundsError(f"{size} bytes; at most {bounds.max_instance_bytes} are read")
    meta, offset = read_file_meta(file)
    length = size - offset
    source: ByteSource = FileSource(file.fileno(), offset, length)
    if meta.transfer_syntax_uid == DEFLATED_LITTLE:
        inflated = inflate(source, bounds)
        source, length = BufferSource(inflated), len(inflated)
    encoding = encoding_of(meta.transfer_syntax_uid)
    return meta, check_structure(source, encoding, bounds, length, stop_at=stop_at, wanted=wanted)


def inflate(source: ByteSource, bounds: Bounds) -> bytes:
    """All of a deflated data set (PS3.5 A.5).

    Raises:
        BoundsError: it inflates to more than ``bounds.max_instance_bytes``.
        DataSetError: it is not deflated.
    """
    inflating = InflatingSource(source, bounds.max_instance_bytes)
    data = io.BytesIO()
    while chunk := inflating.read(data.tell(), _CHUNK):
        data.write(chunk)
    return data.getvalue()


def _parse(file: BinaryIO, meta: FileMeta, stop_at: frozenset[int]) -> FileDataset:
    from pydicom.dataset import FileMetaDataset
    from pydicom.filereader import read_partial
    from pydicom.uid import UID

    file.seek(0)
    try:
        with quiet_pydicom():
            dataset = read_partial(
                file, stop_when=lambda tag, _vr, _length: tag in stop_at, force=True
            )
    except MemoryError:
        raise
    except Exception as error:  # pydicom raises some that derive from nothing more special
        raise DataSetError(f"the data set cannot be read ({type(error).__name__})") from error
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if not dataset.file_meta.get("TransferSyntaxUID"):
        dataset.file_meta.TransferSyntaxUID = UID(meta.transfer_syntax_uid)
    _note_real_encoding(dataset)
    return dataset


def _note_real_encoding(dataset: FileDataset) -> None:
    """Where the VRs are implicit against the transfer syntax, say so: writing depends on it.

    pydicom notices while it reads, but keeps what the file meta information says.
    """
    from pydicom.dataelem import RawDataElement

    raw = map(dataset.get_item, dataset.keys())
    first = next((element for element in raw if isinstance(element, RawDataElement)), None)
    is_implicit, is_little = dataset.original_encoding
    if first is not None and first.is_implicit_VR != is_implicit and is_little is not None:
        dataset.set_original_encoding(
            first.is_implicit_VR, is_little, dataset.original_character_set
        )


@contextmanager
def reading_attributes(what: str) -> Iterator[None]:
    """Turn what pydicom raises when it decodes a broken value into a :class:`DataSetError`.

    pydicom decodes values when they are first asked for. ``what`` names the data set in the
    message.
    """
    try:
        yield
    except DicomError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # pydicom raises some that derive from nothing more special
        # The message may hold the value, and the value may be a name.
        raise DataSetError(
            f"{what} has an attribute that makes no sense ({type(error).__name__})"
        ) from error
