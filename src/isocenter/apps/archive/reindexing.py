"""The index rebuilt from the files alone: ``isocenter reindex``.

Study by study, under its lock, so that the platform may run meanwhile. Rows that are there keep
what files do not tell (when and from whom an instance came, revisions); what files tell is written
anew. New rows belong to no run: their study counts as complete and nothing is done with it by
itself, as rebuilding an index must not send an archive out again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from isocenter.apps.archive import deletion, rows
from isocenter.apps.archive.archive_files import ArchivedFile, files_of, study_folders
from isocenter.apps.archive.models import Instance, Study
from isocenter.apps.archive.reindexed_files import ReadFile, read_files
from isocenter.apps.archive.reindexed_rows import write_rows
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.core.errors import Refused
from isocenter.runtime.state_files import read_state, write_state

_LOCK = 0x49534F32  # an advisory lock: one at a time
_FILES_AT_ONCE = 500  # read, then written in one transaction
_ROWS_AT_ONCE = 2_000
_STATE_EVERY_S = 2.0
MOST_NAMED = 1_000  # problems told by name; all are counted

#: Told a fraction 0..1 and the folder that is looked at.
Progress = Callable[[float, str], None]


@dataclass
class Reindexed:
    """What was found and done; numbers of files unless said otherwise.

    Attributes:
        added: rows made.
        refreshed: rows that were there.
        unreadable: files that no index can hold; they stay where they are.
        doubled: files whose instance is indexed at another place.
        missing: rows whose file is gone; `forgotten` of them were deleted, where that was asked.
        problems: ``{"kind", "path", "reason"}`` of the first thousand.
        resumed: it went on where one before was stopped.
    """

    studies: int = 0
    files: int = 0
    added: int = 0
    refreshed: int = 0
    unreadable: int = 0
    doubled: int = 0
    missing: int = 0
    forgotten: int = 0
    resumed: bool = False
    problems: list[dict[str, str]] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.unreadable or self.doubled or self.missing > self.forgotten)

    def name(self, kind: str, path: str, reason: str) -> None:
        if len(self.problems) < MOST_NAMED:
            self.problems.append({"kind": kind, "path": path, "reason": reason})


def reindex(
    *,
    on_progress: Progress = lambda fraction, folder: None,
    restart: bool = False,
    forget_missing: bool = False,
    actor: str = "",
) -> Reindexed:
    """Rebuild the index from the files.

    Stopped at any moment, it goes on where it was when it is started again.

    Args:
        restart: from the beginning, also where one before was stopped.
        forget_missing: delete rows whose file is gone (of studies that are not protected).

    Raises:
        Refused: another one is at it.
    """
    archive: Path = settings.LAYOUT.archive
    with _alone():
        state = {} if restart else read_state(_state_path())
        done = _resumed(state)
        folders = study_folders(archive)
        after = str(state.get("after", ""))
        saved_at = time.monotonic()
        for number, folder in enumerate(folders):
            if folder <= after:
                continue
            on_progress(number / len(folders), folder)
            _folder(archive, folder, done)
            if time.monotonic() - saved_at > _STATE_EVERY_S:
                _save(folder, done)
                saved_at = time.monotonic()
        if folders:
            _save(folders[-1], done)
        on_progress(1.0, "rows without files")
        _look_for_missing(archive, done, forget=forget_missing, actor=actor)
        record(Kind.REINDEXED, actor=actor, **_counts(done))
        _state_path().unlink(missing_ok=True)
    return done


def _state_path() -> Path:
    run: Path = settings.LAYOUT.run
    return run / "reindex.json"


def _save(after: str, done: Reindexed) -> None:
    write_state(_state_path(), {"after": after, "done": asdict(done)})


def _resumed(state: dict[str, Any]) -> Reindexed:
    known = {each.name for each in fields(Reindexed)}
    done = Reindexed(**{key: value for key, value in state.get("done", {}).items() if key in known})
    done.resumed = bool(state)
    return done


def _counts(done: Reindexed) -> dict[str, Any]:
    return {key: value for key, value in asdict(done).items() if isinstance(value, int)}


@contextmanager
def _alone() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            raise Refused("the index is being rebuilt already", hint="wait until that is over")
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _folder(archive: Path, folder: str, done: Reindexed) -> None:
    """One folder, some hundred files at a time, the oldest of each first."""
    found = files_of(archive, folder)
    seen: set[str] = set()  # series that this run has told what they are
    before = done.files
    while some := list(islice(found, _FILES_AT_ONCE)):
        done.files += len(some)
        read = read_files(archive, sorted(some, key=_age), _known_sizes(some))
        for file in read:
            if file.problem:
                done.unreadable += 1
                done.name("unreadable", file.path, file.problem)
        _write(archive, [file for file in read if not file.problem], seen, done)
    done.studies += done.files > before  # an empty folder is none


def _age(file: ArchivedFile) -> tuple[float, str]:
    return file.modified, file.path


def _known_sizes(files: Sequence[ArchivedFile]) -> dict[str, int]:
    """Sizes of those that have rows already: their digests need not be made again."""
    names = {Path(file.path).stem.partition("-")[0] for file in files}
    found = Instance.objects.filter(sop_uid__in=names)
    return dict(found.values_list("path", "size"))


def _write(archive: Path, files: Sequence[ReadFile], seen: set[str], done: Reindexed) -> None:
    if not files:
        return
    with transaction.atomic():
        rows.lock_studies({file.entry.study_uid for file in files})
        written = write_rows(archive, files, seen)
    done.added += written.added
    done.refreshed += written.refreshed
    for file in written.doubled:
        done.doubled += 1
        done.name("doubled", file.path, "its instance is indexed at another place")


def _look_for_missing(archive: Path, done: Reindexed, *, forget: bool, actor: str) -> None:
    """Rows whose file is gone."""
    last = 0
    while True:
        some = list(
            Instance.objects.filter(pk__gt=last)
            .order_by("pk")
            .values_list("pk", "path", "study__study_uid")[:_ROWS_AT_ONCE]
        )
        if not some:
            return
        last = some[-1][0]
        gone: dict[str, list[tuple[int, str]]] = {}
        for number, path, study_uid in some:
            if not (archive / path).exists():
                gone.setdefault(study_uid, []).append((number, path))
        for study_uid, instances in gone.items():
            _missing(archive, study_uid, instances, done, forget=forget, actor=actor)


def _missing(
    archive: Path,
    study_uid: str,
    instances: Sequence[tuple[int, str]],
    done: Reindexed,
    *,
    forget: bool,
    actor: str,
) -> None:
    """Look again under the lock: a deletion or a new copy may be at work."""
    with transaction.atomic():
        rows.lock_studies([study_uid])
        study = Study.objects.select_for_update().filter(study_uid=study_uid).first()
        found = Instance.objects.filter(pk__in=[number for number, _ in instances])
        gone = [row for row in found if not (archive / row.path).exists()]
        for row in gone:
            done.missing += 1
            done.name("missing", row.path, "the index has it and no file is there")
        if not forget or study is None or study.protected or not gone:
            return
        done.forgotten += len(gone)
        lost = Instance.objects.filter(pk__in=[row.pk for row in gone])
        if Instance.objects.filter(study=study).count() == len(gone):
            tombstone, _ = deletion.bury(study, actor=actor)
        else:
            tombstone, _ = deletion.bury_instances(study, lost)
        reason = "their files are gone"
        record(
            Kind.STUDY_DELETED,
            study_uid=study_uid,
            actor=actor,
            instances=len(gone),
            reason=reason,
        )
    deletion.remove_files(tombstone)


__all__ = ["MOST_NAMED", "Reindexed", "reindex"]
