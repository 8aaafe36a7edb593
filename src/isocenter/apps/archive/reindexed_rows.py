"""Rows written from files that were read; in the caller's transaction, under the studies' locks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from django.utils import timezone

from isocenter.apps.archive import rows
from isocenter.apps.archive.archive_files import data_set_digest
from isocenter.apps.archive.indexing import Entry
from isocenter.apps.archive.models import Instance, Revision, Series, Study, Tombstone
from isocenter.apps.archive.reindexed_files import ReadFile, moment
from isocenter.apps.archive.revisions import ensure_revision
from isocenter.apps.archive.search import search_rows
from isocenter.apps.archive.staging import Staged

_REBUILT = ["the index was rebuilt from the files"]
_REFRESHED = (
    "path",
    "size",
    "digest",
    "sop_class_uid",
    "transfer_syntax_uid",
    "modality",
    "references",
    "instance_number",
    "rows",
    "columns",
    "number_of_frames",
    "bits_allocated",
)


@dataclass
class Written:
    added: int = 0
    refreshed: int = 0
    doubled: list[ReadFile] = field(default_factory=list)


@dataclass
class _Sorted:
    """What is to be done with each file."""

    new: list[ReadFile] = field(default_factory=list)
    there: list[tuple[ReadFile, Instance]] = field(default_factory=list)


def write_rows(archive: Path, files: Sequence[ReadFile], seen: set[str]) -> Written:
    """Bring rows of these files up to date.

    Args:
        files: readable ones, the oldest first.
        seen: series whose attributes were written already; more come in.
    """
    written = Written()
    work = _sort(archive, files, written)
    if not (work.new or work.there):
        return written
    own = _own(work.new)
    staged = [
        (file.staged(archive, is_derived=file.entry.sop_uid in own), file.entry)
        for file in work.new
    ]
    before = {row.study for _, row in work.there}
    staged_there = [
        (file.staged(archive, is_derived=row.is_derived), file.entry) for file, row in work.there
    ]
    study_of, fresh = _studies([*staged, *staged_there], seen)
    touched = _series([*staged, *staged_there], study_of, seen)
    _instances(staged, work, touched)
    written.added, written.refreshed = len(work.new), len(work.there)
    # An instance that belongs to another study now leaves the first one's counts behind.
    former = {study.pk: study for study in before if study.study_uid not in study_of}
    studies = [*study_of.values(), *former.values()]
    rows.refresh_counts(studies, Series.objects.filter(study__in=studies))
    for study in studies:
        _settle(study, is_new=study.pk in fresh)
    search_rows.refresh(studies, None)
    return written


def _sort(archive: Path, files: Sequence[ReadFile], written: Written) -> _Sorted:
    uids = {file.entry.sop_uid for file in files}
    found = Instance.objects.select_related("series", "study").filter(sop_uid__in=uids)
    known = {row.sop_uid: row for row in found}
    going = _going({file.entry.study_uid for file in files})
    work, taken = _Sorted(), set[str]()
    for file in reversed(files):  # of two that say they are the same, the newer counts
        uid = file.entry.sop_uid
        row = known.get(uid)
        if file.path in going or not _is_as_read(archive, file):
            continue
        is_elsewhere = row is not None and row.path != file.path and (archive / row.path).exists()
        if uid in taken or is_elsewhere:
            written.doubled.append(file)
            continue
        taken.add(uid)
        if row is None:
            # Its row went between reading and locking: then its digest was not made.
            digest = file.digest or data_set_digest(archive / file.path)
            work.new.append(replace(file, digest=digest))
        else:
            work.there.append((file, row))
    work.new.reverse()
    work.there.reverse()
    return work


def _is_as_read(archive: Path, file: ReadFile) -> bool:
    """Whether the file is the one that was read: before the lock was held, the ingest may have
    moved another one into its place, and has written that one's row."""
    try:
        status = (archive / file.path).stat()
    except FileNotFoundError:
        return False
    return (status.st_size, moment(status.st_mtime)) == (file.size, file.received_at)


