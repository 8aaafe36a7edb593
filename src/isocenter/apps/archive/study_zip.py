"""A study or a series as a ZIP that is made while it is sent.

Every archive is ZIP64 and holds its files unpacked: DICOM packs badly. Sizes and checksums stand
in front of each file. Nothing is left out in silence: a file that is gone or not as long as the
index says is found before the first byte (`Refused`); one that goes meanwhile ends the archive in
the middle (`ArchiveBroken`), without the central directory that every reader looks for.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from stream_zip import NO_COMPRESSION_64, MemberFile, ZipError, stream_zip

from isocenter.apps.archive.models import Instance, Series, Study
from isocenter.apps.archive.zip_directory import PatientAndStudy, directory_members, file_ids
from isocenter.core.errors import DicomError, IsocenterError, NotFound, Refused

_PIECE = 1 << 20
_AT_ONCE = 4 << 20  # smaller files are read once, larger ones twice: their checksum comes first
_MODE = 0o600
_AES_BYTES = 28 + 11 + 11  # salt, verification and code (WinZip AE-2); two extra fields
_SHORTEST, _LONGEST = 8, 128


class ArchiveBroken(IsocenterError):
    """An archive that cannot be finished; what was sent of it is no archive."""


@dataclass(frozen=True)
class ZipOptions:
    """How an archive is made.

    Attributes:
        dicomdir: file names as on a DICOM medium, and a DICOMDIR (PS3.10 8).
        password: not empty: AES-256 (WinZip AE-2). Names of files stay readable; they are UIDs.

    Raises:
        Refused: a password that is too short or that programs would read differently.
    """

    dicomdir: bool = False
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not self.password:
            return
        if not _SHORTEST <= len(self.password) <= _LONGEST:
            raise Refused(f"a password for an archive has {_SHORTEST} to {_LONGEST} characters")
        if not self.password.strip():
            raise Refused("a password of spaces alone protects nothing")
        if not all(" " <= letter <= "~" for letter in self.password):
            raise Refused(
                "programs disagree about passwords with other than ASCII characters",
                hint="use letters without accents, digits and signs",
            )


def no_password_in(address: Mapping[str, object]) -> None:
    """Before an archive is made: whoever puts a password there believes that it encrypts.

    Args:
        address: parameters of the request's address.

    Raises:
        Refused: one of them is a password.
    """
    if "password" in address:
        raise Refused(
            "a password is not read from an address, which others write down",
            hint="send it in the body of a POST",
        )


@dataclass(frozen=True, slots=True)
class ZipFile:
    """One file of the ZIP, as the index knows it."""

    path: Path
    name: str
    size: int
    at: datetime
    series_uid: str
    series_number: int | None
    modality: str
    sop_class_uid: str
    sop_uid: str
    transfer_syntax_uid: str
    instance_number: int | None


@dataclass(frozen=True)
class ZipPlan:
    """What goes into an archive; nothing more is asked of the database."""

    study: PatientAndStudy
    series_uid: str
    files: list[ZipFile]

    @property
    def bytes(self) -> int:
        """Of the files alone."""
        return sum(file.size for file in self.files)


def zip_plan(study_uid: str, series_uid: str = "") -> ZipPlan:
    """All instances of a study or of a series, derived ones too, as they are stored.

    Raises:
        NotFound: there is no such study or series.
        Refused: files are not on the disk as the index knows them.
    """
    study = Study.objects.filter(study_uid=study_uid).first()
    if study is None:
        raise NotFound(f"no study {study_uid} is here", hint="isocenter studies list")
    found = Instance.objects.filter(study=study)
    if series_uid:
        if not Series.objects.filter(study=study, series_uid=series_uid).exists():
            raise NotFound(f"study {study_uid} has no series {series_uid}")
        found = found.filter(series__series_uid=series_uid)
    archive: Path = settings.LAYOUT.archive
    rows = found.order_by(
        "series__series_number", "series_id", "instance_number", "sop_uid"
    ).values_list(
        *("path", "size", "received_at", "series__series_uid", "series__series_number"),
        *("series__modality", "sop_class_uid", "sop_uid", "transfer_syntax_uid"),
        "instance_number",
    )
    files = [ZipFile(archive / row[0], *row) for row in rows.iterator(chunk_size=2000)]
    _require_whole(files)
    return ZipPlan(PatientAndStudy.of(study), series_uid, files)


def _require_whole(files: list[ZipFile]) -> None:
    """
    Raises:
        Refused: at least one is gone, or is longer or shorter than it was.
    """
    wrong = sum(_size_of(file.path) != file.size for file in files)
    if wrong:
        raise Refused(
            f"{wrong} of {len(files)} files are not in the archive as they were stored, "
            "so no ZIP of them is made",
            hint="isocenter fsck says which",
        )


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def zip_length(plan: ZipPlan, options: ZipOptions) -> int | None:
    """Bytes of the whole archive; None with a DICOMDIR, which is made from headers on the way."""
    if options.dicomdir:
        return None
    empty = ((file.name, file.at, _MODE, NO_COMPRESSION_64(0, 0), iter(())) for file in plan.files)
    frame = sum(len(piece) for piece in stream_zip(empty, chunk_size=_PIECE))
    return frame + plan.bytes + (_AES_BYTES * len(plan.files) if options.password else 0)


def zip_pieces(plan: ZipPlan, options: ZipOptions | None = None) -> Iterator[bytes]:
    """The bytes of the archive, about a megabyte at a time; each is made when it is asked for.

    Raises:
        DataSetError: at once: there are more files than a DICOMDIR can name.
        ArchiveBroken: while it is made, a file goes or changes.
    """
    chosen = options or ZipOptions()
    if chosen.dicomdir:
        members = _with_directory(plan, file_ids(plan.files))
    else:
        members = (_member(file, file.name) for file in plan.files)
    return _unbroken(stream_zip(members, chunk_size=_PIECE, password=chosen.password or None))


def _unbroken(made: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from _even(made)
    except (OSError, ZipError, DicomError) as error:
        # Its message would name a path.
        what = "changed while it was read" if isinstance(error, ZipError) else "cannot be read"
        raise ArchiveBroken(f"a file {what}; the archive was broken off") from None


def _even(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Small ones put together: each that leaves here costs a change of threads."""
    held: list[bytes] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length >= _PIECE:
            yield b"".join(held)
            held, length = [], 0
    if held:
        yield b"".join(held)


def _with_directory(plan: ZipPlan, names: list[tuple[str, ...]]) -> Iterator[MemberFile]:
    """The files under names of a medium, then the DICOMDIR that says which is which."""
    for file, name in zip(plan.files, names, strict=True):
        yield _member(file, "/".join(name))
    yield from directory_members(plan.study, plan.files, names, _MODE)


def _member(file: ZipFile, name: str) -> MemberFile:
    if file.size <= _AT_ONCE:
        content = file.path.read_bytes()
        method = NO_COMPRESSION_64(file.size, zlib.crc32(content))
        return name, file.at, _MODE, method, iter((content,))
    with file.path.open("rb", buffering=0) as stream:
        checksum = 0
        while piece := stream.read(_PIECE):
            checksum = zlib.crc32(piece, checksum)
    return name, file.at, _MODE, NO_COMPRESSION_64(file.size, checksum), _content(file.path)


def _content(path: Path) -> Iterator[bytes]:
    stream: BinaryIO
    with path.open("rb", buffering=0) as stream:
        while piece := stream.read(_PIECE):
            yield piece
