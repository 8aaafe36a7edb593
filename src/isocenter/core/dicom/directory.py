"""A DICOMDIR, written record by record (PS3.3 annex F, PS3.10 8).

The tree is patient → study → series → instance, in the order in which it is told. Records go to a
file that stays in memory while it is small; offsets are put in once they are known. So a directory
of 100 000 instances takes no more memory than one of ten.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

from isocenter.core.dicom.part10 import EXPLICIT_LITTLE, FileMeta, encode_file_meta
from isocenter.core.errors import DataSetError

if TYPE_CHECKING:  # takes long to import
    from pydicom.dataset import Dataset

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
_IN_MEMORY = 4 << 20
_CHUNK = 1 << 20
_MOST_BYTES = 0xFFFFFFFE  # offsets have 32 bits
_NEXT, _LOWER = 16, 38  # places of two offsets in a record, from its item's first byte
_RECORD_START = struct.Struct("<HH2sHLHH2sHHHH2sHL")
_LINKS = _RECORD_START.size


@dataclass(frozen=True, slots=True)
class FileReference:
    """The file that a record stands for (PS3.3 F.3.2.2).

    Attributes:
        file_id: components of its path in the file-set, see :func:`file_id_of`.
    """

    file_id: tuple[str, ...]
    sop_class_uid: str
    sop_uid: str
    transfer_syntax_uid: str


def file_id_of(series_number: int, instance_number: int) -> tuple[str, ...]:
    """A path of at most eight letters per component (PS3.10 8.2, 8.5), from running numbers.

    Raises:
        DataSetError: there are more than a name of eight letters can count.
    """
    if not (0 < series_number < 10**6 and 0 < instance_number < 10**6):
        raise DataSetError("a file-set counts to 999999", hint="leave the DICOMDIR away")
    return ("DICOM", f"SE{series_number:06d}", f"IM{instance_number:06d}")


class DirectoryWriter:
    """Writes one DICOMDIR.

    Records are added level by level: ``add("PATIENT", …)``, ``add("STUDY", …)``,
    ``add("SERIES", …)``, then the series' instances, then the next series.

    Args:
        sop_uid: UID of the directory itself.
        file_set_id: up to 16 letters of A–Z, 0–9 and _.
    """

    _LEVELS: Mapping[str, int] = {"PATIENT": 0, "STUDY": 1, "SERIES": 2}

    def __init__(self, sop_uid: str, file_set_id: str = "ISOCENTER") -> None:
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (closed by close)
        meta = encode_file_meta(FileMeta(MEDIA_STORAGE_DIRECTORY, sop_uid, EXPLICIT_LITTLE))
        name = file_set_id.encode("ascii")
        name += b" " * (len(name) % 2)
        self._file.write(meta + struct.pack("<HH2sH", 4, 0x1130, b"CS", len(name)) + name)
        self._root = self._file.tell() + 8
        self._file.write(struct.pack("<HH2sHL", 4, 0x1200, b"UL", 4, 0))
        self._file.write(struct.pack("<HH2sHL", 4, 0x1202, b"UL", 4, 0))
        self._file.write(struct.pack("<HH2sHH", 4, 0x1212, b"US", 2, 0))
        self._file.write(struct.pack("<HH2sHL", 4, 0x1220, b"SQ", 0, 0))
        self._start = self._end = self._file.tell()
        self._last: list[int] = []  # the newest record of each level, outermost first

    def add(self, kind: str, keys: Dataset, reference: FileReference | None = None) -> None:
        """Add a record behind the newest of its level.

        Args:
            kind: Directory Record Type (PS3.3 F.5).
            keys: its attributes.
            reference: of a record that stands for a file.

        Raises:
            DataSetError: the directory becomes larger than offsets can say.
        """
        level = self._LEVELS.get(kind, 3)
        content = _encode_record(kind, keys, reference)
        place = self._end
        item = struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content
        if place + len(item) > _MOST_BYTES:
            raise DataSetError("the DICOMDIR becomes too large", hint="leave it away")
        self._file.seek(place)
        self._file.write(item)
        self._end = place + len(item)
        if level < len(self._last):
            self._write_offset(self._last[level] + _NEXT, place)
        elif level:
            self._write_offset(self._last[level - 1] + _LOWER, place)
        else:
            self._write_offset(self._root, place)
        self._last[level:] = [place]

    def pieces(self) -> Iterator[bytes]:
        """The finished file, a megabyte at a time."""
        if self._last:
            self._write_offset(self._root + 12, self._last[0])
        self._write_offset(self._start - 4, self._end - self._start)
        self._file.seek(0)
        while piece := self._file.read(_CHUNK):
            yield piece

    @property
    def size(self) -> int:
        """Bytes of the file as it is."""
        return self._end

    def close(self) -> None:
        """Give its memory or its temporary file back."""
        self._file.close()

    def __enter__(self) -> DirectoryWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_offset(self, place: int, offset: int) -> None:
        self._file.seek(place)
        self._file.write(struct.pack("<L", offset))


def _encode_record(kind: str, keys: Dataset, reference: FileReference | None) -> bytes:
    """A record's data set with offsets of zero."""
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    text = kind.encode("ascii")
    text += b" " * (len(text) % 2)
    out = BytesIO()
    out.write(
        _RECORD_START.pack(
            *(4, 0x1400, b"UL", 4, 0),
            *(4, 0x1410, b"US", 2, 0xFFFF),
            *(4, 0x1420, b"UL", 4, 0),
        )
    )
    out.write(struct.pack("<HH2sH", 4, 0x1430, b"CS", len(text)) + text)
    if kind == "PRIVATE" and reference is not None:
        out.write(_uid(0x1432, reference.sop_class_uid))
    if reference is not None:
        name = "\\".join(reference.file_id).encode("ascii")
        name += b" " * (len(name) % 2)
        out.write(struct.pack("<HH2sH", 4, 0x1500, b"CS", len(name)) + name)
        out.write(_uid(0x1510, reference.sop_class_uid))
        out.write(_uid(0x1511, reference.sop_uid))
        out.write(_uid(0x1512, reference.transfer_syntax_uid))
    encoded = DicomBytesIO()
    encoded.is_little_endian, encoded.is_implicit_VR = True, False
    try:
        write_dataset(encoded, keys)
    except Exception as error:  # whatever a file's odd values make pydicom raise
        raise DataSetError(f"a record of {kind} cannot be written") from error
    return out.getvalue() + bytes(encoded.getvalue())


def _uid(element: int, uid: str) -> bytes:
    value = uid.encode("ascii", "replace")
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HH2sH", 4, element, b"UI", len(value)) + value