def _going(study_uids: set[str]) -> set[str]:
    """Files that a deletion has yet to remove."""
    found = Tombstone.objects.filter(study_uid__in=study_uids).values_list("instances", flat=True)
    return {path for paths in found for path in paths}


def _own(files: Sequence[ReadFile]) -> set[str]:
    """Those that runs of ours made: as the runs say, or our mark where there are none to ask."""
    from isocenter.apps.routing.models import Artifact
    from isocenter.apps.routing.queries import is_artifact

    if Artifact.objects.exists():
        return is_artifact([file.entry.sop_uid for file in files])
    return {file.entry.sop_uid for file in files if file.has_our_mark}


def _studies(
    entries: Sequence[tuple[Staged, Entry]], seen: set[str]
) -> tuple[dict[str, Study], set[int]]:
    """Rows of studies, told by the first received file of this run; numbers of new ones."""
    uids = {entry.study_uid for _, entry in entries}
    before = set(Study.objects.filter(study_uid__in=uids).values_list("pk", flat=True))
    source_of = rows.sources([staged.incoming.origin for staged, _ in entries])
    study_of = rows.studies(entries, source_of)
    for staged, entry in entries:
        study = study_of[entry.study_uid]
        if not staged.incoming.is_derived and entry.study_uid not in seen:
            seen.add(entry.study_uid)
            for name, value in entry.study.items():
                setattr(study, name, value)
        elif not staged.incoming.is_derived:
            rows.fill_in(study, entry)
        if study.pk not in before:
            study.first_received_at = min(study.first_received_at, staged.incoming.received_at)
            study.last_received_at = max(study.last_received_at, staged.incoming.received_at)
    return study_of, {study.pk for study in study_of.values()} - before


def _series(
    entries: Sequence[tuple[Staged, Entry]], study_of: dict[str, Study], seen: set[str]
) -> dict[tuple[str, str], Series]:
    """Rows of series, told by the first file of this run."""
    series_of = rows.series(entries, study_of)
    for _, entry in entries:
        key = f"{entry.study_uid}/{entry.series_uid}"
        if key not in seen:
            seen.add(key)
            row = series_of[entry.study_uid, entry.series_uid]
            for name, value in entry.series.items():
                setattr(row, name, value)
            row.save()
    return series_of


def _instances(
    staged: Sequence[tuple[Staged, Entry]],
    work: _Sorted,
    series_of: dict[tuple[str, str], Series],
) -> None:
    source_of = rows.sources([each.incoming.origin for each, _ in staged])
    Instance.objects.bulk_create(
        rows.instance_row(
            each,
            entry,
            series_of[entry.study_uid, entry.series_uid],
            source_of[each.incoming.origin],
            file.path,
        )
        for (each, entry), file in zip(staged, work.new, strict=True)
    )
    for file, row in work.there:
        entry = file.entry
        row.series = series_of[entry.study_uid, entry.series_uid]
        row.path, row.size, row.digest = file.path, file.size, file.digest or row.digest
        row.sop_class_uid, row.transfer_syntax_uid = entry.sop_class_uid, file.transfer_syntax_uid
        row.modality = entry.modality
        row.references = file.references
        for name, value in entry.instance.items():
            setattr(row, name, value)
        row.study = row.series.study
    Instance.objects.bulk_update((row for _, row in work.there), [*_REFRESHED, "series", "study"])


def _settle(study: Study, *, is_new: bool) -> None:
    """A study of new rows is complete with what is there; others stay as they are."""
    if is_new:
        study.state, study.due_at, study.waiting_for = Study.State.COMPLETE, None, []
    if study.state == Study.State.COMPLETE and study.revision + is_new > 0:
        revision, made = ensure_revision(study, Revision.Reason.MANUAL, _REBUILT)
        if revision is not None and made:
            study.complete_revision = revision.number
            study.complete_at = timezone.now()
    study.save()
