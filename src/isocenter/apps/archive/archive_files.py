"""The archive's files as they lie on the disk, folder by folder, and their digests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.dicom.part10 import read_file_meta

_PIECE = 1 << 20


@dataclass(frozen=True)
class ArchivedFile:
    """A file of the archive.

    Attributes:
        path: relative to the archive, with ``/``.
        size: in bytes.
        modified: seconds since 1970; for a file that nobody touched, when it came in.
    """

    path: str
    size: int
    modified: float


def study_folders(archive: Path) -> list[str]:
    """Names of the folders of studies, in order; folders of our own begin with a dot."""
    try:
        with os.scandir(archive) as entries:
            names = [
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            ]
    except FileNotFoundError:
        return []
    return sorted(names)


def files_of(archive: Path, study_folder: str) -> Iterator[ArchivedFile]:
    """Instances below the folder of a study, series by series; symbolic links are not followed.

    What goes away meanwhile is left out.
    """
    for series in _entries(archive / study_folder):
        if series.is_dir(follow_symlinks=False):
            for entry in _entries(Path(series.path)):
                if entry.name.endswith(".dcm") and entry.is_file(follow_symlinks=False):
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    relative = f"{study_folder}/{series.name}/{entry.name}"
                    yield ArchivedFile(relative, status.st_size, status.st_mtime)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def data_set_digest(path: Path) -> str:
    """SHA-256 of a file's data set, without file meta information, as the index keeps it.

    Raises:
        DicomError: no DICOM file.
        OSError: it cannot be read.
    """
    hasher = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        _, offset = read_file_meta(file)
        file.seek(offset)
        while piece := file.read(_PIECE):
            hasher.update(piece)
    return hasher.hexdigest()
