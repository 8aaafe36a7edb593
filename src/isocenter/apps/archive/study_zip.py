"""A study as a ZIP that is made while it is sent."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings

from isocenter.apps.archive.models import Instance, Study

_CHUNK = 1 << 20
_ZIP64_FROM = 1 << 31


@dataclass(frozen=True)
class ZipFile:
    """One file of the ZIP."""

    path: Path
    name: str
    size: int
    at: datetime


def zip_files(study: Study) -> list[ZipFile]:
    """What a study's ZIP holds: all its instances, derived ones too, as they are stored."""
    archive: Path = settings.LAYOUT.archive
    found = Instance.objects.filter(study=study).order_by("series_id", "instance_number", "sop_uid")
    return [
        ZipFile(archive / path, path, size, at)
        for path, size, at in found.values_list("path", "size", "received_at")
    ]


def zip_pieces(files: list[ZipFile]) -> Iterator[bytes]:
    """The bytes of a ZIP, about a megabyte at a time. DICOM packs badly: files are only stored.

    A file that is gone meanwhile is named in ``MISSING.txt``.
    """
    sink = _Sink()
    missing: list[str] = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for file in files:
            try:
                stream = file.path.open("rb")
            except OSError:
                missing.append(file.name)
                continue
            info = zipfile.ZipInfo(file.name, file.at.timetuple()[:6])
            info.external_attr = 0o600 << 16
            with (
                stream,
                archive.open(info, "w", force_zip64=file.size >= _ZIP64_FROM) as entry,
            ):
                while piece := stream.read(_CHUNK):
                    entry.write(piece)
                    if sink.length >= _CHUNK:
                        yield sink.take()
        if missing:
            archive.writestr("MISSING.txt", "\n".join(missing) + "\n")
    yield sink.take()


class _Sink:
    """What `zipfile` writes to; it cannot seek, so sizes follow each file."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.length = 0

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        self.length += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """What was taken is gone already."""

    def take(self) -> bytes:
        pieces, self._pieces, self.length = self._pieces, [], 0
        return b"".join(pieces)
