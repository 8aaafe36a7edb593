"""Bytes of a spool segment.

A segment starts with one block that holds a random key. Records follow, each on a 4096 byte
boundary::

    128 byte header | meta (JSON) | payload (a complete Part 10 file) | padding to 4096

The header holds the payload's xxh3-64 and a keyed BLAKE2b over itself and the meta. A record
whose MAC or hash is wrong is not there: torn writes, blocks of the segment's earlier life and
record headers that a sender hid in its pixels all fail the check, because the key is new each
time a segment is taken into use and never leaves the spool.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import struct
from dataclasses import dataclass
from typing import Any

from isocenter.core.errors import SpoolError

BLOCK = 4096
FIRST_RECORD = BLOCK
RECORD_HEADER = 128
MAX_META = 64 * 1024
SUFFIX = ".seg"

_SEGMENT_MAGIC = b"ISOSEGM\x01"
_SEGMENT = struct.Struct("<8sQQ16s")  # magic, created (ns), nominal size, key
_RECORD_MAGIC = b"ISORECD\x01"
_RECORD = struct.Struct("<8sQQQQI")  # magic, offset, sequence, payload length, xxh3, meta length
_MAC_SIZE = 32


def align(offset: int) -> int:
    """The next block boundary at or after ``offset``."""
    return (offset + BLOCK - 1) & ~(BLOCK - 1)


def new_key() -> bytes:
    return os.urandom(16)


def encode_segment_block(key: bytes, size: int, created_ns: int) -> bytes:
    """First block of a segment, with a checksum of its own."""
    body = _SEGMENT.pack(_SEGMENT_MAGIC, created_ns, size, key)
    block = body + hashlib.blake2b(body, digest_size=_MAC_SIZE).digest()
    return block.ljust(BLOCK, b"\0")


@dataclass(frozen=True)
class SegmentBlock:
    """What the first block says: the key of the records, the size as allocated at first."""

    key: bytes
    size: int


def decode_segment_block(block: bytes) -> SegmentBlock | None:
    """The first block's content, or None when it is not whole."""
    body = block[: _SEGMENT.size]
    if len(block) < BLOCK or not body.startswith(_SEGMENT_MAGIC):
        return None
    checksum = block[_SEGMENT.size : _SEGMENT.size + _MAC_SIZE]
    if hashlib.blake2b(body, digest_size=_MAC_SIZE).digest() != checksum:
        return None
    _, _, size, key = _SEGMENT.unpack(body)
    return SegmentBlock(key=key, size=size)


@dataclass(frozen=True)
class RecordHeader:
    """Where a record is and how long its parts are, in bytes."""

    offset: int
    sequence: int
    payload_length: int
    payload_hash: int
    meta_length: int

    @property
    def payload_offset(self) -> int:
        return self.offset + RECORD_HEADER + self.meta_length

    @property
    def next_offset(self) -> int:
        return align(self.payload_offset + self.payload_length)

    def encode(self, key: bytes, meta: bytes) -> bytes:
        """The 128 bytes in front of the meta."""
        fields = _RECORD.pack(
            _RECORD_MAGIC,
            self.offset,
            self.sequence,
            self.payload_length,
            self.payload_hash,
            self.meta_length,
        )
        return (fields + _mac(key, fields, meta)).ljust(RECORD_HEADER, b"\0")


def decode_lengths(head: bytes, offset: int) -> RecordHeader | None:
    """Header fields as they stand, before the MAC is checked; None when they cannot be ours."""
    if len(head) < RECORD_HEADER or not head.startswith(_RECORD_MAGIC):
        return None
    _, at, sequence, payload, digest, meta = _RECORD.unpack_from(head)
    if at != offset or meta > MAX_META:
        return None
    return RecordHeader(offset, sequence, payload, digest, meta)


def is_authentic(head: bytes, key: bytes, meta: bytes) -> bool:
    """True when the MAC in ``head`` was made with this segment's key over this meta."""
    fields = head[: _RECORD.size]
    found = head[_RECORD.size : _RECORD.size + _MAC_SIZE]
    return hmac.compare_digest(found, _mac(key, fields, meta))


def encode_meta(meta: dict[str, Any]) -> bytes:
    """JSON of a record's meta.

    Raises:
        SpoolError: longer than 64 KiB.
    """
    encoded = json.dumps(meta, separators=(",", ":"), ensure_ascii=True).encode()
    if len(encoded) > MAX_META:
        raise SpoolError(f"meta of a spool record is {len(encoded)} bytes, at most {MAX_META}")
    return encoded


def _mac(key: bytes, fields: bytes, meta: bytes) -> bytes:
    digest = hashlib.blake2b(fields, digest_size=_MAC_SIZE, key=key)
    digest.update(meta)
    return digest.digest()
