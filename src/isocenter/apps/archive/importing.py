"""Files into the spool. Needs no database: the platform may run or not.

A file in the DICOM file format goes in as it is. One without preamble or file meta information
(PS3.10 7.1) gets it; its data set stays byte for byte.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from isocenter.apps.archive.import_sources import (
    MEDIA_DIRECTORY,
    Candidate,
    Found,
    ImportBounds,
    Note,
    Readable,
    ZipBoundsError,
    find,
)
from isocenter.apps.archive.indexing import entry_of
from isocenter.apps.archive.spool import Spool, SpoolWriter
from isocenter.core.dicom.part10 import FileMeta, encode_file_meta, read_file_meta
from isocenter.core.dicom.scanner import scan_header
from isocenter.core.errors import DicomError, NotDicomError, SpoolError

_START_BYTES = 2 << 20  # more than any file meta information is allowed to be
_CHUNK_BYTES = 1 << 20


@dataclass
class ImportReport:
    """What an import did."""

    imported: int = 0
    bytes: int = 0
    studies: dict[str, int] = field(default_factory=dict)  # Study Instance UID -> instances
    skipped: list[Note] = field(default_factory=list)  # no DICOM
    failed: list[Note] = field(default_factory=list)  # DICOM that could not be taken
    missing: list[str] = field(default_factory=list)  # named by a DICOMDIR, not there

    @property
    def is_clean(self) -> bool:
        return self.imported > 0 and not self.failed and not self.missing


def spool_import(
    paths: Iterable[Path],
    spool: Spool,
    *,
    kind: str = "import",
    address: str = "",
    bounds: ImportBounds | None = None,
    on_found: Callable[[int], None] = lambda count: None,
    on_file: Callable[[str], None] = lambda name: None,
) -> ImportReport:
    """Put all DICOM files at these paths into the spool; they are durable when it returns.

    Args:
        kind: one of ``archive.models.Source.Kind``.
        on_found: told how many files will be looked at, once per path.
        on_file: told the name of each file when it is done.

    Raises:
        ConfigurationError: a path that is not there, or an encrypted or damaged ZIP.
        ZipBoundsError: a ZIP that unpacks to more than allowed; what came before is in the spool.
        SpoolError: the spool takes no more.
    """
    report = ImportReport()
    with spool.writer() as writer:
        for path in paths:
            found: Found = find(path, bounds)
            on_found(len(found.candidates))
            report.skipped += found.skipped
            report.missing += found.missing
            _take_all(found.candidates, spool, writer, _Label(kind, address), report, on_file)
    return report


def spool_stream(candidate: Candidate, spool: Spool, *, kind: str) -> ImportReport:
    """Put one DICOM file that is a stream into the spool; it is durable when it returns.

    Raises:
        SpoolError: the spool takes no more.
    """
    report = ImportReport()
    with spool.writer() as writer:
        _take_all([candidate], spool, writer, _Label(kind, ""), report, lambda name: None)
    return report


def _take_all(
    candidates: Iterable[Candidate],
    spool: Spool,
    writer: SpoolWriter,
    label: _Label,
    report: ImportReport,
    on_file: Callable[[str], None],
) -> None:
    for candidate in candidates:
        if not spool.has_room():
            raise SpoolError(
                "the disk has less than its reserve left",
                hint="storage.reserve_mb; free some space",
            )
        _take(candidate, writer, label, report)
        on_file(candidate.name)


@dataclass(frozen=True)
class _Label:
    """What the records say of where they come from."""

    kind: str
    address: str


def _take(candidate: Candidate, writer: SpoolWriter, label: _Label, report: ImportReport) -> None:
    try:
        with candidate.open() as stream:
            size, study_uid = _copy(stream, writer, label)
    except NotDicomError:
        report.skipped.append(Note(candidate.name, "no DICOM file"))
    except _DirectoryError:
        report.skipped.append(Note(candidate.name, "a DICOMDIR: an index, no instance"))
    except ZipBoundsError:
        raise
    except DicomError as error:
        report.failed.append(Note(candidate.name, str(error)))
    except (OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        report.failed.append(Note(candidate.name, f"cannot be read: {error}"))
    else:
        report.imported += 1
        report.bytes += size
        if study_uid:
            report.studies[study_uid] = report.studies.get(study_uid, 0) + 1


class _DirectoryError(Exception):
    """A DICOMDIR, which is no instance."""


def _copy(stream: Readable, writer: SpoolWriter, label: _Label) -> tuple[int, str]:
    """Returns the file's size, and the study that the index will hold it under."""
    start = _read_start(stream)
    meta, offset = read_file_meta(io.BytesIO(start))
    if meta.sop_class_uid == MEDIA_DIRECTORY:
        raise _DirectoryError
    has_format = start[128:132] == b"DICM"
    if not (has_format and meta.sop_class_uid and meta.sop_instance_uid):
        meta = _completed(meta, start, offset)
        if not meta.sop_class_uid and not meta.sop_instance_uid and not has_format:
            raise NotDicomError("neither file format nor SOP UIDs")
        head, body = encode_file_meta(meta), memoryview(start)[offset:]
    else:
        head, body = b"", memoryview(start)
    record = writer.begin(_record_meta(meta, label), head)
    with record:
        record.write(body)
        while piece := stream.read(_CHUNK_BYTES):
            record.write(piece)
        size = record.length
        record.commit()
    return size, _study_uid(meta, start, offset)


def _study_uid(meta: FileMeta, start: bytes, offset: int) -> str:
    """Empty where the data set cannot be read; ingest will say why."""
    try:
        header = scan_header(start, offset=offset, transfer_syntax_uid=meta.transfer_syntax_uid)
    except DicomError:
        return ""
    entry = entry_of(header, command_sop_uid=meta.sop_instance_uid)
    return entry.study_uid if entry else ""


def _read_start(stream: Readable) -> bytes:
    start = bytearray()
    while len(start) < _START_BYTES:
        piece = stream.read(_START_BYTES - len(start))
        if not piece:
            break
        start += piece
    return bytes(start)


def _completed(meta: FileMeta, start: bytes, offset: int) -> FileMeta:
    """File meta information with the UIDs of the data set where it has none."""
    try:
        header = scan_header(start, offset=offset, transfer_syntax_uid=meta.transfer_syntax_uid)
    except DicomError:
        return meta
    return replace(
        meta,
        sop_class_uid=meta.sop_class_uid or header.sop_class_uid,
        sop_instance_uid=meta.sop_instance_uid or header.sop_uid,
    )


def _record_meta(meta: FileMeta, label: _Label) -> dict[str, str]:
    return {
        "kind": label.kind,
        "calling_ae_title": "",
        "called_ae_title": "",
        "address": label.address,
        "sop_class_uid": meta.sop_class_uid,
        "sop_instance_uid": meta.sop_instance_uid,
        "transfer_syntax_uid": meta.transfer_syntax_uid,
        "received_at": datetime.now(UTC).isoformat(),
        "association": "",
    }
