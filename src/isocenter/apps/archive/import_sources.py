"""What an import finds at a path: files of a folder, entries of a ZIP, files of a DICOMDIR.

Nothing is unpacked to disk and no name from inside an archive becomes a path: entries are streamed.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from isocenter.core.dicom.part10 import read_file_meta
from isocenter.core.dicom.reading import read_dataset
from isocenter.core.errors import BoundsError, ConfigurationError, DicomError

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"  # SOP class of a DICOMDIR (PS3.3 F)


class ZipBoundsError(BoundsError):
    """A ZIP with more in it than the bounds allow."""


class Readable(Protocol):
    """A stream that is read from its beginning to its end."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class ImportBounds:
    """Bounds on what an import takes from one ZIP.

    Attributes:
        max_entries: files in it.
        max_total_bytes: unpacked, all together.
        max_entry_bytes: unpacked, one file.
        max_ratio: unpacked bytes per byte of the ZIP, once `ratio_from_bytes` are unpacked. Images
            that are mostly empty pack well, so the bound is generous.
    """

    max_entries: int = 500_000
    max_total_bytes: int = 256 << 30
    max_entry_bytes: int = 8 << 30
    max_ratio: int = 200
    ratio_from_bytes: int = 1 << 30


@dataclass(frozen=True)
class Candidate:
    """A file that may be DICOM. ``open`` gives its bytes as a stream."""

    name: str
    size: int
    open: Callable[[], AbstractContextManager[Readable]]


@dataclass(frozen=True)
class Note:
    """A file and what there is to say of it."""

    name: str
    reason: str


@dataclass
class Found:
    """What is at a path."""

    candidates: list[Candidate] = field(default_factory=list)
    skipped: list[Note] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # named by a DICOMDIR, not there


def find(path: Path, bounds: ImportBounds | None = None) -> Found:
    """Look at a folder, ZIP, DICOMDIR or single file.

    Raises:
        ConfigurationError: nothing is there, or the ZIP is encrypted or damaged.
        ZipBoundsError: the ZIP is larger than the bounds allow.
        DicomError: the DICOMDIR cannot be read.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise ConfigurationError(f"{path}: no file or folder is there")
    if zipfile.is_zipfile(path):
        return _zip(path, bounds or ImportBounds())
    if _begins_like_a_zip(path):
        raise ConfigurationError(f"{path}: a damaged ZIP: its end is missing")
    if _is_dicomdir(path):
        return _dicomdir(path)
    return Found(candidates=[_file(path, path.name)])


def _begins_like_a_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return begins_like_a_zip(stream.read(132))


def begins_like_a_zip(start: bytes) -> bool:
    """Whether the first 132 bytes are those of a ZIP; any bytes may stand before ``DICM``."""
    return start.startswith(_ZIP_STARTS) and start[128:132] != b"DICM"


def _file(path: Path, name: str) -> Candidate:
    return Candidate(name, path.stat().st_size, lambda: path.open("rb"))


def _folder(root: Path) -> Found:
    """All files below a folder; symbolic links are not followed."""
    found = Found()
    directories: list[Path] = []
    for folder, subfolders, names in os.walk(root):
        subfolders.sort()
        for name in subfolders:
            if (Path(folder) / name).is_symlink():
                found.skipped.append(Note(_name(root, Path(folder) / name), "a symbolic link"))
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_symlink() or not path.is_file():
                found.skipped.append(Note(_name(root, path), "a symbolic link or no plain file"))
            elif path.stat().st_size == 0:
                found.skipped.append(Note(_name(root, path), "an empty file"))
            else:
                found.candidates.append(_file(path, _name(root, path)))
                if name.upper() == "DICOMDIR":
                    directories.append(path)
    for path in directories:
        try:
            found.missing += _resolve(path)[1]
        except DicomError as error:
            found.skipped.append(Note(_name(root, path), f"an unreadable DICOMDIR: {error}"))
    return found


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _is_dicomdir(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return read_file_meta(stream)[0].sop_class_uid == MEDIA_DIRECTORY
    except DicomError:
        return False


def _dicomdir(path: Path) -> Found:
    files, missing = _resolve(path)
    return Found(
        candidates=[_file(file, _name(path.parent, file)) for file in files], missing=missing
    )


def _resolve(path: Path) -> tuple[list[Path], list[str]]:
    """The files that a DICOMDIR names (PS3.3 F.3.2.2), and the names of those that are not there.

    Media often spell names in other case than the DICOMDIR does; both are looked for.
    """
    root = path.parent
    files: dict[Path, None] = {}
    missing = []
    for parts in _file_ids(path):
        file = _descend(root, parts)
        if file is None:
            missing.append("/".join(parts))
        else:
            files[file] = None
    return list(files), missing


def _file_ids(path: Path) -> Iterator[list[str]]:
    records = read_dataset(path).get("DirectoryRecordSequence") or []
    for record in records:
        value = record.get("ReferencedFileID")
        if value:
            yield [value] if isinstance(value, str) else [str(part) for part in value]


def _descend(root: Path, parts: list[str]) -> Path | None:
    """Follow a File ID from the DICOMDIR's folder, never out of it."""
    place = root
    for part in parts:
        if not part or part in (".", "..") or "/" in part or "\0" in part:
            return None
        exact = place / part
        if exact.exists() and not exact.is_symlink():
            place = exact
            continue
        wanted = part.casefold()
        try:
            alike = sorted(
                entry for entry in place.iterdir() if entry.name.split(";")[0].casefold() == wanted
            )
        except OSError:
            return None
        if not alike or alike[0].is_symlink():
            return None
        place = alike[0]
    return place if place.is_file() else None


