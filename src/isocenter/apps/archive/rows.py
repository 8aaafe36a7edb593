"""The index: rows of sources, studies, series and instances. Called inside a transaction that
holds the lock of every study it touches."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Count, Min, Q

from isocenter.apps.archive.completion import QUIET_TIME
from isocenter.apps.archive.incoming import Incoming, Origin
from isocenter.apps.archive.indexing import STUDY_FIELDS, Entry, Flag, clean, identity_flag
from isocenter.apps.archive.models import Instance, Series, Source, Study

if TYPE_CHECKING:  # staging reads DICOM; questions to the archive need not wait for that
    from isocenter.apps.archive.staging import Staged

_STUDY_LOCKS = 0x49534F31  # first half of our advisory locks' keys
_AE_LENGTH = 16


def lock_studies(study_uids: Iterable[str]) -> None:
    """Hold the locks of studies to the end of the transaction; in one order, so none waits for
    another in a circle."""
    keys = sorted({zlib.crc32(uid.encode()) - (1 << 31) for uid in study_uids})
    if not keys:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, key) FROM unnest(%s::int[]) AS keys(key)",
            [_STUDY_LOCKS, keys],
        )


def sources(origins: Collection[Origin]) -> dict[Origin, Source]:
    """The rows of these origins, made where they are new."""
    wanted = {
        origin: (
            origin.kind,
            clean(origin.calling_ae_title)[:_AE_LENGTH],
            clean(origin.called_ae_title)[:_AE_LENGTH],
            clean(origin.address)[:255],
        )
        for origin in set(origins)
    }
    found = _find_sources(wanted.values())
    missing = {key for key in wanted.values() if key not in found}
    if missing:
        Source.objects.bulk_create(
            [
                Source(kind=kind, calling_ae_title=calling, called_ae_title=called, address=address)
                for kind, calling, called, address in sorted(missing)
            ],
            ignore_conflicts=True,
        )
        found = _find_sources(wanted.values())
    return {origin: found[key] for origin, key in wanted.items()}


_SourceKey = tuple[str, str, str, str]


def _find_sources(keys: Iterable[_SourceKey]) -> dict[_SourceKey, Source]:
    calling = {key[1] for key in keys}
    return {
        (row.kind, row.calling_ae_title, row.called_ae_title, row.address): row
        for row in Source.objects.filter(calling_ae_title__in=calling)
    }


def studies(
    entries: Sequence[tuple[Staged, Entry]], source_of: Mapping[Origin, Source]
) -> dict[str, Study]:
    """The rows of the studies of these instances, made where they are new, with flags and empty
    attributes filled in; not saved yet where they were there."""
    uids = {entry.study_uid for _, entry in entries}
    found = {study.study_uid: study for study in Study.objects.filter(study_uid__in=uids)}
    for staged, entry in entries:
        study = found.get(entry.study_uid)
        if study is None:
            received_at = staged.incoming.received_at
            study = Study(
                study_uid=entry.study_uid,
                first_received_at=received_at,
                last_received_at=received_at,
                source=source_of[staged.incoming.origin],
                **entry.study,
            )
            study.save(force_insert=True)
            found[entry.study_uid] = study
        elif not staged.incoming.is_derived:
            fill_in(study, entry)
        add_flags(study, (*entry.flags, *staged.flags))
    return found


def fill_in(study: Study, entry: Entry) -> None:
    """Attributes that are empty so far; a flag where this is another patient."""
    flag = identity_flag({name: getattr(study, name) for name in STUDY_FIELDS}, entry.study)
    if flag:
        add_flags(study, (flag,))
        return
    for name, value in entry.study.items():
        if value and not getattr(study, name):
            setattr(study, name, value)


def add_flags(study: Study, flags: Iterable[Flag]) -> None:
    """Add what is not there yet."""
    for flag in flags:
        item = flag.as_json()
        if item not in study.flags:
            study.flags = [*study.flags, item]


def series(
    entries: Sequence[tuple[Staged, Entry]], study_of: Mapping[str, Study]
) -> dict[tuple[str, str], Series]:
    """The rows of the series of these instances, by (study UID, series UID)."""
    found = {
        (row.study.study_uid, row.series_uid): row
        for row in Series.objects.select_related("study").filter(
            study__in=study_of.values(), series_uid__in={entry.series_uid for _, entry in entries}
        )
    }
    new: dict[tuple[str, str], Series] = {}
    for staged, entry in entries:
        key = (entry.study_uid, entry.series_uid)
        row = found.get(key) or new.get(key)
        if row is None:
            new[key] = Series(
                study=study_of[entry.study_uid],
                series_uid=entry.series_uid,
                is_derived=staged.incoming.is_derived,
                **entry.series,
            )
        elif row.is_derived and not staged.incoming.is_derived:
            row.is_derived = False
            if row.pk:
                row.save(update_fields=["is_derived"])
    Series.objects.bulk_create(new.values())
    return found | new


def instance_row(staged: Staged, entry: Entry, row: Series, source: Source, path: str) -> Instance:
    """An unsaved row for a stored instance."""
    incoming: Incoming = staged.incoming
    return Instance(
        study=row.study,
        series=row,
        sop_uid=entry.sop_uid,
        sop_class_uid=entry.sop_class_uid,
        transfer_syntax_uid=staged.transfer_syntax_uid,
        modality=entry.modality,
        path=path,
        size=staged.size,
        digest=staged.digest,
        source=source,
        received_at=incoming.received_at,
        is_derived=incoming.is_derived,
        references=staged.references,
        **entry.instance,
    )


def refresh_counts(study_rows: Iterable[Study], series_rows: Iterable[Series]) -> None:
    """Count anew, on the study's attributes and in the series' rows."""
    touched = {row.pk: row for row in series_rows}
    counted = dict(
        Instance.objects.filter(series__in=touched).values_list("series_id").annotate(n=Count("id"))
    )
    for key, row in touched.items():
        row.instance_count = counted.get(key, 0)
    Series.objects.bulk_update(touched.values(), ["instance_count"])
    for study in study_rows:
        received = Series.objects.filter(study=study, is_derived=False, instance_count__gt=0)
        facts = received.values_list("modality", flat=True)
        study.modalities = sorted({modality for modality in facts if modality})
        study.series_count = len(facts)
        study.instance_count = Instance.objects.filter(study=study, is_derived=False).count()


def received(study: Study, at: Sequence[datetime], source: Source, *, look_after_s: float) -> bool:
    """New content came: the study is receiving again.

    Returns:
        True when it was complete or held before, so that this reopened it.
    """
    was_closed = study.state in (Study.State.COMPLETE, Study.State.HELD) and study.revision > 0
    study.state = Study.State.RECEIVING
    study.source = source
    study.waiting_for = [QUIET_TIME]
    study.first_received_at = min(study.first_received_at, *at)
    heard(study, at, look_after_s=look_after_s)
    return was_closed


def heard(study: Study, at: Sequence[datetime], *, look_after_s: float) -> None:
    """Something came for a study that is not complete, new or not: it is not quiet."""
    study.last_received_at = max(study.last_received_at, *at)
    look_at = study.last_received_at + timedelta(seconds=look_after_s)
    study.due_at = look_at if study.due_at is None else min(study.due_at, look_at)


def arrivals(study: Study) -> list[dict[str, Any]]:
    """Received instances per revision: count and first receipt."""
    found = (
        Instance.objects.filter(study=study, is_derived=False)
        .values("revision")
        .annotate(count=Count("id"), first=Min("received_at"))
    )
    return [dict(row) for row in found]


def present_series(study: Study, uids: Collection[str]) -> set[str]:
    """Those of the series that have an instance here."""
    return set(
        Series.objects.filter(
            Q(instance_count__gt=0), study=study, series_uid__in=uids
        ).values_list("series_uid", flat=True)
    )
