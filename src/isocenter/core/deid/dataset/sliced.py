"""Bytes in memory, or mapped, read from their start as a file is."""

from __future__ import annotations

import mmap


class Sliced:
    """Reads by slices: no more of a large value is copied than is asked for."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self._data = data
        self._position = 0

    def read(self, size: int, /) -> bytes:
        """The next bytes, fewer at the end."""
        start = self._position
        self._position = min(len(self._data), start + size)
        return self._data[start : self._position]
