"""The file format of PS3.10: preamble, prefix, file meta information (group 0002)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Protocol

from isocenter import __version__
from isocenter.core.dicom.uids import IMPLEMENTATION_CLASS_UID
from isocenter.core.errors import BoundsError, DataSetError, NotDicomError

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED_LITTLE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

IMPLEMENTATION_VERSION_NAME = f"ISOCENTER_{__version__}"[:16]

_PREAMBLE = bytes(128)
_PREFIX = b"DICM"
_MAX_META_BYTES = 1 << 20  # private information (0002,0102) included
_CHUNK = 4096
LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
#: Every value representation of PS3.5 6.2.
VRS = LONG_VRS | frozenset(
    (
        b"AE",
        b"AS",
        b"AT",
        b"CS",
        b"DA",
        b"DS",
        b"DT",
        b"FD",
        b"FL",
        b"IS",
        b"LO",
        b"LT",
        b"PN",
        b"SH",
        b"SL",
        b"SS",
        b"ST",
        b"TM",
        b"UI",
        b"UL",
        b"US",
    )
)
_MEDIA_STORAGE_SOP_CLASS = 0x0002
_MEDIA_STORAGE_SOP_INSTANCE = 0x0003
_TRANSFER_SYNTAX = 0x0010


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the file meta information says of the data set; empty where it says nothing."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def encode_file_meta(meta: FileMeta) -> bytes:
    """Preamble, prefix and group 0002 in explicit little endian (PS3.10 7.1).

    The same meta gives the same bytes.

    Raises:
        DataSetError: a UID has characters that are not ASCII, or is too long to be written.
    """
    group = b"".join(
        (
            struct.pack("<HH2sxxL", 2, 0x0001, b"OB", 2) + b"\x00\x01",
            _short_element(_MEDIA_STORAGE_SOP_CLASS, b"UI", meta.sop_class_uid),
            _short_element(_MEDIA_STORAGE_SOP_INSTANCE, b"UI", meta.sop_instance_uid),
            _short_element(_TRANSFER_SYNTAX, b"UI", meta.transfer_syntax_uid),
            _short_element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
            _short_element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
        )
    )
    return _PREAMBLE + _PREFIX + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(group)) + group


def _short_element(element: int, vr: bytes, text: str) -> bytes:
    try:
        value = text.encode("ascii")
    except UnicodeEncodeError:
        raise DataSetError(f"(0002,{element:04X}) has characters that are not ASCII") from None
    if len(value) > 1024:
        raise DataSetError(f"(0002,{element:04X}) is longer than 1024 bytes")
    if len(value) % 2:
        value += b"\x00" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


class Readable(Protocol):
    """What file meta information can be read from: a file, for instance."""

    def read(self, size: int, /) -> bytes:
        """Up to so many of the next bytes; none at the end."""


def read_file_meta(stream: Readable) -> tuple[FileMeta, int]:
    """Read the file meta information from the current position of a stream.

    Files without preamble, prefix, group 0002, or a part of it are read too: what is missing stays
    empty, but the transfer syntax, which is then found from the first data element.

    Returns:
        the meta, and the offset of the data set's first byte from where the stream stood. The
        stream's position afterwards is not defined.

    Raises:
        NotDicomError: the bytes are no DICOM.
        BoundsError: the file meta information does not end within 1 MiB.
    """
    window = _Window(stream)
    offset = 132 if window.bytes_at(128, 4) == _PREFIX else 0
    if offset == 0 and window.bytes_at(0, 4) == _PREFIX:  # a preamble that was cut off
        offset = 4
    has_prefix = offset > 0
    values, offset = _read_group_two(window, offset)
    syntax = values.get(_TRANSFER_SYNTAX, "")
    if not syntax:
        syntax = guess_transfer_syntax(window.bytes_at(offset, 8))
        if not syntax and (has_prefix or values):
            syntax = IMPLICIT_LITTLE  # the default of PS3.5 10.1; or nothing follows
    if not syntax:
        raise NotDicomError("no DICOM: neither a DICM prefix nor a plausible first data element")
    return (
        FileMeta(
            sop_class_uid=values.get(_MEDIA_STORAGE_SOP_CLASS, ""),
            sop_instance_uid=values.get(_MEDIA_STORAGE_SOP_INSTANCE, ""),
            transfer_syntax_uid=syntax,
        ),
        offset,
    )


def guess_transfer_syntax(start: bytes) -> str:
    """Implicit little, explicit little or explicit big endian, from a data set's first 8 bytes.

    Returns:
        the transfer syntax UID, or an empty string where the bytes start no data set.
    """
    if len(start) < 8:
        return ""
    group, element = struct.unpack("<HH", start[:4])
    if start[4:6] in VRS:
        # Data sets start in a low group; read in the wrong order it becomes a high one.
        return EXPLICIT_LITTLE if group <= 0x00FF or group & 0xFF else EXPLICIT_BIG
    if (group, element) == (0, 0) and start[4:] == bytes(4):
        return ""
    length = int.from_bytes(start[4:8], "little")
    plausible = group <= 0x7FE0 and group % 2 == 0 and 0 < group <= 0x0100 and length < 1 << 24
    return IMPLICIT_LITTLE if plausible else ""


class _Window:
    """The start of a stream, read in chunks as far as needed and no further than 1 MiB."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._data = bytearray()
        self._ended = False

    def bytes_at(self, offset: int, length: int) -> bytes:
        """``length`` bytes at ``offset``, fewer at the end of the stream."""
        if offset + length > _MAX_META_BYTES:
            raise BoundsError("the file meta information does not end within 1 MiB")
        while not self._ended and len(self._data) < offset + length:
            chunk = self._stream.read(max(_CHUNK, offset + length - len(self._data)))
            self._data += chunk
            self._ended = not chunk
        return bytes(self._data[offset : offset + length])


def _read_group_two(window: _Window, offset: int) -> tuple[dict[int, str], int]:
    """Walk group 0002, whatever its group length says; returns UIDs by element, and its end."""
    values: dict[int, str] = {}
    while (head := window.bytes_at(offset, 12)) and len(head) >= 8 and head[:2] == b"\x02\x00":
        element = int.from_bytes(head[2:4], "little")
        if head[4:6] in LONG_VRS:
            if len(head) < 12:
                break
            length, start = int.from_bytes(head[8:12], "little"), offset + 12
        elif head[4:6] in VRS:
            length, start = int.from_bytes(head[6:8], "little"), offset + 8
        else:  # implicit, which the standard does not allow but some write
            length, start = int.from_bytes(head[4:8], "little"), offset + 8
        value = window.bytes_at(start, length)
        if len(value) < length:
            raise NotDicomError(f"the file ends inside (0002,{element:04X})")
        if element in (_MEDIA_STORAGE_SOP_CLASS, _MEDIA_STORAGE_SOP_INSTANCE, _TRANSFER_SYNTAX):
            values[element] = value.decode("latin-1").rstrip("\0 ")
        offset = start + length
    return values, offset
