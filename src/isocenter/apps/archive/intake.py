"""From the spool into the archive: segments and the receiver's events, with their cursors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from django.db import transaction

from isocenter.apps.archive.incoming import (
    CHUNK_BYTES,
    WHOLE_BYTES,
    Incoming,
    Origin,
    Verdict,
)
from isocenter.apps.archive.ingest import Place, ingest_records
from isocenter.apps.archive.models import Source, SpoolCursor
from isocenter.apps.archive.spool import EventReader, SpoolReader, SpoolRecord
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import Entry, record_many
from isocenter.apps.audit.services import record as record_event

log = structlog.get_logger(__name__)

_BATCH_RECORDS = 256
_BATCH_BYTES = 64 << 20
_EVENTS_AT_ONCE = 500
_KINDS = frozenset(str(kind) for kind in Source.Kind.values)


@dataclass(frozen=True)
class SpoolPayload:
    """A record's payload that stays readable until it is closed."""

    descriptor: int
    offset: int
    length: int

    @classmethod
    def of(cls, record: SpoolRecord) -> SpoolPayload:
        return cls(os.dup(record.fd), record.payload_offset, record.payload_length)

    def chunks(self) -> Iterator[bytes]:
        size = WHOLE_BYTES if self.length <= WHOLE_BYTES else CHUNK_BYTES
        done = 0
        while done < self.length:
            piece = os.pread(self.descriptor, min(size, self.length - done), self.offset + done)
            if not piece:
                raise OSError("a spool segment ends inside a record")
            yield piece
            done += len(piece)

    def close(self) -> None:
        os.close(self.descriptor)


@dataclass
class _Batch:
    records: list[Incoming] = field(default_factory=list)
    payloads: list[SpoolPayload] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    done_with: list[str] = field(default_factory=list)  # segments that end in this batch
    size: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.records) >= _BATCH_RECORDS or self.size >= _BATCH_BYTES

    def add(self, record: SpoolRecord) -> None:
        payload = SpoolPayload.of(record)
        self.payloads.append(payload)
        self.records.append(incoming_of(record.meta, payload))
        self.places[record.segment] = record.next_offset
        self.size += record.payload_length


class SpoolIntake:
    """Takes in what the spool holds; one process at a time.

    Args:
        folder: the spool folder.
        is_stopping: asked between batches.
        on_batch: told the verdicts of each batch.
    """

    def __init__(
        self,
        folder: Path,
        *,
        is_stopping: Callable[[], bool] = lambda: False,
        on_batch: Callable[[list[Verdict]], None] = lambda verdicts: None,
    ) -> None:
        self._reader = SpoolReader(folder)
        self._is_stopping = is_stopping
        self._on_batch = on_batch

    def drain(self) -> datetime | None:
        """Take in everything that was committed before this call.

        Returns:
            the time of the call: all that was received before is indexed now. None when it was
            stopped before the end.
        """
        started = datetime.now(UTC)
        cursors = dict(SpoolCursor.objects.values_list("name", "offset"))
        batch = _Batch()
        try:
            for segment in self._reader.segments():
                closed = self._reader.is_closed(segment)
                for record in self._records(segment, cursors.get(segment, 0), closed):
                    if batch.is_full:
                        self._flush(batch)
                        batch = _Batch()
                        if self._is_stopping():
                            return None
                    batch.add(record)
                    if not closed and batch.records[-1].received_at > started:
                        break  # a busy sender must not keep the others waiting
                else:
                    if closed:
                        batch.done_with.append(segment)
            self._flush(batch)
        except BaseException:
            _close(batch)
            raise
        return started

    def _records(self, segment: str, offset: int, closed: bool) -> Iterator[SpoolRecord]:
        """All that can be read of a segment, across places that the disk has spoilt."""
        while True:
            for record in self._reader.records(segment, offset):
                yield record
                offset = record.next_offset
            behind = self._reader.damage(segment, offset) if closed else None
            if behind is None:
                return
            kept = self._reader.set_aside(segment)
            log.error("spool_damaged", segment=str(kept), offset=offset)
            record_event(Kind.SPOOL_DAMAGED, segment=segment, offset=offset)
            offset = behind

    def forget_stale_cursors(self) -> None:
        """Forget cursors whose files are gone: a crash came between discarding and forgetting."""
        segments = set(self._reader.segments())
        names = [
            name
            for name in SpoolCursor.objects.values_list("name", flat=True)
            if not name.endswith(".jsonl") and name not in segments
        ]
        SpoolCursor.objects.filter(name__in=names).delete()

    def _flush(self, batch: _Batch) -> None:
        try:
            if batch.records:
                places = [Place(name, offset) for name, offset in batch.places.items()]
                started = time.monotonic()
                verdicts = ingest_records(batch.records, places=places)
                log.debug(
                    "batch_ingested",
                    records=len(verdicts),
                    seconds=round(time.monotonic() - started, 3),
                )
                self._on_batch(verdicts)
            for segment in batch.done_with:
                self._reader.discard(segment)
            if batch.done_with:
                SpoolCursor.objects.filter(name__in=batch.done_with).delete()
        finally:
            _close(batch)


def _close(batch: _Batch) -> None:
    while batch.payloads:
        batch.payloads.pop().close()


def incoming_of(meta: dict[str, Any], payload: SpoolPayload) -> Incoming:
    """What a spool record's meta says; a meta that lacks something is no reason to lose it."""
    kind = str(meta.get("kind", ""))
    return Incoming(
        payload=payload,
        origin=Origin(
            kind=kind if kind in _KINDS else Source.Kind.DIMSE,
            calling_ae_title=str(meta.get("calling_ae_title") or ""),
            called_ae_title=str(meta.get("called_ae_title") or ""),
            address=str(meta.get("address") or ""),
        ),
        received_at=_time(meta.get("received_at")),
        sop_class_uid=str(meta.get("sop_class_uid") or ""),
        sop_instance_uid=str(meta.get("sop_instance_uid") or ""),
    )


def _time(text: object) -> datetime:
    """The time of receipt; never one in the future, which would keep a study open."""
    now = datetime.now(UTC)
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return now
    return min(at if at.tzinfo else at.replace(tzinfo=UTC), now)


class EventIntake:
    """Takes the receiver's events into the audit."""

    def __init__(self, folder: Path) -> None:
        self._reader = EventReader(folder)

    def drain(self) -> int:
        """Take in the events there are; returns how many."""
        taken = 0
        for file in self._reader.files():
            closed = self._reader.is_closed(file)
            taken += self._take(file)
            if closed:
                self._reader.discard(file)
                SpoolCursor.objects.filter(name=file).delete()
        return taken

    def _take(self, file: str) -> int:
        cursor = SpoolCursor.objects.filter(name=file).first()
        entries: list[Entry] = []
        offset = cursor.offset if cursor else 0
        taken = 0
        for event in self._reader.events(file, offset):
            offset = event.next_offset
            if event.kind in Kind.__members__:
                detail = dict(event.detail)
                study_uid = str(detail.pop("study_uid", "") or "")
                actor = str(detail.get("calling_ae_title") or "")
                entries.append(Entry(event.kind, study_uid, actor, detail, event.at))
            else:
                log.warning("unknown_event", kind=event.kind[:64])
            if len(entries) >= _EVENTS_AT_ONCE:
                taken += self._write(file, offset, entries)
                entries = []
        return taken + self._write(file, offset, entries)

    def _write(self, file: str, offset: int, entries: list[Entry]) -> int:
        if entries:
            with transaction.atomic():
                record_many(entries)
                SpoolCursor.objects.update_or_create(name=file, defaults={"offset": offset})
        return len(entries)
