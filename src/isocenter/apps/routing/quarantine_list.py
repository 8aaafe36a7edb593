"""The list of the quarantine: what is asked for, and what each row shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db.models import QuerySet

from isocenter.apps.archive.models import Study
from isocenter.apps.routing.keyset import Slice, newest_first
from isocenter.apps.routing.models import QuarantineItem
from isocenter.apps.routing.quarantining import OPEN, folder_of

MAX_FILES = 500


@dataclass(frozen=True)
class QuarantineFilter:
    """Which items; without states those that are open."""

    kinds: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    reason: str = ""
    study_uid: str = ""
    first_before: datetime | None = None
    attempts: int = 0

    @property
    def is_empty(self) -> bool:
        return self == QuarantineFilter()


@dataclass(frozen=True)
class KeptFile:
    """A file below an item's folder."""

    name: str
    size: int


def item_slice(wanted: QuarantineFilter, cursor: str = "") -> Slice[QuarantineItem]:
    """A page of items, the last touched first."""
    found = QuarantineItem.objects.select_related("run", "delivery").defer(
        "trace", "run__definition", "run__trace"
    )
    return newest_first(matching_items(found, wanted), "last_at", cursor)


def studies_of(items: Sequence[QuarantineItem]) -> dict[str, Study]:
    """The studies that are here, by UID; an instance in quarantine may have none."""
    uids = {item.study_uid for item in items if item.study_uid}
    return {study.study_uid: study for study in Study.objects.filter(study_uid__in=uids)}


def kept_files(item: QuarantineItem) -> tuple[list[KeptFile], int]:
    """The first files that are kept, and how many there are."""
    folder = folder_of(item)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [_file(path, folder) for path in paths[:MAX_FILES]], len(paths)


def _file(path: Path, folder: Path) -> KeptFile:
    try:
        size = path.stat().st_size
    except OSError:  # gone meanwhile
        size = 0
    return KeptFile(str(path.relative_to(folder)), size)


def matching_items(
    found: QuerySet[QuarantineItem], wanted: QuarantineFilter
) -> QuerySet[QuarantineItem]:
    """Those of these items that are asked for."""
    found = found.filter(state__in=wanted.states or OPEN)
    if wanted.kinds:
        found = found.filter(kind__in=wanted.kinds)
    if wanted.reason:
        found = found.filter(reason__icontains=wanted.reason)
    if wanted.study_uid:
        found = found.filter(study_uid=wanted.study_uid)
    if wanted.first_before is not None:
        found = found.filter(first_at__lt=wanted.first_before)
    if wanted.attempts:
        found = found.filter(attempts__gte=wanted.attempts)
    return found
