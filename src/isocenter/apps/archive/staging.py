"""Incoming bytes → synced files beside the archive, digested and read. No database here.

Instances of a batch are staged by a few threads: most of their time goes into hashing and writing,
where Python lets others run.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from isocenter.apps.archive.copies import Copies
from isocenter.apps.archive.incoming import Incoming
from isocenter.apps.archive.indexing import Entry, Flag, clean, entry_of
from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.header import Header
from isocenter.core.dicom.part10 import FileMeta, read_file_meta
from isocenter.core.dicom.reading import header_of
from isocenter.core.dicom.references import names_others, references_of
from isocenter.core.dicom.scanner import scan_header
from isocenter.core.errors import DicomError

log = structlog.get_logger(__name__)

_THREADS = min(4, os.cpu_count() or 1)  # more only take processors from the receiver
_MAX_REFERENCES = 10_000


@dataclass(frozen=True)
class Staged:
    """A synced copy of an incoming instance.

    Attributes:
        path: the copy; the archive or the quarantine takes it over.
        digest: SHA-256 of the data set, without file meta information; of all when unreadable.
        entry: what the index will say; None when the instance cannot be indexed.
        problem: why not.
        references: {"series": [...], "instances": [...]} that the data set names.
    """

    incoming: Incoming
    path: Path
    size: int
    digest: str
    transfer_syntax_uid: str = ""
    entry: Entry | None = None
    problem: str = ""
    references: dict[str, list[str]] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()


class StagingArea:
    """A folder for the copies of one batch; what nobody took over goes with it."""

    def __init__(self, archive: Path, bounds: Bounds) -> None:
        self._folder = staging_folder(archive) / f"{os.getpid()}-{uuid.uuid4().hex}"
        self._bounds = bounds

    def __enter__(self) -> StagingArea:
        self._folder.mkdir(parents=True, mode=0o700)
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def stage(self, records: Sequence[Incoming]) -> list[Staged]:
        """Copy, sync and read instances, in their order.

        Raises:
            OSError: the disk does not take them, or the payload cannot be read.
        """
        paths = [self._folder / f"{number}.part" for number in range(len(records))]
        with Copies() as copies:
            if len(records) == 1:
                staged = [self._stage(records[0], paths[0], copies)]
            else:
                with ThreadPoolExecutor(_THREADS, thread_name_prefix="stage") as pool:
                    stage = partial(self._stage, copies=copies)
                    staged = list(pool.map(stage, records, paths))
            copies.sync()
        return staged

    def _stage(self, incoming: Incoming, path: Path, copies: Copies) -> Staged:
        copy = _copy(incoming, path, copies)
        if copy.meta is None:
            return Staged(incoming, path, copy.size, copy.digest, problem=copy.problem)
        try:
            if copy.size == len(copy.start):
                header = scan_header(
                    copy.start,
                    offset=copy.offset,
                    transfer_syntax_uid=copy.meta.transfer_syntax_uid,
                    bounds=self._bounds,
                )
            else:
                header = header_of(path, self._bounds)[1]
            return self._indexed(incoming, path, copy, copy.meta, header)
        except DicomError as error:
            problem = str(error)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # hostile bytes find ways that nobody thought of
            log.exception("instance_unreadable")
            problem = f"it cannot be read ({type(error).__name__})"
        return Staged(incoming, path, copy.size, copy.digest, problem=clean(problem))

    def _indexed(
        self, incoming: Incoming, path: Path, copy: _Copied, meta: FileMeta, header: Header
    ) -> Staged:
        entry = entry_of(
            header,
            command_sop_uid=incoming.sop_instance_uid or meta.sop_instance_uid,
            sop_class_uid=incoming.sop_class_uid or meta.sop_class_uid,
        )
        references: dict[str, list[str]] = {}
        flags: tuple[Flag, ...] = ()
        if entry and names_others(entry.sop_class_uid) and not incoming.is_derived:
            references, flags = self._references(path, entry)
        return Staged(
            incoming,
            path,
            copy.size,
            copy.digest,
            transfer_syntax_uid=clean(meta.transfer_syntax_uid)[:255],
            entry=entry,
            problem="" if entry else "neither the data set nor the sender names a SOPInstanceUID",
            references=references,
            flags=flags,
        )

    def _references(
        self, path: Path, entry: Entry
    ) -> tuple[dict[str, list[str]], tuple[Flag, ...]]:
        try:
            found = references_of(path, bounds=self._bounds)
        except DicomError:
            # It is kept and indexed; only what it refers to stays unknown.
            text = f"the references of {entry.modality} {entry.sop_uid} cannot be read"
            return {}, (Flag("references-unreadable", text),)
        return {
            "series": [clean(uid) for uid in found.series[:_MAX_REFERENCES]],
            "instances": [clean(uid) for uid in found.instances[:_MAX_REFERENCES]],
        }, ()


def staging_folder(archive: Path) -> Path:
    """Where copies wait; on the archive's file system, so that taking one over is a rename."""
    return archive / ".staging"


@dataclass(frozen=True)
class _Copied:
    start: bytes  # the first piece; all of a small file
    size: int
    digest: str
    meta: FileMeta | None
    offset: int  # of the data set
    problem: str


def _copy(incoming: Incoming, path: Path, copies: Copies) -> _Copied:
    """Write a copy of a payload, and digest its data set in the same pass."""
    start, size, hasher = b"", 0, hashlib.sha256()
    meta, offset, problem = None, 0, "the file is empty"
    target = copies.create(path, incoming.payload.length)
    for chunk in incoming.payload.chunks():
        if size == 0:
            start = chunk
            meta, offset, problem = _meta_of(chunk)
        target.write(chunk)
        hasher.update(chunk if size else memoryview(chunk)[offset:])
        size += len(chunk)
    target.finish()
    return _Copied(start, size, hasher.hexdigest(), meta, offset, problem)


def _meta_of(start: bytes) -> tuple[FileMeta | None, int, str]:
    try:
        meta, offset = read_file_meta(io.BytesIO(start))
    except DicomError as error:
        return None, 0, clean(str(error))
    return meta, offset, ""
