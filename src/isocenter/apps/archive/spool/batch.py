"""Records that are accepted together: all of a request, or none of it.

Payloads are written as they come, headers only when everything is there; before that a reader
sees nothing, and what is given up or cut off leaves nothing behind. Two syncs per segment make
the whole batch durable, where single records cost one each.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import xxhash

from isocenter.core.errors import SpoolError

from .segment import Segment
from .segment_format import RECORD_HEADER, RecordHeader, encode_meta
from .writer import Buffer, write_at

if TYPE_CHECKING:
    from .pool import Spool

_GROW_BYTES = 64 << 20
_MAX_SEGMENTS = 16  # held open at once; the last one grows instead


@dataclass
class _Held:
    """A segment and the records in it that wait for their headers."""

    segment: Segment
    records: list[tuple[RecordHeader, bytes]] = field(default_factory=list)


class SpoolBatch:
    """Writes records that become visible together; for one thread at a time."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._held: list[_Held] = []
        self._record: BatchRecord | None = None

    def begin(self, meta: dict[str, Any]) -> BatchRecord:
        """Start a record.

        Args:
            meta: JSON object; kept in front of the payload (at most 64 KiB).

        Raises:
            SpoolError: no segment can be made, or a record is open already.
        """
        if self._record is not None:
            raise SpoolError("the record before was neither finished nor given up")
        encoded = encode_meta(meta)
        if not self._held or (self._held[-1].segment.is_full and len(self._held) < _MAX_SEGMENTS):
            self._held.append(_Held(self._spool.acquire()))
        self._record = BatchRecord(self, self._held[-1].segment, encoded)
        return self._record

    @property
    def records(self) -> int:
        """How many are finished."""
        return sum(len(held.records) for held in self._held)

    def commit(self) -> None:
        """Accept all finished records; they are durable and can be read when it returns.

        Raises:
            SpoolError: the disk failed. Nothing of it counts as accepted, though a part may be
                read by ingest: a sender that tries again sends the same instances.
        """
        if self._record is not None:
            self._record.abort()
        held, self._held = self._held, []
        try:
            _seal(held)
        except OSError as error:
            for each in held:
                _unseal(each)
            raise SpoolError(f"the spool cannot be written: {error}") from error
        finally:
            for each in held:
                self._spool.release(each.segment)
        self._spool.notify()

    def close(self) -> None:
        """Give up what is not committed; harmless when there is none."""
        if self._record is not None:
            self._record.abort()
        held, self._held = self._held, []
        for each in held:
            _rewind(each)
            self._spool.release(each.segment)

    def __enter__(self) -> SpoolBatch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ended(self, finished: tuple[RecordHeader, bytes] | None) -> None:
        self._record = None
        if finished is not None:
            self._held[-1].records.append(finished)


class BatchRecord:
    """One record of a batch: written, then finished or given up."""

    def __init__(self, batch: SpoolBatch, segment: Segment, meta: bytes) -> None:
        self._batch = batch
        self._segment = segment
        self._meta = meta
        self._size_before = segment.size
        self._payload_offset = segment.position + RECORD_HEADER + len(meta)
        self._length = 0
        self._hash = xxhash.xxh3_64()
        self._is_open = True

    @property
    def length(self) -> int:
        """Payload bytes so far."""
        return self._length

    def write(self, *buffers: Buffer) -> None:
        """Append to the payload; the buffers may be reused when this returns.

        Raises:
            SpoolError: disk full or failing. The record is given up.
        """
        start = self._payload_offset + self._length
        total = 0
        for buffer in buffers:
            self._hash.update(buffer)
            total += len(buffer)
        try:
            self._reserve(start + total)
            write_at(self._segment.fd, start, buffers)
            # The kernel begins to write now, so that the sync at the end finds less to do.
            os.posix_fadvise(self._segment.fd, start, total, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            self.abort()
            raise SpoolError(f"the spool cannot be written: {error}") from error
        self._length += total

    def finish(self) -> None:
        """The payload is whole; `SpoolBatch.commit` accepts it."""
        segment = self._segment
        header = RecordHeader(
            offset=segment.position,
            sequence=segment.sequence,
            payload_length=self._length,
            payload_hash=self._hash.intdigest(),
            meta_length=len(self._meta),
        )
        segment.last_length = header.next_offset - segment.position
        segment.position = header.next_offset
        segment.sequence += 1
        self._is_open = False
        self._batch._ended((header, self._meta))

    def abort(self) -> None:
        """Give the record up; harmless when it has ended already."""
        if not self._is_open:
            return
        self._is_open = False
        _shrink(self._segment, self._size_before)
        self._batch._ended(None)

    def _reserve(self, end: int) -> None:
        """Allocate in big steps when an instance is bigger than the segment; at the end of the
        disk, just what it needs."""
        segment = self._segment
        if end <= segment.size:
            return
        for size in (max(end, segment.size + _GROW_BYTES), end):
            try:
                os.posix_fallocate(segment.fd, segment.size, size - segment.size)
            except OSError as error:
                if error.errno != errno.ENOSPC or size == end:
                    raise
                os.ftruncate(segment.fd, segment.size)  # what was allocated before it failed
            else:
                segment.size = size
                return


def _seal(held: list[_Held]) -> None:
    """Payloads first: in the moment between headers and their sync there is little to lose."""
    held = [each for each in held if each.records]
    for each in held:
        os.fdatasync(each.segment.fd)
    for each in held:
        for header, meta in each.records:
            write_at(each.segment.fd, header.offset, [header.encode(each.segment.key, meta), meta])
    for each in held:
        os.fdatasync(each.segment.fd)


def _unseal(held: _Held) -> None:
    held.segment.is_broken = True  # what a failed sync left on disk is not known
    for header, _ in held.records:
        with contextlib.suppress(OSError):
            os.pwrite(held.segment.fd, bytes(RECORD_HEADER), header.offset)


def _rewind(held: _Held) -> None:
    """The place of records that nobody has seen is free again."""
    if held.records:
        first = held.records[0][0]
        held.segment.position, held.segment.sequence = first.offset, first.sequence


def _shrink(segment: Segment, size: int) -> None:
    if segment.size > size:
        with contextlib.suppress(OSError):
            os.ftruncate(segment.fd, size)
            segment.size = size
