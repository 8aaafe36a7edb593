"""Retention: what is old enough goes, class by class, a bounded piece at a time.

Classes: ``originals`` (received instances, counted from the last receipt of their study),
``derived`` (what runs made: instances in the archive, outputs and reports of runs), ``exports``
(files that were made for somebody to fetch). The quarantine looks after its own. A study that is
protected, not complete, at work or in quarantine is never touched.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Sum
from django.utils import timezone

from isocenter.apps.archive import deletion
from isocenter.apps.archive.models import Instance, Series, Study, Tombstone
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import Entry, record_many
from isocenter.core.errors import NotFound

log = structlog.get_logger(__name__)

ORIGINALS, DERIVED, EXPORTS = "originals", "derived", "exports"
STUDIES_PER_ROUND = 10
RUNS_PER_ROUND = 50
RUNS_LOOKED_AT = 1000  # by a round; most have outputs
EVERY_S = 600.0  # between two looks when there was nothing more to do


@dataclass(frozen=True)
class Candidate:
    """Something that retention would delete, or keeps back.

    Attributes:
        kept: why it stays although it is old enough; empty: it goes.
    """

    kind: str
    study_uid: str
    what: str
    instances: int
    size: int
    since: datetime
    kept: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "class": self.kind,
            "study_uid": self.study_uid,
            "what": self.what,
            "instances": self.instances,
            "bytes": self.size,
            "since": self.since.isoformat(),
            "kept": self.kept,
        }


def sweep() -> int:
    """Delete a bounded piece of what is too old.

    Returns:
        how much was deleted; 0 when nothing is left to do.
    """
    done = 0
    for kind in (ORIGINALS, DERIVED):
        before = _before(kind)
        if before is None:
            continue
        for study_uid in _old_studies(kind, before).values_list("study_uid", flat=True)[
            :STUDIES_PER_ROUND
        ]:
            done += _expire(study_uid, kind, before)
    before = _before(DERIVED)
    if before is not None:
        done += _expire_runs(before)
    return done + _expire_exports(_before(EXPORTS))


class Rounds:
    """When to look again: at once while there is work, else every ten minutes."""

    def __init__(self) -> None:
        self._next = 0.0

    def sweep_when_due(self) -> int:
        """Called every few seconds."""
        if time.monotonic() < self._next:
            return 0
        done = sweep()
        if done == 0:
            self._next = time.monotonic() + EVERY_S
        return done


def plan(limit: int = 1000) -> Iterator[Candidate]:
    """What a sweep without bounds would delete now, and what is old enough and stays.

    Args:
        limit: at most so many of each class.
    """
    from isocenter.apps.routing import queries as routing

    for kind in (ORIGINALS, DERIVED):
        before = _before(kind)
        if before is not None:
            for study in _aged(kind, before).order_by("last_received_at", "pk")[:limit]:
                yield _candidate(study, kind)
    before = _before(DERIVED)
    if before is not None:
        for run in filter(lambda run: _folder_of(run).exists(), routing.old_runs(before, limit)):
            yield Candidate(
                DERIVED,
                run.study.study_uid,
                f"outputs of run {run.pk}",
                0,
                _size(_folder_of(run)),
                run.finished_at or before,
            )
    before = _before(EXPORTS)
    if before is not None:
        for path, at in _old_exports(before):
            yield Candidate(EXPORTS, "", path.name, 0, _size(path), at)


def _before(kind: str) -> datetime | None:
    days = getattr(settings.ISOCENTER.retention, f"{kind}_days")
    return None if days is None else timezone.now() - timedelta(days=days)


def _aged(kind: str, before: datetime) -> QuerySet[Study]:
    """Studies whose instances of a class are old enough, whatever else there is about them."""
    found = Study.objects.filter(last_received_at__lt=before)
    if kind == ORIGINALS:
        return found.filter(instance_count__gt=0)
    series = Series.objects.filter(study=OuterRef("pk"), is_derived=True)
    younger = Instance.objects.filter(
        study=OuterRef("pk"), is_derived=True, received_at__gte=before
    )
    return found.filter(Exists(series), ~Exists(younger))


def _old_studies(kind: str, before: datetime) -> QuerySet[Study]:
    """Those that nothing speaks for, the oldest first."""
    from isocenter.apps.routing import queries as routing

    free = _aged(kind, before).filter(protected=False, state=Study.State.COMPLETE)
    return (
        free.exclude(pk__in=routing.busy_studies())
        .exclude(study_uid__in=routing.quarantined_studies())
        .order_by("last_received_at", "pk")
    )


def _why_kept(study: Study) -> str:
    from isocenter.apps.routing import queries as routing

    reasons = [f"protected by {study.protected_by}"] if study.protected else []
    if study.state != Study.State.COMPLETE:
        reasons.append(f"it is {study.state}")
    return ", ".join([*reasons, *routing.open_work(study), *routing.held(study)])


def _instances(study: Study, kind: str) -> QuerySet[Instance]:
    return Instance.objects.filter(study=study, is_derived=kind == DERIVED)


def _candidate(study: Study, kind: str) -> Candidate:
    instances = _instances(study, kind)
    return Candidate(
        kind,
        study.study_uid,
        "received instances" if kind == ORIGINALS else "derived instances",
        instances.count(),
        instances.aggregate(total=Sum("size"))["total"] or 0,
        study.last_received_at,
        _why_kept(study),
    )


def _expire(study_uid: str, kind: str, before: datetime) -> int:
    """Delete one class of a study, and the study with its last instance."""
    actor = _actor(kind)
    with transaction.atomic():
        try:
            study = deletion.locked(study_uid)
        except NotFound:
            return 0
        # Something may have come, begun or been protected since it was chosen.
        if _why_kept(study) or not _aged(kind, before).filter(pk=study.pk).exists():
            return 0
        others = Instance.objects.filter(study=study, is_derived=kind != DERIVED).exists()
        if others:
            tombstone, counts = deletion.bury_instances(study, _instances(study, kind))
        else:
            tombstone, counts = deletion.bury(study, actor=actor)
        detail = {"class": kind, "whole_study": not others, **counts}
        record_many([Entry(Kind.RETENTION_DELETED, study_uid, actor, detail)])
    deletion.remove_files(tombstone)
    return 1


def _actor(kind: str) -> str:
    days = getattr(settings.ISOCENTER.retention, f"{kind}_days")
    return f"retention of {days} days"


def _expire_runs(before: datetime) -> int:
    """Those of some of the oldest runs that have outputs; the others are not looked at again."""
    from isocenter.apps.routing.queries import old_runs
    from isocenter.apps.routing.services import drop_outputs

    done = 0
    for run in old_runs(before, RUNS_LOOKED_AT):
        if not _folder_of(run).exists() and not run.reports:
            drop_outputs(run)
            continue
        done += _expire_run(run)
        if done >= RUNS_PER_ROUND:
            break
    return done


def _folder_of(run: Any) -> Path:
    return Path(settings.LAYOUT.runs, str(run.pk))


def _expire_run(run: Any) -> int:
    from isocenter.apps.routing.services import drop_outputs

    folder = f"runs/{run.pk}"
    with transaction.atomic():
        size = _size(settings.LAYOUT.root / folder)
        tombstone = Tombstone.objects.create(
            study_uid=run.study.study_uid,
            paths=[folder],
            reports=drop_outputs(run),
            at=timezone.now(),
        )
        detail = {"class": DERIVED, "run": str(run.pk), "bytes": size}
        uid = run.study.study_uid
        record_many([Entry(Kind.RETENTION_DELETED, uid, _actor(DERIVED), detail)])
    deletion.remove_files(tombstone)
    return 1


def _old_exports(before: datetime) -> list[tuple[Path, datetime]]:
    folder: Path = settings.LAYOUT.exports
    return [
        (folder / name, datetime.fromtimestamp(at, before.tzinfo))
        for name, at in sorted(_entries(folder))
        if at < before.timestamp()
    ]


def _expire_exports(before: datetime | None) -> int:
    if before is None:
        return 0
    gone = 0
    for path, _ in _old_exports(before)[:RUNS_PER_ROUND]:
        size = _size(path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        gone += 1
        detail = {"class": EXPORTS, "bytes": size}  # its name is somebody's own words
        record_many([Entry(Kind.RETENTION_DELETED, actor=_actor(EXPORTS), detail=detail)])
    return gone


def _entries(folder: Path) -> list[tuple[str, float]]:
    """Names in a folder with the times of their last change."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    found.append((entry.name, entry.stat(follow_symlinks=False).st_mtime))
                except FileNotFoundError:
                    continue
    except FileNotFoundError:
        return []
    return found


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.stat().st_size if path.exists() else 0
    return sum(
        Path(here, name).lstat().st_size for here, _, names in os.walk(path) for name in names
    )
