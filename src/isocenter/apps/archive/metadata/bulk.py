"""Bulk data of stored instances: what a BulkDataURI of the metadata leads to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.errors import NotFound

_PIECE = 1 << 20


@dataclass(frozen=True)
class BulkPart:
    """One part of an answer: a whole value, or one frame of encapsulated pixel data.

    Attributes:
        path: the file, absolute.
        ranges: (offset, length) in it, to be put together; empty where ``data`` has the bytes.
        data: bytes that had to be made: of deflated and of big endian data sets.
    """

    path: Path
    ranges: tuple[tuple[int, int], ...] = ()
    data: bytes | None = None

    @property
    def length(self) -> int:
        """In bytes."""
        if self.data is not None:
            return len(self.data)
        return sum(length for _, length in self.ranges)

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` to before ``stop``, a megabyte at a time.

        Raises:
            OSError: the file is gone, or shorter than it was.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class BulkData:
    """A value of an instance.

    Attributes:
        vr: as stored.
        content_type: of each part: ``application/octet-stream``, or for encapsulated pixel data
            that of its transfer syntax (PS3.18 Table 8.7.3-5), for example ``image/jpeg``.
        transfer_syntax_uid: of the parts; explicit little endian where they are plain values.
        is_pixel_data: Pixel Data, Float Pixel Data or Double Float Pixel Data.
        parts: one; one per frame where the pixel data is encapsulated.
        etag: changes with the bytes.
    """

    vr: str
    content_type: str
    transfer_syntax_uid: str
    is_pixel_data: bool
    parts: tuple[BulkPart, ...]
    etag: str


def bulk_data(study_uid: str, series_uid: str, sop_uid: str, place: str) -> BulkData:
    """The value that a BulkDataURI names.

    Args:
        place: ``7FE00010``; in sequences ``00540016/0/7FE00010`` with item numbers from 0.

    Raises:
        NotFound: no such instance, or it has no such attribute with a value.
        DicomError: the file cannot be read that far.
        OSError: the file is gone.
    """
    raise NotFound(f"instance {sop_uid} has no bulk data at this place")
