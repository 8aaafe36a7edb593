"""One file with the documents of a series: compressed, ready to be put together and sent.

Layout: magic, a head of fixed length, a table of blocks, the index, the blocks. A block holds
objects with commas between them, so an answer is the blocks with brackets around and commas
between; it is unpacked with no look at what is in it. There is one sequence of blocks with all
attributes and one without those that identify. The first block holds the first instance alone,
because that is all that a question about a study or series needs.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from isal import igzip_lib, isal_zlib

from isocenter.core.dicom.json_model.document import Document
from isocenter.core.errors import DataSetError

#: Part of every stamp: documents of another form are made anew.
FORMAT = 1

_MAGIC = b"ISOMETA1"
_HEAD = struct.Struct("<8s64sIIIII")  # magic, stamp, instances, damaged, blocks, index, its CRC
_BLOCK = struct.Struct("<II")  # packed and unpacked length
_BLOCK_BYTES = 512 << 10
_MAX_UNPACKED = 1 << 30
_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance's two objects are: block, offset and length in it; and its damage."""

    sop_uid: str
    block: int
    full: tuple[int, int]
    plain: tuple[int, int]
    damage: str


class SeriesWriter:
    """Collects the documents of a series and writes the file."""

    def __init__(self) -> None:
        self._packed: tuple[list[tuple[bytes, int]], list[tuple[bytes, int]]] = ([], [])
        self._open: tuple[list[bytes], list[bytes]] = ([], [])
        self._lengths = [0, 0]
        self._index: list[list[Any]] = []
        self._damaged = 0

    def add(self, sop_uid: str, document: Document) -> None:
        """The next instance, in the order of the answer."""
        if len(self._index) == 1 or max(self._lengths) >= _BLOCK_BYTES:
            self._close_block()
        entry: list[Any] = [sop_uid, len(self._packed[0])]
        for which, text in enumerate((document.full, document.plain)):
            data = text.encode("utf-8", "replace")
            entry += [self._lengths[which], len(data)]
            self._open[which].append(data)
            self._lengths[which] += len(data) + 1
        self._index.append([*entry, document.damage])
        self._damaged += bool(document.damage)

    def _close_block(self) -> None:
        for which in (0, 1):
            data = b",".join(self._open[which])
            self._packed[which].append((zlib.compress(data, _LEVEL), len(data)))
            self._open[which].clear()
            self._lengths[which] = 0

    def write(self, path: Path, stamp: str) -> None:
        """Write the file, durably. Nothing can be added afterwards.

        Raises:
            OSError: the disk does not take it.
        """
        if self._open[0]:
            self._close_block()
        index = zlib.compress(json.dumps(self._index).encode(), _LEVEL)
        table = [(len(data), length) for part in self._packed for data, length in part]
        head = _HEAD.pack(
            _MAGIC,
            stamp.encode("ascii"),
            len(self._index),
            self._damaged,
            len(self._packed[0]),
            len(index),
            zlib.crc32(index),
        )
        with path.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(head)
            file.write(b"".join(_BLOCK.pack(*row) for row in table))
            file.write(index)
            for part in self._packed:
                for data, _ in part:
                    file.write(data)
            file.flush()
            os.fsync(file.fileno())


class SeriesFile:
    """An open file of a series.

    Attributes:
        stamp: what it was written with.
        instances: how many.
        damaged: how many of them are not complete.

    Raises:
        DataSetError: no such file, or a broken one (from every method, too).
        OSError: it cannot be read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        start = file.read(_HEAD.size)
        if len(start) < _HEAD.size or not start.startswith(_MAGIC):
            raise DataSetError("no document of a series")
        _, stamp, self.instances, self.damaged, self._blocks, index, crc = _HEAD.unpack(start)
        self.stamp = stamp.rstrip(b"\0").decode("latin-1")
        self._index = (_HEAD.size + 2 * self._blocks * _BLOCK.size, index, crc)
        self._starts: list[tuple[int, int, int]] = []

    def _table(self) -> list[tuple[int, int, int]]:
        """(offset, packed length, unpacked length) of all blocks, the plain ones last."""
        if not self._starts:
            table = os.pread(self._file.fileno(), 2 * self._blocks * _BLOCK.size, _HEAD.size)
            if len(table) != 2 * self._blocks * _BLOCK.size:
                raise DataSetError("the document of a series is cut off")
            offset = self._index[0] + self._index[1]
            for packed, unpacked in _BLOCK.iter_unpack(table):
                self._starts.append((offset, packed, unpacked))
                offset += packed
        return self._starts

    def block(self, number: int, *, identified: bool) -> bytes:
        """Objects with commas between them."""
        offset, packed, unpacked = self._table()[number if identified else self._blocks + number]
        data = os.pread(self._file.fileno(), packed, offset)
        try:
            made: bytes = isal_zlib.decompress(data, bufsize=min(unpacked, _MAX_UNPACKED) + 1)
        except igzip_lib.IsalError as error:  # type: ignore[misc]  # typed as no class
            raise DataSetError(f"the document of a series is broken: {error}") from None
        if len(made) != unpacked:
            raise DataSetError("the document of a series is broken: a block has another length")
        return made

    def blocks(self, *, identified: bool, start: int = 0) -> Iterator[bytes]:
        """All of them in order, or those from ``start`` on."""
        for number in range(start, self._blocks):
            yield self.block(number, identified=identified)

    def places(self) -> list[Place]:
        """Where each instance is, in order."""
        offset, length, crc = self._index
        data = os.pread(self._file.fileno(), length, offset)
        if zlib.crc32(data) != crc:
            raise DataSetError("the index of a series' document is broken")
        return [
            Place(row[0], row[1], (row[2], row[3]), (row[4], row[5]), row[6])
            for row in json.loads(zlib.decompress(data))
        ]
