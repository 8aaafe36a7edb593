"""Reading records back: only what was written whole counts."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from isocenter.core.errors import SpoolError

from .segment import sync_folder
from .segment_format import (
    BLOCK,
    FIRST_RECORD,
    RECORD_HEADER,
    SUFFIX,
    RecordHeader,
    decode_lengths,
    decode_segment_block,
    is_authentic,
)

_CHUNK = 1 << 20


@dataclass(frozen=True)
class SpoolRecord:
    """One committed record. Its bytes can be read until the reader goes on to the next one.

    Attributes:
        segment: name of the segment.
        offset: where the record starts; with ``segment`` its identity.
        next_offset: where to go on; what a SpoolCursor keeps.
        meta: what :meth:`SpoolWriter.begin` was given.
        payload_length: bytes of the Part 10 file.
    """

    segment: str
    offset: int
    next_offset: int
    meta: dict[str, Any]
    payload_offset: int
    payload_length: int
    fd: int = field(repr=False)

    def read(self, size: int = -1, at: int = 0) -> bytes:
        """``size`` bytes of the payload from ``at``; all of it by default."""
        left = max(self.payload_length - at, 0)
        wanted = left if size < 0 else min(size, left)
        return os.pread(self.fd, wanted, self.payload_offset + at) if wanted else b""

    def chunks(self, size: int = _CHUNK, at: int = 0) -> Iterator[memoryview]:
        """The payload from ``at`` in pieces; each is overwritten by the next."""
        buffer = memoryview(bytearray(min(size, max(self.payload_length - at, 1))))
        while at < self.payload_length:
            piece = buffer[: min(len(buffer), self.payload_length - at)]
            count = os.preadv(self.fd, [piece], self.payload_offset + at)
            if count == 0:
                raise SpoolError(f"segment {self.segment} ends inside the record at {self.offset}")
            yield piece[:count]
            at += count


class SpoolReader:
    """The reading end of a spool folder; one process at a time reads and discards.

    Args:
        folder: the spool folder.
        keep_free: discarded segments kept to be written again.
    """

    def __init__(self, folder: Path, *, keep_free: int = 16) -> None:
        self._segments = folder / "segments"
        self._free = folder / "free"
        self._damaged = folder / "damaged"
        self._keep_free = keep_free
        for path in (folder, self._segments, self._free):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def segments(self) -> list[str]:
        """Names of the segments there are, oldest first."""
        return sorted(path.stem for path in self._segments.glob(f"*{SUFFIX}"))

    def is_closed(self, segment: str) -> bool:
        """True when nobody writes this segment any more (sealed, or its writer died).

        Ask before reading: a segment that was closed and then read to its end is done with.
        """
        try:
            fd = os.open(self._path(segment), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        return True

    def records(self, segment: str, from_offset: int = 0) -> Iterator[SpoolRecord]:
        """Committed records from ``from_offset`` (0: the first) to the first that is not there.

        Every byte of a record was checked against its hash when it is given out.
        """
        try:
            fd = os.open(self._path(segment), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            block = decode_segment_block(os.pread(fd, BLOCK, 0))
            offset = max(from_offset, FIRST_RECORD)
            buffer = memoryview(bytearray(_CHUNK))
            while block is not None:
                found = _read_record(fd, block.key, offset, buffer)
                if found is None:
                    return
                header, meta = found
                yield SpoolRecord(
                    segment=segment,
                    offset=offset,
                    next_offset=header.next_offset,
                    meta=meta,
                    payload_offset=header.payload_offset,
                    payload_length=header.payload_length,
                    fd=fd,
                )
                offset = header.next_offset
        finally:
            os.close(fd)

    def damage(self, segment: str, from_offset: int) -> int | None:
        """Where to go on in a closed segment behind something at ``from_offset`` that is not whole.

        Nothing sealed follows the end of a segment. What follows a place that cannot be read was
        written after it was, so that place held a record that the disk has spoilt.

        Returns:
            offset of the next record, or of the segment's end; None when nothing is damaged.
        """
        try:
            fd = os.open(self._path(segment), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            size = os.fstat(fd).st_size
            if from_offset >= size:
                return None
            block = decode_segment_block(os.pread(fd, BLOCK, 0))
            if block is None:  # without the key nothing in it can be told from chance
                return size
            at = max(from_offset, FIRST_RECORD)
            header = _read_header(fd, block.key, at)
            if header is not None:
                return header[0].next_offset
            for place in range(at + BLOCK, size, BLOCK):
                if _read_header(fd, block.key, place) is not None:
                    return place
        finally:
            os.close(fd)
        return None

    def set_aside(self, segment: str) -> Path:
        """Keep a damaged segment for a person to look at, whatever becomes of its name here."""
        self._damaged.mkdir(exist_ok=True, mode=0o700)
        target = self._damaged / f"{segment}{SUFFIX}"
        with contextlib.suppress(FileExistsError):
            target.hardlink_to(self._path(segment))
        sync_folder(self._damaged)
        sync_folder(self._damaged.parent)
        return target

    def discard(self, segment: str) -> None:
        """Take a segment away whose records are all safe elsewhere; durable when it returns.

        Forget its SpoolCursor only afterwards. The file is kept to be written again while
        there are few of those, and unless it was set aside.
        """
        path = self._path(segment)
        is_kept = sum(1 for _ in self._free.glob(f"[!.]*{SUFFIX}")) < self._keep_free
        with contextlib.suppress(FileNotFoundError):
            if is_kept and path.stat().st_nlink == 1:
                _shrink(path)
                path.rename(self._free / path.name)
            else:
                path.unlink()
        sync_folder(self._segments)

    def _path(self, segment: str) -> Path:
        if not segment or "/" in segment or segment.startswith("."):
            raise SpoolError(f"no segment name: {segment!r}")
        return self._segments / f"{segment}{SUFFIX}"


def _shrink(path: Path) -> None:
    """Give back what a big instance made a segment grow."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        block = decode_segment_block(os.pread(fd, BLOCK, 0))
        if block is not None and os.fstat(fd).st_size > block.size:
            os.ftruncate(fd, block.size)
    finally:
        os.close(fd)


def _read_record(
    fd: int, key: bytes, offset: int, buffer: memoryview
) -> tuple[RecordHeader, dict[str, Any]] | None:
    """Header and meta of the record at ``offset`` when it is whole and ours."""
    found = _read_header(fd, key, offset)
    if found is None or not _has_hash(fd, found[0], buffer):
        return None
    decoded = json.loads(found[1])
    return (found[0], decoded) if isinstance(decoded, dict) else None


def _read_header(fd: int, key: bytes, offset: int) -> tuple[RecordHeader, bytes] | None:
    """Header and encoded meta of the record at ``offset`` when its seal is right."""
    head = os.pread(fd, BLOCK, offset)
    header = decode_lengths(head, offset)
    if header is None or header.payload_offset + header.payload_length > os.fstat(fd).st_size:
        return None
    meta = head[RECORD_HEADER : RECORD_HEADER + header.meta_length]
    if len(meta) < header.meta_length:
        meta = os.pread(fd, header.meta_length, offset + RECORD_HEADER)
    return (header, meta) if is_authentic(head, key, meta) else None


def _has_hash(fd: int, header: RecordHeader, buffer: memoryview) -> bool:
    digest = xxhash.xxh3_64()
    done = 0
    while done < header.payload_length:
        piece = buffer[: min(len(buffer), header.payload_length - done)]
        count = os.preadv(fd, [piece], header.payload_offset + done)
        if count == 0:
            return False
        digest.update(piece[:count])
        done += count
    return bool(digest.intdigest() == header.payload_hash)