def _zip(path: Path, bounds: ImportBounds) -> Found:
    """The entries of a ZIP, to be streamed one after the other."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: a damaged ZIP: {error}") from error
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > bounds.max_entries:
        raise ZipBoundsError(f"{path}: {len(entries)} entries, at most {bounds.max_entries}")
    if any(entry.flag_bits & 0x1 for entry in entries):
        raise ConfigurationError(
            f"{path}: the ZIP is encrypted", hint="unpack it with its password, import the folder"
        )
    budget = _Budget(path, bounds)
    found = Found()
    for entry in entries:
        if entry.file_size == 0:
            found.skipped.append(Note(entry.filename, "an empty file"))
        else:
            found.candidates.append(_entry(archive, entry, budget))
    return found


def _entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: _Budget) -> Candidate:
    @contextmanager
    def opened() -> Iterator[Readable]:
        with archive.open(entry) as stream:
            yield _Counted(stream, entry.filename, budget)

    return Candidate(entry.filename, entry.file_size, opened)


class _Budget:
    """Counts what really comes out of a ZIP; what its directory says is not believed."""

    def __init__(self, path: Path, bounds: ImportBounds) -> None:
        self._path = path
        self._bounds = bounds
        self._packed = max(path.stat().st_size, 1)
        self._total = 0

    def spend(self, name: str, size: int, entry_total: int) -> None:
        self._total += size
        bounds = self._bounds
        if entry_total > bounds.max_entry_bytes:
            raise ZipBoundsError(f"{name}: unpacks to more than {bounds.max_entry_bytes} bytes")
        if self._total > bounds.max_total_bytes:
            raise ZipBoundsError(
                f"{self._path}: unpacks to more than {bounds.max_total_bytes} bytes"
            )
        if self._total > max(bounds.ratio_from_bytes, bounds.max_ratio * self._packed):
            raise ZipBoundsError(
                f"{self._path}: unpacks to more than {bounds.max_ratio} times its size",
                hint="a ZIP bomb? Unpack it yourself and import the folder",
            )


class _Counted:
    """A stream whose bytes are counted."""

    def __init__(self, stream: Readable, name: str, budget: _Budget) -> None:
        self._stream = stream
        self._name = name
        self._budget = budget
        self._total = 0

    def read(self, size: int = -1, /) -> bytes:
        piece = self._stream.read(size)
        self._total += len(piece)
        self._budget.spend(self._name, len(piece), self._total)
        return piece
