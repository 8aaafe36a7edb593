"""Answers to questions for metadata (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from isal import isal_zlib

from isocenter.apps.archive.metadata import building, store
from isocenter.apps.archive.metadata.stamps import SeriesNow, series_now
from isocenter.apps.archive.models import Instance
from isocenter.core.dicom.json_model import MARK, SeriesFile
from isocenter.core.dicom.json_model.native_xml import native_xml
from isocenter.core.errors import DataSetError, NotFound

_PIECE = 1 << 20
_GZIP = 31  # window bits: a gzip member
_PACKING = 1  # fast; the documents say the same again and again, and pack well at any level
_MARK = MARK.encode()


@dataclass(frozen=True)
class Metadata:
    """The metadata of a study, series or instance.

    Attributes:
        etag: strong, without quotes; of the content with a base URL left out: an answer's own tag
            has to differ with the base URL, ``identified`` and the coding.
        instances: how many.
    """

    etag: str
    instances: int
    _series: tuple[SeriesNow, ...] = field(repr=False)
    _sop_uid: str = field(default="", repr=False)

    def json(self, base_url: str, *, identified: bool) -> Iterator[bytes]:
        """One JSON array (``application/dicom+json``), about a megabyte at a time.

        Documents that are not there yet are built before the piece that needs them: take the
        first piece before the answer's head is sent.

        Args:
            base_url: of ``/dicom-web``, without a slash at the end; goes before BulkDataURIs.
            identified: False leaves out what identifies (PS3.15 Table E.1-1), and private
                attributes.

        Raises:
            OSError: a document cannot be written or read.
            ChildError: a file that ends every process that reads it.
        """
        pieces: list[bytes] = []
        length, before = 0, b"["
        for block in self._blocks(base_url, identified=identified):
            pieces += (before, block)
            length += len(block)
            before = b","
            if length >= _PIECE:
                yield b"".join(pieces)
                pieces, length = [], 0
        yield b"".join((*pieces, b"[]" if before == b"[" else b"]"))

    def gzipped(self, base_url: str, *, identified: bool = True) -> Iterator[bytes]:
        """The same as a gzip stream (``Content-Encoding: gzip``)."""
        packer = isal_zlib.compressobj(_PACKING, wbits=_GZIP)
        for piece in self.json(base_url, identified=identified):
            if packed := packer.compress(piece):
                yield packed
        yield packer.flush()

    def datasets(self, base_url: str, *, identified: bool) -> Iterator[dict[str, Any]]:
        """The same as one object per instance."""
        for block in self._blocks(base_url, identified=identified):
            yield from json.loads(b"[%b]" % block)

    def xml(self, base_url: str, *, identified: bool) -> Iterator[bytes]:
        """One Native DICOM Model document (PS3.19 A.1) per instance, for multipart answers."""
        for dataset in self.datasets(base_url, identified=identified):
            yield native_xml(dataset)

    def _blocks(self, base_url: str, *, identified: bool) -> Iterator[bytes]:
        base = json.dumps(base_url)[1:-1].encode()
        for series in self._series:
            for block in self._series_blocks(series, identified):
                yield block.replace(_MARK, base)

    def _series_blocks(self, series: SeriesNow, identified: bool) -> Iterator[bytes]:
        if self._sop_uid:
            yield _instance(series, self._sop_uid, identified)
            return
        given = 0
        with store.opened(series) as found:
            if found is not None:
                try:
                    for block in found.blocks(identified=identified):
                        yield block
                        given += 1
                except DataSetError:
                    store.discard(series)
                    if given:  # what is made anew may not begin with the same
                        raise
                else:
                    return
        with building.made(series) as file:
            yield from SeriesFile(file).blocks(identified=identified)


def _instance(series: SeriesNow, sop_uid: str, identified: bool) -> bytes:
    """The object of one instance; of a series whose document is not there it is read alone."""
    with store.opened(series) as found:
        if found is not None:
            try:
                if text := _cut(found, sop_uid, identified):
                    return text
            except DataSetError:
                store.discard(series)
    with building.single(series, sop_uid) as path, path.open("rb", buffering=0) as file:
        if text := _cut(SeriesFile(file), sop_uid, identified):
            return text
    raise NotFound(f"no instance {sop_uid} is in series {series.series_uid}")


def _cut(found: SeriesFile, sop_uid: str, identified: bool) -> bytes:
    for place in found.places():
        if place.sop_uid == sop_uid:
            offset, length = place.full if identified else place.plain
            return found.block(place.block, identified=identified)[offset : offset + length]
    return b""


def metadata(study_uid: str, series_uid: str = "", sop_uid: str = "") -> Metadata:
    """The metadata of a study, of one of its series, or of one instance. Nothing is read yet.

    Raises:
        NotFound: it is not here.
    """
    series = series_now(study_uid, series_uid)
    if not series:
        what = f"series {series_uid} of study {study_uid}" if series_uid else f"study {study_uid}"
        raise NotFound(f"no {what} is here")
    if not sop_uid:
        count = sum(each.instances for each in series)
        return Metadata(_etag(*(each.stamp for each in series)), count, tuple(series))
    rows = Instance.objects.filter(sop_uid=sop_uid, series__in=[each.key for each in series])
    row = rows.values_list("series_id", "digest").first()
    if row is None:
        raise NotFound(f"no instance {sop_uid} is in series {series_uid}")
    own = next(each for each in series if each.key == row[0])
    return Metadata(_etag(own.stamp, sop_uid), 1, (own,), sop_uid)


def _etag(*stamps: str) -> str:
    return hashlib.sha256(" ".join(stamps).encode("utf-8", "surrogatepass")).hexdigest()[:32]
