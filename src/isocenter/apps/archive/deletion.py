"""Deleting studies and series, and protecting them from it.

Order: in one transaction the rows go and a tombstone comes that names the files; then the files
go; then the tombstone. Whatever happens between, the next sweep finds the tombstone and goes on.
An instance that comes in again meanwhile takes the place that its file had before: files are
removed under the study's lock, and only those that no row names.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from isocenter.apps.archive import rows, thumbnails
from isocenter.apps.archive.filing import sync_folder
from isocenter.apps.archive.metadata.store import relative_file, relative_folder
from isocenter.apps.archive.models import Instance, Series, Study, Tombstone
from isocenter.apps.archive.search import search_rows
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import Entry, record, record_many
from isocenter.core.dicom.uids import safe_path_component
from isocenter.core.errors import NotFound, Refused

log = structlog.get_logger(__name__)

_AT_ONCE = 500  # files removed under one lock
_SETTLED = timedelta(seconds=30)  # whoever made a tombstone is removing the files himself


def delete_study(study_uid: str, *, actor: str) -> dict[str, int]:
    """Delete a study: its instances, runs, outputs, deliveries, reports, and what of it is held
    in quarantine. Its events stay. Durable when it returns.

    Returns:
        how many instances, bytes, runs, deliveries and quarantine items there were.

    Raises:
        NotFound: no such study.
        Refused: it is protected, or a run or a delivery of it is at work.
    """
    with transaction.atomic():
        study = locked(study_uid)
        require_deletable(study)
        tombstone, counts = bury(study, actor=actor)
        record_many([Entry(Kind.STUDY_DELETED, study_uid, actor, counts)])
    remove_files(tombstone)
    return counts


def delete_series(study_uid: str, series_uid: str, *, actor: str) -> dict[str, int]:
    """Delete one series of a study. With the last series the study goes too.

    Revisions and runs stay; a run on what was there before cannot be done again.

    Returns:
        how many instances and bytes there were.

    Raises:
        NotFound: no such study or series.
        Refused: the study is protected, or a run or a delivery of it is at work.
    """
    with transaction.atomic():
        study = locked(study_uid)
        series = Series.objects.filter(study=study, series_uid=series_uid).first()
        if series is None:
            raise NotFound(f"study {study_uid} has no series {series_uid}")
        is_last = not Series.objects.filter(study=study).exclude(pk=series.pk).exists()
        if not is_last:
            require_deletable(study)
            tombstone, counts = bury_instances(study, Instance.objects.filter(series=series))
            detail = {"series_uid": series_uid, **counts}
            record_many([Entry(Kind.SERIES_DELETED, study_uid, actor, detail)])
    if is_last:
        return delete_study(study_uid, actor=actor)
    remove_files(tombstone)
    return counts


def delete_instance(study_uid: str, series_uid: str, sop_uid: str, *, actor: str) -> dict[str, int]:
    """Delete one instance. With the last one of its series that goes too, and with the last
    series the study. Revisions and runs stay, as with `delete_series`.

    Returns:
        how many instances and bytes there were.

    Raises:
        NotFound: no such study, series or instance.
        Refused: the study is protected, or a run or a delivery of it is at work.
    """
    with transaction.atomic():
        study = locked(study_uid)
        series = Series.objects.filter(study=study, series_uid=series_uid).first()
        found = Instance.objects.filter(study=study, series=series, sop_uid=sop_uid)
        if series is None or not found.exists():
            raise NotFound(f"there is no instance {sop_uid} in that study and series")
        is_last = not Instance.objects.filter(series=series).exclude(sop_uid=sop_uid).exists()
        if not is_last:
            require_deletable(study)
            tombstone, counts = bury_instances(study, found)
            detail = {"series_uid": series_uid, "sop_uid": sop_uid, **counts}
            record_many([Entry(Kind.INSTANCE_DELETED, study_uid, actor, detail)])
    if is_last:
        return delete_series(study_uid, series_uid, actor=actor)
    remove_files(tombstone)
    return counts


def protect(study_uid: str, on: bool, *, actor: str) -> Study:
    """Keep a study from being deleted, by anybody and by retention; or stop that.

    Raises:
        NotFound: no such study.
    """
    with transaction.atomic():
        study = locked(study_uid)
        if study.protected != on:
            study.protected, study.protected_by = on, actor[:255]
            study.protected_at = timezone.now()
            study.save(update_fields=["protected", "protected_by", "protected_at"])
            kind = Kind.STUDY_PROTECTED if on else Kind.STUDY_UNPROTECTED
            record(kind, study_uid=study_uid, actor=actor)
    return study


def locked(study_uid: str) -> Study:
    """A study that neither the ingest nor a new run touches until the transaction is over.

    Raises:
        NotFound: no such study.
    """
    rows.lock_studies([study_uid])
    # New runs refer to the row: they wait here, and see that it is gone.
    study = Study.objects.select_for_update().filter(study_uid=study_uid).first()
    if study is None:
        raise NotFound(f"no study {study_uid} is here", hint="isocenter studies list")
    return study


def require_deletable(study: Study) -> None:
    """
    Raises:
        Refused: it is protected, or a run or a delivery of it is at work.
    """
    from isocenter.apps.routing.queries import open_work

    if study.protected:
        raise Refused(
            f"study {study.study_uid} is protected by {study.protected_by}",
            hint="end its protection first",
        )
    if work := open_work(study):
        raise Refused(
            f"study {study.study_uid} is at work: {', '.join(work)}",
            hint="cancel that first, or wait until it is over",
        )


def bury(study: Study, *, actor: str) -> tuple[Tombstone, dict[str, int]]:
    """Delete all rows of a locked study; its files are the tombstone's."""
    from isocenter.apps.routing.services import forget_study

    leavings = forget_study(study, actor=actor)
    instances = Instance.objects.filter(study=study)
    counts = _count(instances) | dict(leavings.counts or {})
    tombstone = Tombstone.objects.create(
        study_uid=study.study_uid,
        instances=list(instances.values_list("path", flat=True)),
        paths=[*leavings.paths, relative_folder(study.study_uid)],
        reports=list(leavings.reports),
        at=timezone.now(),
    )
    instances.delete()
    study.delete()
    transaction.on_commit(lambda: thumbnails.forget(tombstone.study_uid))
    return tombstone, counts


