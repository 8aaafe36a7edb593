"""SOP class and instance UID at the beginning of a data set, found without reading it all."""

from __future__ import annotations

import contextlib
import struct
import zlib
from dataclasses import dataclass

from isocenter.core.dicom.part10 import (
    DEFLATED_LITTLE,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    VRS,
)
from isocenter.core.errors import DataSetError

PREFIX_BYTES = 16 * 1024
_LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_SOP_CLASS, _SOP_INSTANCE = (0x0008, 0x0016), (0x0008, 0x0018)
_UNDEFINED = 0xFFFFFFFF
#: The JPIP deflate syntaxes; their data sets are deflated like the explicit one's.
_DEFLATED = frozenset((DEFLATED_LITTLE, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"))


@dataclass(frozen=True)
class DataSetIdentity:
    """The two UIDs; None where the beginning of the data set does not tell."""

    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None


def identity_of(prefix: bytes, transfer_syntax: str) -> DataSetIdentity:
    """Find (0008,0016) and (0008,0018).

    A data set that is encoded in another way than negotiated, as some systems send it, is read
    as it is: it is kept, and ingest says what is wrong with it.

    Args:
        prefix: the data set's first bytes, 16 KiB or all of it.
        transfer_syntax: as negotiated.

    Raises:
        DataSetError: the bytes are no data set.
    """
    if transfer_syntax in _DEFLATED:
        prefix = _inflate(prefix)
    if len(prefix) < 8:
        raise DataSetError("the data set is empty or cut off in its first element")
    try:
        return _scan(prefix, transfer_syntax)
    except DataSetError:
        for other in (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG):
            with contextlib.suppress(DataSetError):
                found = _scan(prefix, other)
                if found.sop_class_uid and found.sop_instance_uid:
                    return found
        raise


def _scan(prefix: bytes, transfer_syntax: str) -> DataSetIdentity:
    order = ">" if transfer_syntax == EXPLICIT_BIG else "<"
    found: dict[tuple[int, int], str] = {}
    offset = 0
    before = (-1, -1)
    while offset + 8 <= len(prefix):
        tag = struct.unpack_from(order + "HH", prefix, offset)
        if tag > _SOP_INSTANCE:
            if offset == 0:
                _check_head(prefix, transfer_syntax, tag)
            break
        if tag <= before:
            raise DataSetError(f"({tag[0]:04X},{tag[1]:04X}) comes out of order in the data set")
        before = tag
        start, length = _value(prefix, offset, order, transfer_syntax == IMPLICIT_LITTLE)
        if length == _UNDEFINED:
            break  # a sequence this early: legal and rare, ingest reads it properly
        if tag in (_SOP_CLASS, _SOP_INSTANCE):
            raw = prefix[start : start + length]
            found[tag] = raw.decode("ascii", "replace").strip(" \0")
        offset = start + length
    return DataSetIdentity(found.get(_SOP_CLASS), found.get(_SOP_INSTANCE))


def _value(prefix: bytes, offset: int, order: str, is_implicit: bool) -> tuple[int, int]:
    """Where an element's value starts and how long it says it is."""
    if is_implicit:
        length: int = struct.unpack_from(order + "L", prefix, offset + 4)[0]
        return offset + 8, length
    vr = prefix[offset + 4 : offset + 6]
    if vr not in VRS:
        raise DataSetError(f"the data set has no value representation at offset {offset}")
    if vr in _LONG_VRS:
        if offset + 12 > len(prefix):
            return offset + 12, 0
        return offset + 12, struct.unpack_from(order + "L", prefix, offset + 8)[0]
    return offset + 8, struct.unpack_from(order + "H", prefix, offset + 6)[0]


def _check_head(prefix: bytes, transfer_syntax: str, tag: tuple[int, int]) -> None:
    """A data set may begin behind group 0008; bytes that are no element may not."""
    if transfer_syntax != IMPLICIT_LITTLE and prefix[4:6] not in VRS:
        raise DataSetError("the data set does not begin with a data element")
    if tag[0] >= 0x7FE1:
        raise DataSetError(f"the data set begins with ({tag[0]:04X},{tag[1]:04X})")


def _inflate(prefix: bytes) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(prefix, PREFIX_BYTES)
    except zlib.error as error:
        raise DataSetError(f"the data set is not deflated: {error}") from None
