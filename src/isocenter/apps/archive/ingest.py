"""Instances into the archive: staged, judged, filed, indexed; in batches, each one transaction.

Order of durability: the file's data, its name and its folders' names, then the commit of rows and
spool cursor, then (the caller) the spool segment's end. A crash between any two of them leaves
bytes that the same record, coming again, writes over or recognises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction

from isocenter.apps.archive import rows
from isocenter.apps.archive.filing import Filer, archive_path, sync_folder
from isocenter.apps.archive.incoming import Incoming, Origin, Outcome, Verdict
from isocenter.apps.archive.indexing import Entry
from isocenter.apps.archive.judging import Judge, Judgement, Known
from isocenter.apps.archive.models import Instance, Series, Source, SpoolCursor, Study
from isocenter.apps.archive.search import search_rows
from isocenter.apps.archive.staging import Staged, StagingArea
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import Entry as Event
from isocenter.apps.audit.services import record_many
from isocenter.core.dicom.bounds import Bounds

log = structlog.get_logger(__name__)

_FIRST_LOOK_S = 2.0  # a study is looked at no later than this after something came
_KEPT = (Outcome.STORED, Outcome.REPLACED)
_EVENT_OF = {
    Outcome.STORED: Kind.INSTANCE_STORED,
    Outcome.DUPLICATE: Kind.INSTANCE_DUPLICATE,
    Outcome.REPLACED: Kind.INSTANCE_REPLACED,
    Outcome.CONFLICT: Kind.INSTANCE_DUPLICATE,
    Outcome.UNREADABLE: Kind.INSTANCE_REJECTED,
}


@dataclass(frozen=True)
class Place:
    """How far a spool file is taken in when the records of a batch are."""

    name: str
    offset: int


def ingest_records(records: Sequence[Incoming], *, places: Sequence[Place] = ()) -> list[Verdict]:
    """Take instances in, and remember in the same transaction how far the spool was read.

    An instance that cannot be indexed goes to quarantine and never holds up the others.

    Returns:
        one verdict per record, in their order.

    Raises:
        OSError: the disk takes no more.
        django.db.OperationalError: the database is not there. Nothing was taken in.
    """
    filer = _filer(settings.LAYOUT.archive)
    judge = Judge(settings.ISOCENTER.storage.duplicate_policy)
    with StagingArea(settings.LAYOUT.archive, _bounds()) as area:
        staged = area.stage(records)
        groups = list(_without_repeats(staged))
        verdicts: list[Verdict] = []
        try:
            for number, group in enumerate(groups, 1):
                last = number == len(groups)
                verdicts += _Batch(group, places if last else (), area, filer, judge).store()
            if not groups:
                _remember(places)
        except (OSError, MemoryError, OperationalError, InterfaceError):
            raise
        except Exception as error:  # whatever one instance brings about, the others go in
            if len(records) == 1:
                return [_refused(staged[0], places, area, error)]
            log.warning("batch_refused", records=len(records), reason=type(error).__name__)
        else:
            return verdicts
    return _one_by_one(records, places)


def _one_by_one(records: Sequence[Incoming], places: Sequence[Place]) -> list[Verdict]:
    """What cannot go in as a batch; the cursor moves with the last record."""
    last = len(records) - 1
    return [
        verdict
        for number, record in enumerate(records)
        for verdict in ingest_records([record], places=places if number == last else ())
    ]


def _without_repeats(staged: Sequence[Staged]) -> Iterator[list[Staged]]:
    """Consecutive groups in which no SOP Instance UID comes twice."""
    group: list[Staged] = []
    seen: set[str] = set()
    for item in staged:
        uid = item.entry.sop_uid if item.entry else ""
        if uid and uid in seen:
            yield group
            group, seen = [], set()
        group.append(item)
        seen.add(uid)
    if group:
        yield group


def _refused(
    staged: Staged, places: Sequence[Place], area: StagingArea, error: Exception
) -> Verdict:
    """This one cannot go in: keep it where a person sees it."""
    copy = area.stage([staged.incoming])[0]  # the first copy may have been moved already
    _unfile(staged)
    # The message can quote values; its class cannot.
    problem = f"it cannot be indexed ({type(error).__name__})"
    refused = replace(copy, problem=problem)
    with transaction.atomic():
        _quarantine(refused, problem)
        record_many([_event(Judgement(refused, Outcome.UNREADABLE, problem))])
        _remember(places)
    return _verdict(Judgement(refused, Outcome.UNREADABLE, problem), "")


def _unfile(staged: Staged) -> None:
    """Take back the file of a transaction that was undone."""
    entry = staged.entry
    if entry is None:
        return
    relative = archive_path(entry.study_uid, entry.series_uid, entry.sop_uid)
    if not Instance.objects.filter(path=relative).exists():
        (settings.LAYOUT.archive / relative).unlink(missing_ok=True)


@dataclass
class _Batch:
    """One group of staged instances on its way through one transaction."""

    staged: list[Staged]
    places: Sequence[Place]
    area: StagingArea
    filer: Filer
    judge: Judge
    events: list[Event] = field(default_factory=list)
    obsolete: list[Path] = field(default_factory=list)

    def store(self) -> list[Verdict]:
        from isocenter.apps.routing.queries import is_artifact  # routing builds on this module

        own = is_artifact(self._sop_uids())
        self.staged = [_as_own(staged) if _is_in(staged, own) else staged for staged in self.staged]
        # Comparing files can take long: it is done once before, and under the locks it is known.
        self.judge.judge(self.staged, self._known(), frozenset(own))
        with transaction.atomic():
            rows.lock_studies({s.entry.study_uid for s in self.staged if s.entry})
            judgements = self.judge.judge(self.staged, self._known(), frozenset(own))
            paths = self._file(judgements)
            self._index(judgements, paths)
            for judgement in judgements:
                if judgement.outcome in (Outcome.CONFLICT, Outcome.UNREADABLE):
                    _quarantine(judgement.staged, judgement.reason)
                self.events.append(_event(judgement))
            record_many(self.events)
            _remember(self.places)
        for path in self.obsolete:
            path.unlink(missing_ok=True)
        return [_verdict(j, paths.get(id(j.staged), "")) for j in judgements]

    def _sop_uids(self) -> list[str]:
        return [staged.entry.sop_uid for staged in self.staged if staged.entry]

    def _known(self) -> dict[str, Known]:
        archive: Path = settings.LAYOUT.archive
        found = Instance.objects.filter(sop_uid__in=self._sop_uids()).values_list(
            "sop_uid", "study__study_uid", "digest", "path", "transfer_syntax_uid"
        )
        return {
            uid: Known(study_uid, digest, archive / path, syntax)
            for uid, study_uid, digest, path, syntax in found
        }

    def _file(self, judgements: Sequence[Judgement]) -> dict[int, str]:
        """Move what is kept into the archive; returns paths by identity of the staged one."""
        paths = {}
        for judgement in judgements:
            entry = judgement.staged.entry
            if judgement.outcome in _KEPT and entry:
                mark = _mark(judgement.staged) if judgement.outcome is Outcome.REPLACED else ""
                paths[id(judgement.staged)] = archive_path(
                    entry.study_uid, entry.series_uid, entry.sop_uid, digest=mark
                )
        self.filer.place(
            [(j.staged.path, paths[id(j.staged)]) for j in judgements if id(j.staged) in paths]
        )
        return paths

    def _index(self, judgements: Sequence[Judgement], paths: Mapping[int, str]) -> None:
        indexed = [(j.staged, j.staged.entry) for j in judgements if j.staged.entry]
        if not indexed:
            return
        kept = [(j, j.staged.entry) for j in judgements if j.outcome in _KEPT and j.staged.entry]
        source_of = rows.sources([staged.incoming.origin for staged, _ in indexed])
        study_of, flags_before = self._studies(indexed, kept, source_of)
        series_of = rows.series([(j.staged, entry) for j, entry in kept], study_of)
        touched = {series_of[entry.study_uid, entry.series_uid] for _, entry in kept}
        new = []
        for judgement, entry in kept:
            staged = judgement.staged
            row = rows.instance_row(
                staged,
                entry,
                series_of[entry.study_uid, entry.series_uid],
                source_of[staged.incoming.origin],
                paths[id(staged)],
            )
            if judgement.outcome is Outcome.REPLACED:
                touched.add(self._replace(row, judgement))
            else:
                new.append(row)
        Instance.objects.bulk_create(new)
        filled = {entry.study_uid for _, entry in kept}
        rows.refresh_counts([study_of[uid] for uid in filled], touched)
        self._receive(judgements, study_of, source_of)
        for study in study_of.values():
            if study.flags != flags_before[study.study_uid]:
                codes = [flag["code"] for flag in study.flags]
                self.events.append(
                    Event(Kind.STUDY_FLAGGED, study.study_uid, detail={"flags": codes})
                )
            study.save()
        new_classes: dict[int, set[str]] = {}
        for _, entry in kept:
            new_classes.setdefault(study_of[entry.study_uid].pk, set()).add(entry.sop_class_uid)
        search_rows.refresh([study_of[uid] for uid in filled], new_classes)

    def _studies(
        self,
        indexed: Sequence[tuple[Staged, Entry]],
        kept: Sequence[tuple[Judgement, Entry]],
        source_of: Mapping[Origin, Source],
    ) -> tuple[dict[str, Study], dict[str, list[dict[str, str]]]]:
        """Studies of what is kept (made where new) and of what is here already."""
        uids = {entry.study_uid for _, entry in indexed}
        flags = dict(Study.objects.filter(study_uid__in=uids).values_list("study_uid", "flags"))
        study_of = rows.studies([(j.staged, entry) for j, entry in kept], source_of)
        others = uids - set(study_of)
        study_of |= {study.study_uid: study for study in Study.objects.filter(study_uid__in=others)}
        return study_of, {uid: flags.get(uid, []) for uid in study_of}

    def _replace(self, new: Instance, judgement: Judgement) -> Series:
        """Put a row in the place of the one with its UID; the old file goes to quarantine."""
        old = Instance.objects.select_related("series").get(sop_uid=new.sop_uid)
        archived = settings.LAYOUT.archive / old.path
        _quarantine(replace(judgement.staged, path=archived), judgement.reason, was_archived=True)
        self.obsolete.append(archived)
        new.pk = old.pk
        new.save(force_update=True)
        return old.series

    def _receive(
        self,
        judgements: Sequence[Judgement],
        study_of: Mapping[str, Study],
        source_of: Mapping[Origin, Source],
    ) -> None:
        """Reopen, or keep awake, the studies that something came for."""
        look_after_s = min(_FIRST_LOOK_S, settings.ISOCENTER.completion.debounce_s)
        for uid, study in study_of.items():
            came = [
                j
                for j in judgements
                if j.staged.entry
                and j.staged.entry.study_uid == uid
                and not j.staged.incoming.is_derived
            ]
            fresh = [j for j in came if j.outcome in _KEPT]
            times = [j.staged.incoming.received_at for j in fresh or came]
            if fresh:
                source = source_of[fresh[-1].staged.incoming.origin]
                if rows.received(study, times, source, look_after_s=look_after_s):
                    detail = {"instances": len(fresh), "revision": study.revision}
                    self.events.append(Event(Kind.STUDY_REOPENED, uid, detail=detail))
            elif came and study.state in (Study.State.RECEIVING, Study.State.WAITING):
                rows.heard(study, times, look_after_s=look_after_s)
            elif not came and study.instance_count == 0:
                study.state = Study.State.COMPLETE  # nothing but what we made


@lru_cache(maxsize=4)
def _filer(archive: Path) -> Filer:
    return Filer(archive)


def _bounds() -> Bounds:
    limits = settings.ISOCENTER.limits
    return Bounds(
        max_depth=limits.max_depth,
        max_elements=limits.max_elements,
        max_instance_bytes=limits.max_instance_mb << 20,
        max_pixels=limits.max_pixels,
    )


def _mark(staged: Staged) -> str:
    content = f"{staged.transfer_syntax_uid} {staged.digest}"
    return hashlib.sha256(content.encode()).hexdigest()


def _is_in(staged: Staged, own: set[str]) -> bool:
    return staged.entry is not None and staged.entry.sop_uid in own


def _as_own(staged: Staged) -> Staged:
    """An artifact of ours, whoever sends it: never input, never a reason to reopen a study."""
    return replace(staged, incoming=replace(staged.incoming, is_derived=True))


def _quarantine(staged: Staged, reason: str, *, was_archived: bool = False) -> None:
    from isocenter.apps.routing.services import quarantine_instance

    origin = staged.incoming.origin
    quarantine_instance(
        staged.path,
        reason,
        study_uid=staged.entry.study_uid if staged.entry else "",
        sop_uid=staged.entry.sop_uid if staged.entry else staged.incoming.sop_instance_uid[:255],
        source=origin.calling_ae_title or origin.kind,
        was_archived=was_archived,
    )
    # The spool forgets the record after this: the name of the item's folder must be on disk too.
    sync_folder(settings.LAYOUT.quarantine)


def _event(judgement: Judgement) -> Event:
    staged, entry = judgement.staged, judgement.staged.entry
    origin = staged.incoming.origin
    detail = {
        "sop_uid": entry.sop_uid if entry else staged.incoming.sop_instance_uid,
        "series_uid": entry.series_uid if entry else "",
        "source": origin.kind,
        "calling_ae_title": origin.calling_ae_title,
        "address": origin.address if origin.kind == Source.Kind.DIMSE else "",
        "outcome": str(judgement.outcome),
        "reason": judgement.reason,
    }
    return Event(
        _EVENT_OF[judgement.outcome],
        entry.study_uid if entry else "",
        detail={key: value for key, value in detail.items() if value},
    )


def _verdict(judgement: Judgement, path: str) -> Verdict:
    entry = judgement.staged.entry
    return Verdict(
        outcome=judgement.outcome,
        study_uid=entry.study_uid if entry else "",
        series_uid=entry.series_uid if entry else "",
        sop_uid=entry.sop_uid if entry else "",
        path=path,
        reason=judgement.reason,
    )


def _remember(places: Sequence[Place]) -> None:
    for place in places:
        SpoolCursor.objects.update_or_create(name=place.name, defaults={"offset": place.offset})
