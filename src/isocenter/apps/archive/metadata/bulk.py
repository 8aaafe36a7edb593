"""Bulk data of stored instances: what a BulkDataURI of the metadata leads to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from isocenter.apps.archive.models import Instance
from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.frames import find_frames
from isocenter.core.dicom.json_model.places import Location, MadeValue, locate
from isocenter.core.dicom.part10 import EXPLICIT_LITTLE
from isocenter.core.dicom.structure import PIXEL_TAGS
from isocenter.core.errors import DicomError, NotFound

_PIECE = 1 << 20
_OCTETS = "application/octet-stream"
_PIXEL_DATA = 0x7FE00010

#: Media types of encapsulated pixel data (PS3.18 Tables 8.7.3-2, 8.7.3-4 and 8.7.3-5).
MEDIA_TYPES = {
    **dict.fromkeys(("50", "51", "57", "70"), "image/jpeg"),
    **dict.fromkeys(("80", "81"), "image/jls"),
    **dict.fromkeys(("90", "91"), "image/jp2"),
    **dict.fromkeys(("92", "93"), "image/jpx"),
    **dict.fromkeys(("201", "202"), "image/jphc"),
    "203": "image/jphc",
    **dict.fromkeys(("100", "101"), "video/mpeg2"),
    **dict.fromkeys(("102", "103", "104", "105", "106", "107", "108"), "video/mp4"),
}
_ENCAPSULATED = "1.2.840.10008.1.2.4."
_RLE = "1.2.840.10008.1.2.5"


@dataclass(frozen=True)
class BulkPart:
    """One part of an answer: a whole value, or one frame of encapsulated pixel data.

    Attributes:
        path: the file, absolute.
        ranges: (offset, length) in it, to be put together; empty where ``made`` has it.
        made: what has to be made while it is read: of deflated and of big endian data sets.
    """

    path: Path
    ranges: tuple[tuple[int, int], ...] = ()
    made: MadeValue | None = None

    @property
    def length(self) -> int:
        """In bytes."""
        if self.made is not None:
            return self.made.length
        return sum(length for _, length in self.ranges)

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` to before ``stop``, a megabyte at a time.

        Raises:
            OSError: the file is gone, or shorter than it was.
            DicomError: a value that has to be made cannot be.
        """
        stop = self.length if stop is None else min(stop, self.length)
        if self.made is not None:
            yield from self.made.pieces(start, stop - start)
            return
        with self.path.open("rb", buffering=0) as file:
            before = 0
            for offset, length in self.ranges:
                first, last = max(start - before, 0), min(stop - before, length)
                for begin in range(first, last, _PIECE):
                    wanted = min(_PIECE, last - begin)
                    yield _read(file.fileno(), offset + begin, wanted)
                before += length


def _read(descriptor: int, offset: int, length: int) -> bytes:
    data = os.pread(descriptor, length, offset)
    while len(data) < length and (
        more := os.pread(descriptor, length - len(data), offset + len(data))
    ):
        data += more
    if len(data) < length:
        raise OSError("the file is shorter than it was")
    return data


@dataclass(frozen=True)
class BulkData:
    """A value of an instance.

    Attributes:
        vr: as stored.
        content_type: of each part: ``application/octet-stream``, or for encapsulated pixel data
            that of its transfer syntax (PS3.18 Table 8.7.3-5), for example ``image/jpeg``.
        transfer_syntax_uid: of the parts; explicit little endian where they are plain values.
        is_pixel_data: Pixel Data, Float Pixel Data or Double Float Pixel Data.
        parts: one; one per frame where the pixel data is encapsulated. Where its fragments cannot
            be told apart as frames: one with all of them.
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

    The file is walked, in bounds and without decoding anything, so this needs no other process;
    what has to be inflated or turned is so while it is read, a piece at a time.

    Args:
        place: ``7FE00010``; in sequences ``00540016/0/7FE00010`` with item numbers from 0.

    Raises:
        NotFound: no such instance, or it has no such attribute with a value.
        DicomError: the file cannot be read that far.
        OSError: the file is gone.
    """
    rows = Instance.objects.filter(
        sop_uid=sop_uid, series__series_uid=series_uid, study__study_uid=study_uid
    )
    row = rows.values_list("path", "digest").first()
    if row is None:
        raise NotFound(f"no instance {sop_uid} is in series {series_uid} of study {study_uid}")
    path = settings.LAYOUT.archive / row[0]
    bounds = _bounds()
    found = locate(path, place, bounds)
    if found.is_encapsulated:
        syntax, parts = found.transfer_syntax_uid, _frames(path, found, bounds)
    else:
        syntax, parts = EXPLICIT_LITTLE, (BulkPart(path, found.ranges, found.made),)
    return BulkData(
        vr=found.vr,
        content_type=_media_type(syntax),
        transfer_syntax_uid=syntax,
        is_pixel_data=found.tag in PIXEL_TAGS,
        parts=parts,
        etag=hashlib.sha256(f"{row[1]} {place.upper()}".encode()).hexdigest()[:32],
    )


def _bounds() -> Bounds:
    limits = settings.ISOCENTER.limits
    return Bounds(
        max_depth=limits.max_depth,
        max_elements=limits.max_elements,
        max_instance_bytes=limits.max_instance_mb << 20,
        max_pixels=limits.max_pixels,
    )


def _frames(path: Path, found: Location, bounds: Bounds) -> tuple[BulkPart, ...]:
    """A part per frame, where the fragments can be told apart."""
    if found.tag == _PIXEL_DATA and found.is_top_level:
        try:
            frames = find_frames(path, bounds)
            places = frames.places(range(frames.header.frames))
            return tuple(BulkPart(path, place.ranges) for place in places)
        except DicomError:
            return (BulkPart(path, found.ranges),)
    return (BulkPart(path, found.ranges),)


def _media_type(syntax: str) -> str:
    if syntax == _RLE:
        return "image/dicom-rle"
    if not syntax.startswith(_ENCAPSULATED):
        return _OCTETS
    return MEDIA_TYPES.get(syntax.removeprefix(_ENCAPSULATED).split(".")[0], _OCTETS)
