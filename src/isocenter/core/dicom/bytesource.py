"""Random access to the bytes of a data set, wherever they are: memory, file, deflated."""

from __future__ import annotations

import os
import zlib
from typing import Protocol

from isocenter.core.errors import BoundsError, DataSetError

_CHUNK = 1 << 16


class ByteSource(Protocol):
    """The bytes of one data set, addressed from its first byte."""

    def read(self, position: int, length: int) -> bytes:
        """``length`` bytes at ``position``, fewer at the end."""


class BufferSource:
    """Bytes in memory."""

    def __init__(self, buffer: bytes | bytearray | memoryview, offset: int = 0) -> None:
        self._view = memoryview(buffer).cast("B")[offset:]

    def read(self, position: int, length: int) -> bytes:
        return self._view[position : position + length].tobytes()


class FileSource:
    """A part of an open file. Its position is neither used nor moved."""

    def __init__(self, fd: int, offset: int = 0, length: int | None = None) -> None:
        self._fd = fd
        self._offset = offset
        self._length = length

    def read(self, position: int, length: int) -> bytes:
        if self._length is not None:
            length = min(length, self._length - position)
        if length <= 0:
            return b""
        data = os.pread(self._fd, length, self._offset + position)
        while data and len(data) < length:
            more = os.pread(self._fd, length - len(data), self._offset + position + len(data))
            if not more:
                break
            data += more
        return data


class InflatingSource:
    """The inflated bytes of a deflated data set (PS3.5 A.5), made as they are asked for.

    Only a window is kept, so positions must not go back by more than 64 KiB. No more than
    ``max_bytes`` are inflated.

    Raises (from :meth:`read`):
        BoundsError: the data set inflates to more.
        DataSetError: the bytes are not deflated, or a position is asked for that has gone.
    """

    def __init__(self, source: ByteSource, max_bytes: int) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._taken = 0  # deflated bytes
        self._start = 0  # position of the window
        self._window = bytearray()
        self._ended = False

    def read(self, position: int, length: int) -> bytes:
        if position < self._start:
            raise DataSetError(f"the inflated data set cannot be read back at byte {position}")
        while not self._ended and self._start + len(self._window) < position + length:
            surplus = min(position, self._start + len(self._window)) - _CHUNK - self._start
            if surplus > _CHUNK:
                del self._window[:surplus]
                self._start += surplus
            self._inflate()
        begin = position - self._start
        return bytes(self._window[begin : begin + length])

    def _inflate(self) -> None:
        pending = self._inflater.unconsumed_tail
        if not pending:
            pending = self._source.read(self._taken, _CHUNK)
            self._taken += len(pending)
        try:
            made = self._inflater.decompress(pending, _CHUNK)
        except zlib.error as error:
            raise DataSetError(f"the deflated data set cannot be inflated: {error}") from None
        self._window += made
        self._ended = self._inflater.eof or (not pending and not made)
        if self._start + len(self._window) > self._max_bytes:
            raise BoundsError(f"the data set inflates to more than {self._max_bytes} bytes")