def bury_instances(study: Study, instances: Any) -> tuple[Tombstone, dict[str, int]]:
    """Delete some instances of a locked study that stays, and series that are empty then."""
    touched = list(Series.objects.filter(pk__in=instances.order_by().values("series").distinct()))
    counts = _count(instances)
    tombstone = Tombstone.objects.create(
        study_uid=study.study_uid,
        instances=list(instances.values_list("path", flat=True)),
        paths=[relative_file(study.study_uid, row.series_uid) for row in touched],
        at=timezone.now(),
    )
    instances.delete()
    Series.objects.filter(pk__in=[row.pk for row in touched], instances=None).delete()
    rows.refresh_counts([study], Series.objects.filter(pk__in=[row.pk for row in touched]))
    if study.instance_count == 0:  # nothing that could still become complete
        study.state, study.due_at, study.waiting_for = Study.State.COMPLETE, None, []
    study.save()
    search_rows.refresh([study], None)
    transaction.on_commit(lambda: thumbnails.forget(tombstone.study_uid))
    return tombstone, counts


def _count(instances: Any) -> dict[str, int]:
    return {
        "instances": instances.count(),
        "bytes": instances.aggregate(total=Sum("size"))["total"] or 0,
    }


def finish_deletions(limit: int = 20) -> int:
    """Remove the files of tombstones that nobody else is at; how many tombstones are gone."""
    waiting = Tombstone.objects.filter(at__lt=timezone.now() - _SETTLED).order_by("pk")
    done = 0
    for tombstone in waiting[:limit]:
        try:
            remove_files(tombstone)
        except OSError as error:
            # One file that cannot be removed must not keep the others; the next sweep tries again.
            log.warning("deletion_waits", study_uid=tombstone.study_uid, reason=error.strerror)
            continue
        done += 1
    return done


def remove_files(tombstone: Tombstone) -> None:
    """Remove what a tombstone names, durably, then the tombstone.

    Raises:
        OSError: a file cannot be removed; the tombstone stays.
    """
    archive: Path = settings.LAYOUT.archive
    for group in _groups(tombstone.instances):
        _remove_instances(tombstone.study_uid, archive, group)
    root: Path = settings.LAYOUT.root
    changed = set()
    for path in (
        *(root / relative for relative in tombstone.paths),
        *(Path(report) for report in tombstone.reports),
    ):
        _remove(path)
        changed.add(path.parent)
    _sync(changed)
    Tombstone.objects.filter(pk=tombstone.pk).delete()


def _remove_instances(study_uid: str, archive: Path, paths: Sequence[str]) -> None:
    with transaction.atomic():
        rows.lock_studies([study_uid])
        named = set(Instance.objects.filter(path__in=paths).values_list("path", flat=True))
        gone = [archive / path for path in paths if path not in named]
        for path in gone:
            path.unlink(missing_ok=True)
        folders = {path.parent for path in gone}
        _sync(folders)
        for folder in (*folders, archive / safe_path_component(study_uid)):
            _remove_if_empty(folder)
        _sync({folder.parent for folder in folders} | {archive})


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # gone, or something else is in it
        return


def _sync(folders: Iterable[Path]) -> None:
    for folder in folders:
        if folder.is_dir():
            sync_folder(folder)


def _groups(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(paths), _AT_ONCE):
        yield paths[first : first + _AT_ONCE]
