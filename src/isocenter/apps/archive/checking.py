"""The index against the files: ``isocenter fsck``. Looks, and changes nothing.

Two passes: every row has its file, of the right size and digest; every file has its row. What
looks wrong is looked at again under the study's lock before it is told, since the platform may be
taking in or deleting just that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from isocenter.apps.archive import rows
from isocenter.apps.archive.archive_files import (
    ArchivedFile,
    data_set_digest,
    files_of,
    study_folders,
)
from isocenter.apps.archive.models import Instance, Tombstone
from isocenter.core.dicom.reading import header_of
from isocenter.core.errors import DicomError

_AT_ONCE = 500
_THREADS = 2
MOST_NAMED = 1_000  # problems told by name; all are counted
_MARK = re.compile(r"-[0-9a-f]{16}$")  # of an instance that replaced another

#: Told a fraction 0..1 and what is looked at.
Progress = Callable[[float, str], None]


class Problem(StrEnum):
    """What can be wrong with an instance."""

    MISSING = "missing"  # a row without its file
    EXTRA = "extra"  # a file without its row
    SIZE = "size"
    DIGEST = "digest"
    UNREADABLE = "unreadable"


@dataclass
class Checked:
    """What was looked at, and what is wrong.

    Attributes:
        counts: of every kind of problem.
        problems: ``{"kind", "path", "study_uid", "sop_uid", "reason"}`` of the first thousand.
    """

    rows: int = 0
    files: int = 0
    bytes: int = 0
    digests: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {str(kind): 0 for kind in Problem})
    problems: list[dict[str, str]] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not any(self.counts.values())

    def add(self, kind: Problem, row: _Row, reason: str) -> None:
        self.counts[str(kind)] += 1
        if len(self.problems) < MOST_NAMED:
            self.problems.append(
                {
                    "kind": str(kind),
                    "path": row.path,
                    "study_uid": row.study_uid,
                    "sop_uid": row.sop_uid,
                    "reason": reason,
                }
            )


@dataclass(frozen=True)
class _Row:
    number: int
    path: str
    study_uid: str
    sop_uid: str
    size: int = 0
    digest: str = ""


def check(*, quick: bool = False, on_progress: Progress = lambda fraction, what: None) -> Checked:
    """Compare index and files.

    Args:
        quick: sizes only; files are not read.
    """
    archive: Path = settings.LAYOUT.archive
    found = Checked()
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="fsck") as pool:
        newest = Instance.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        for some in _rows(newest):
            on_progress(0.9 * some[0].number / newest, "rows")
            judged = list(pool.map(lambda row: _judge(archive, row, quick=quick), some))
            for row, (kind, reason) in zip(some, judged, strict=True):
                found.rows += 1
                found.bytes += row.size
                found.digests += not quick
                if kind is not None and _is_still_so(archive, row, quick=quick):
                    found.add(kind, row, reason)
    folders = study_folders(archive)
    for number, folder in enumerate(folders):
        on_progress(0.9 + 0.1 * number / len(folders), "files")
        files = files_of(archive, folder)
        while some_files := list(islice(files, _AT_ONCE)):
            found.files += len(some_files)
            for file in _without_row(archive, some_files):
                _look_at_extra(archive, file, found)
    return found


def _rows(newest: int) -> Iterator[list[_Row]]:
    last = 0
    while True:
        some = [
            _Row(*values)
            for values in Instance.objects.filter(pk__gt=last, pk__lte=newest)
            .order_by("pk")
            .values_list("pk", "path", "study__study_uid", "sop_uid", "size", "digest")[:_AT_ONCE]
        ]
        if not some:
            return
        yield some
        last = some[-1].number


def _judge(archive: Path, row: _Row, *, quick: bool) -> tuple[Problem | None, str]:
    path = archive / row.path
    try:
        size = path.stat().st_size
        if size != row.size:
            return Problem.SIZE, f"{size} bytes, the index says {row.size}"
        if not quick and data_set_digest(path) != row.digest:
            return Problem.DIGEST, "its content is not what came in"
    except FileNotFoundError:
        return Problem.MISSING, "no file is there"
    except DicomError as error:
        return Problem.UNREADABLE, str(error)
    except OSError as error:
        return Problem.UNREADABLE, f"it cannot be read: {error.strerror}"
    return None, ""


def _is_still_so(archive: Path, row: _Row, *, quick: bool) -> bool:
    """Whether the row says the same, and no deletion or replacement was at work."""
    with transaction.atomic():
        rows.lock_studies([row.study_uid])
        now: Any = Instance.objects.filter(pk=row.number).values_list("path", "size", "digest")
        if list(now) != [(row.path, row.size, row.digest)]:
            return False
        return _judge(archive, row, quick=quick)[0] is not None


def _without_row(archive: Path, files: Sequence[ArchivedFile]) -> list[ArchivedFile]:
    """Files that no row names, as their names tell."""
    uids = {_MARK.sub("", Path(file.path).stem) for file in files}
    named = set(Instance.objects.filter(sop_uid__in=uids).values_list("path", flat=True))
    return [file for file in files if file.path not in named]


def _look_at_extra(archive: Path, file: ArchivedFile, found: Checked) -> None:
    """A file without a row of its name: what does it say itself?"""
    try:
        meta, header = header_of(archive / file.path)
    except FileNotFoundError:
        return  # it went meanwhile
    except (DicomError, OSError):
        row = _Row(0, file.path, "", "")
    else:
        sop_uid = header.sop_uid or meta.sop_instance_uid
        row = _Row(0, file.path, header.study_uid, sop_uid)
    with transaction.atomic():
        rows.lock_studies([row.study_uid] if row.study_uid else [])
        if _is_named(row) or not (archive / file.path).exists():
            return
    found.add(Problem.EXTRA, row, "no row of the index names it")


def _is_named(row: _Row) -> bool:
    """Whether a row has the file, or a deletion has yet to remove it."""
    folder = row.path.split("/", 1)[0]
    if Instance.objects.filter(sop_uid=row.sop_uid, path=row.path).exists():
        return True
    # A name that is no UID: its row has a UID that was made for it.
    inside = Instance.objects.filter(study__study_uid__in={row.study_uid, folder}, path=row.path)
    if inside.exists():
        return True
    return Tombstone.objects.filter(instances__contains=[row.path]).exists()
