"""Writing records: payload, header, sync; only then is an instance accepted."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import xxhash

from isocenter.core.errors import SpoolError

from .segment import Segment
from .segment_format import RECORD_HEADER, RecordHeader, encode_meta

if TYPE_CHECKING:
    from .pool import Spool

Buffer = bytes | bytearray | memoryview
_MAX_IOVECS = 1000  # IOV_MAX is 1024
_GROW_BYTES = 64 << 20


class SpoolWriter:
    """Writes one record after the other; for one thread at a time.

    It keeps a segment until that is full, and gives it back to the spool when closed.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._segment: Segment | None = None
        self._is_recording = False

    def begin(self, meta: dict[str, Any], head: bytes = b"") -> RecordWriter:
        """Start a record.

        Args:
            meta: JSON object; kept in front of the payload (at most 64 KiB).
            head: first bytes of the payload.

        Raises:
            SpoolError: no segment can be made, or a record is open already.
        """
        if self._is_recording:
            raise SpoolError("the record before was neither committed nor aborted")
        encoded = encode_meta(meta)
        if self._segment is not None and self._segment.is_full:
            self._segment.close()
            self._segment = None
        if self._segment is None:
            self._segment = self._spool.acquire()
        self._is_recording = True
        return RecordWriter(self, self._segment, encoded, head)

    def close(self) -> None:
        """Give the segment back. A record that is still open is dropped."""
        segment, self._segment = self._segment, None
        if segment is not None:
            if self._is_recording:
                segment.close()
            else:
                self._spool.release(segment)
        self._is_recording = False

    def __enter__(self) -> SpoolWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ended(self, *, committed: bool) -> None:
        self._is_recording = False
        if committed:
            self._spool.notify()


class RecordWriter:
    """One record. Nothing is accepted before :meth:`commit` has returned."""

    def __init__(self, writer: SpoolWriter, segment: Segment, meta: bytes, head: bytes) -> None:
        self._writer = writer
        self._segment = segment
        self._meta = meta
        self._head = head
        self._start = segment.position
        self._size_before = segment.size
        self._payload_offset = self._start + RECORD_HEADER + len(meta)
        self._length = 0
        self._hash = xxhash.xxh3_64()
        self._is_open = True

    @property
    def length(self) -> int:
        """Payload bytes so far."""
        return self._length + len(self._head)

    def revise(self, meta: dict[str, Any]) -> None:
        """Replace the meta by one of the same encoded length, for what is known at the end only.

        Raises:
            SpoolError: it is shorter or longer.
        """
        encoded = encode_meta(meta)
        if len(encoded) != len(self._meta):
            raise SpoolError(f"the meta is {len(encoded)} bytes and was {len(self._meta)}")
        self._meta = encoded

    def write(self, *buffers: Buffer) -> None:
        """Append to the payload; the buffers may be reused when this returns.

        The kernel is asked to begin writing these bytes out, so that the sync at the end finds
        less to do: one association acknowledged an eighth more CT slices per second.

        Raises:
            SpoolError: disk full or failing. The record is undone.
        """
        start = self._payload_offset + self._length
        try:
            self._append(buffers)
            length = self._payload_offset + self._length - start
            os.posix_fadvise(self._segment.fd, start, length, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            self.abort()
            raise SpoolError(f"the spool cannot be written: {error}") from error

    def commit(self, *buffers: Buffer) -> None:
        """Append ``buffers``, write the header, sync. Durable when it returns.

        Raises:
            SpoolError: disk full or failing. The record is undone.
        """
        try:
            if self._length == 0:
                self._write_whole(buffers)
            else:
                self._append(buffers)
                self._write_at(self._start, [self._header(), self._meta])
            os.fdatasync(self._segment.fd)
        except OSError as error:
            self._segment.is_broken = True  # what a failed sync left on disk is not known
            self.abort()
            raise SpoolError(f"the spool cannot be written: {error}") from error
        self._close_record()

    def abort(self) -> None:
        """Undo the record; harmless when it has ended already."""
        if not self._is_open:
            return
        self._is_open = False
        segment = self._segment
        with contextlib.suppress(OSError):
            if segment.is_broken:
                os.pwrite(segment.fd, bytes(RECORD_HEADER), self._start)
            if segment.size > self._size_before:
                os.ftruncate(segment.fd, self._size_before)
                segment.size = self._size_before
        self._writer._ended(committed=False)

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def _close_record(self) -> None:
        segment = self._segment
        header = self._record()
        segment.position = header.next_offset
        segment.last_length = header.next_offset - self._start
        segment.sequence += 1
        self._is_open = False
        self._writer._ended(committed=True)

    def _append(self, buffers: Sequence[Buffer]) -> None:
        pieces: list[Buffer] = [self._head, *buffers] if self._head else list(buffers)
        self._head = b""
        offset = self._payload_offset + self._length
        total = self._count(pieces)
        self._reserve(offset + total)
        self._write_at(offset, pieces)

    def _write_whole(self, buffers: Sequence[Buffer]) -> None:
        """Header, meta and payload in one call: what a small instance needs."""
        pieces: list[Buffer] = [self._head, *buffers] if self._head else list(buffers)
        self._head = b""
        total = self._count(pieces)
        self._reserve(self._payload_offset + total)
        self._write_at(self._start, [self._header(), self._meta, *pieces])

    def _count(self, pieces: Sequence[Buffer]) -> int:
        total = 0
        for piece in pieces:
            self._hash.update(piece)
            total += len(piece)
        self._length += total
        return total

    def _reserve(self, end: int) -> None:
        """Allocate in big steps when an instance is bigger than the segment; at the end of the
        disk, just what it needs."""
        segment = self._segment
        if end <= segment.size:
            return
        try:
            self._grow(max(end, segment.size + _GROW_BYTES))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            os.ftruncate(segment.fd, segment.size)  # what was allocated before it failed
            self._grow(end)

    def _grow(self, size: int) -> None:
        segment = self._segment
        os.posix_fallocate(segment.fd, segment.size, size - segment.size)
        segment.size = size

    def _write_at(self, offset: int, pieces: Sequence[Buffer]) -> None:
        write_at(self._segment.fd, offset, pieces)

    def _header(self) -> bytes:
        return self._record().encode(self._segment.key, self._meta)

    def _record(self) -> RecordHeader:
        return RecordHeader(
            offset=self._start,
            sequence=self._segment.sequence,
            payload_length=self._length,
            payload_hash=self._hash.intdigest(),
            meta_length=len(self._meta),
        )


def write_at(fd: int, offset: int, pieces: Sequence[Buffer]) -> None:
    """Write all of these, one behind the other."""
    for first in range(0, len(pieces), _MAX_IOVECS):
        group = pieces[first : first + _MAX_IOVECS]
        expected = sum(map(len, group))
        written = os.pwritev(fd, group, offset)
        if written != expected:
            _write_rest(fd, group, offset, written)
        offset += expected


def _write_rest(fd: int, pieces: Sequence[Buffer], offset: int, written: int) -> None:
    """Go on after a short write, which a full disk or a signal can cause."""
    rest = b"".join(pieces)[written:]
    offset += written
    while rest:
        count = os.pwrite(fd, rest, offset)
        if count == 0:
            raise OSError("the disk takes no more bytes")
        rest = rest[count:]
        offset += count
