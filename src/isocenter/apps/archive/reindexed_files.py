"""Files of the archive read for the index, as the ingest reads what comes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog
from django.conf import settings

from isocenter.apps.archive.archive_files import ArchivedFile, data_set_digest
from isocenter.apps.archive.incoming import FilePayload, Incoming, Origin
from isocenter.apps.archive.indexing import Entry, clean, entry_of
from isocenter.apps.archive.models import Source
from isocenter.apps.archive.staging import Staged
from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.reading import header_of, read_dataset
from isocenter.core.dicom.references import names_others, references_of
from isocenter.core.errors import DicomError

log = structlog.get_logger(__name__)

_THREADS = 2
_MOST_REFERENCES = 10_000
_START = 1 << 16  # bytes in which our mark is looked for
_ORIGIN = Origin(kind=Source.Kind.IMPORT, address="reindex")
_NOWHERE = Entry("", "", "", "", {}, {}, {}, ())


@dataclass(frozen=True)
class ReadFile:
    """What a file says.

    Attributes:
        digest: of the data set; empty where the row that is there has it.
        has_our_mark: a run of an Isocenter made it (Contributing Equipment says so).
        problem: why it cannot be indexed.
    """

    path: str
    size: int
    received_at: datetime
    entry: Entry = _NOWHERE
    transfer_syntax_uid: str = ""
    digest: str = ""
    references: dict[str, list[str]] = field(default_factory=dict)
    has_our_mark: bool = False
    problem: str = ""

    def staged(self, archive: Path, *, is_derived: bool) -> Staged:
        """As the ingest's code knows it."""
        path = archive / self.path
        incoming = Incoming(FilePayload(path), _ORIGIN, self.received_at, is_derived=is_derived)
        return Staged(
            incoming,
            path,
            self.size,
            self.digest,
            transfer_syntax_uid=self.transfer_syntax_uid,
            entry=self.entry,
            references=self.references,
        )


def read_files(
    archive: Path, files: Sequence[ArchivedFile], known_sizes: Mapping[str, int]
) -> list[ReadFile]:
    """Read files, in their order.

    Args:
        known_sizes: by path, of files whose digest the index has.
    """
    limits = settings.ISOCENTER.limits
    bounds = Bounds(
        max_depth=limits.max_depth,
        max_elements=limits.max_elements,
        max_instance_bytes=limits.max_instance_mb << 20,
        max_pixels=limits.max_pixels,
    )
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="reindex") as pool:
        return list(pool.map(partial(_read, archive, bounds, known_sizes), files))


def moment(modified: float) -> datetime:
    """When a file came in, as its time of modification tells."""
    return datetime.fromtimestamp(modified, UTC)


def _read(
    archive: Path, bounds: Bounds, known_sizes: Mapping[str, int], file: ArchivedFile
) -> ReadFile:
    path = archive / file.path
    read = ReadFile(file.path, file.size, moment(file.modified))
    try:
        meta, header = header_of(path, bounds)
        entry = entry_of(
            header, command_sop_uid=meta.sop_instance_uid, sop_class_uid=meta.sop_class_uid
        )
        if entry is None:
            return replace(read, problem="it names no SOPInstanceUID")
        is_known = known_sizes.get(file.path) == file.size
        return replace(
            read,
            entry=entry,
            transfer_syntax_uid=clean(meta.transfer_syntax_uid)[:255],
            digest="" if is_known else data_set_digest(path),
            references=_references(path, entry, bounds),
            has_our_mark=not is_known and _has_our_mark(path, bounds),
        )
    except DicomError as error:
        return replace(read, problem=clean(str(error)))
    except OSError as error:
        return replace(read, problem=f"it cannot be read: {error.strerror}")
    except MemoryError:
        raise
    except Exception as error:  # hostile bytes find ways that nobody thought of
        log.exception("file_unreadable")
        return replace(read, problem=f"it cannot be read ({type(error).__name__})")


def _references(path: Path, entry: Entry, bounds: Bounds) -> dict[str, list[str]]:
    if not names_others(entry.sop_class_uid):
        return {}
    try:
        found = references_of(path, bounds=bounds)
    except DicomError:
        return {}
    return {
        "series": [clean(uid) for uid in found.series[:_MOST_REFERENCES]],
        "instances": [clean(uid) for uid in found.instances[:_MOST_REFERENCES]],
    }


def _has_our_mark(path: Path, bounds: Bounds) -> bool:
    with path.open("rb", buffering=0) as file:
        if b"Isocenter" not in file.read(_START):
            return False
    dataset = read_dataset(path, bounds=bounds)
    items = dataset.get("ContributingEquipmentSequence") or []
    return any(str(item.get("Manufacturer", "")) == "Isocenter" for item in items)
