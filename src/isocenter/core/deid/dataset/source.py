"""A data set in little endian, wherever it came from: in memory, mapped, inflated, turned round."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.deid.dataset.elements import Buffer
from isocenter.core.deid.dataset.sliced import Sliced
from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.bytesource import BufferSource
from isocenter.core.dicom.part10 import (
    DEFLATED_LITTLE,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    FileMeta,
    read_file_meta,
)
from isocenter.core.dicom.reading import inflate
from isocenter.core.dicom.scanner import is_explicit_start
from isocenter.core.errors import BoundsError

_MOST_IN_MEMORY = 64 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A data set to be walked.

    Attributes:
        data: bytes that it is in.
        start: of its first element.
        end: of its last one.
        implicit: VR as found, whatever the transfer syntax says.
        transfer_syntax_uid: to be written.
        meta: the file meta information of the original.
    """

    data: Buffer
    start: int
    end: int
    implicit: bool
    transfer_syntax_uid: str
    meta: FileMeta


@contextmanager
def opened(source: Path | bytes, workspace: Path, bounds: Bounds) -> Iterator[Source]:
    """The data set of a DICOM file.

    Args:
        source: the file, or its bytes.
        workspace: folder for a copy of what is in big endian.
        bounds: what is read.

    Raises:
        DicomError: no DICOM, beyond the bounds, or not inflatable.
        OSError: the file cannot be read.
    """
    if isinstance(source, bytes):
        _check_size(len(source), bounds)
        with _data_set(source, workspace, bounds) as found:
            yield found
        return
    with source.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        _check_size(size, bounds)
        if size <= _MOST_IN_MEMORY:
            with _data_set(file.read(), workspace, bounds) as found:
                yield found
            return
        with (
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            _data_set(mapped, workspace, bounds) as found,
        ):
            yield found


def _check_size(size: int, bounds: Bounds) -> None:
    if size > bounds.max_instance_bytes:
        raise BoundsError(f"{size} bytes; at most {bounds.max_instance_bytes} are read")


@contextmanager
def _data_set(data: Buffer, workspace: Path, bounds: Bounds) -> Iterator[Source]:
    meta, start = read_file_meta(Sliced(data))
    syntax = meta.transfer_syntax_uid
    if syntax == EXPLICIT_BIG:
        with _little_endian(data, workspace, bounds) as turned:
            _, start = read_file_meta(Sliced(turned))
            yield _source(turned, start, EXPLICIT_LITTLE, meta)
        return
    if syntax == DEFLATED_LITTLE:
        inflated = inflate(BufferSource(memoryview(data), start), bounds)
        yield _source(inflated, 0, EXPLICIT_LITTLE, meta)
        return
    yield _source(data, start, syntax, meta)


def _source(data: Buffer, start: int, syntax: str, meta: FileMeta) -> Source:
    """The syntax that is written is the one found: some files have the other VR."""
    first = data[start : start + 8]
    implicit = syntax == IMPLICIT_LITTLE
    if len(first) == 8 and is_explicit_start(first) == implicit:
        implicit = not implicit
        if syntax in (IMPLICIT_LITTLE, EXPLICIT_LITTLE):
            syntax = IMPLICIT_LITTLE if implicit else EXPLICIT_LITTLE
    return Source(data, start, len(data), implicit, syntax, meta)


@contextmanager
def _little_endian(data: Buffer, workspace: Path, bounds: Bounds) -> Iterator[bytes]:
    """Retired Explicit VR Big Endian (PS3.5 A.3), which is rare, by way of pydicom."""
    from isocenter.core.dicom.transcode import transcode

    with tempfile.TemporaryDirectory(dir=workspace, prefix=".big-endian-") as folder:
        big, little = Path(folder) / "big.dcm", Path(folder) / "little.dcm"
        big.write_bytes(data[:])
        transcode(big, little, EXPLICIT_LITTLE, bounds=bounds)
        yield little.read_bytes()
