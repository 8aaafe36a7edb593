"""Instances of one request (STOW-RS), from their bytes into the spool: all together or none.

Each is judged by its first bytes, written as it comes and never held. Nothing can be read by
ingest before `Deposit.commit`, so a request that is cut off leaves nothing behind.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum

from isocenter.apps.archive.import_sources import MEDIA_DIRECTORY
from isocenter.apps.archive.indexing import entry_of
from isocenter.apps.archive.models import Source
from isocenter.apps.archive.spool import BatchRecord, Spool
from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.bytesource import ByteSource, InflatingSource
from isocenter.core.dicom.part10 import (
    DEFLATED_LITTLE,
    FileMeta,
    encode_file_meta,
    read_file_meta,
)
from isocenter.core.dicom.scanner import Walker, encoding_of, open_source, scan_header
from isocenter.core.errors import DicomError, SpoolError
from isocenter.core.network.sop_classes import is_storage

_LOOK_BYTES = 64 << 10  # the UIDs of nearly every instance stand in the first 64 KiB
_MOST_BYTES = 2 << 20
# What these bytes inflate to, where they are deflated, is looked through no further than this.
_BOUNDS = Bounds(max_instance_bytes=64 << 20)
_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_WANTED = dict.fromkeys((_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES))
# What senders write as UIDs, leading zeros included; never a path.
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")


#: Warning Reason (0008,1196): the data set does not match the SOP class (PS3.18 table I.2-1).
NOT_AS_IT_SHOULD = 0xB007


class Failure(IntEnum):
    """Failure Reason (0008,1197), PS3.18 table I.2-2."""

    OUT_OF_RESOURCES = 0xA700
    DOES_NOT_MATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    PROCESSING_FAILURE = 0x0110
    SOP_CLASS_NOT_SUPPORTED = 0x0122


@dataclass(frozen=True)
class Reception:
    """What is taken now.

    Attributes:
        paused: why nothing is; empty when something is.
        denied_sop_classes: which classes are not.
    """

    paused: str = ""
    denied_sop_classes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Deposited:
    """What became of one instance; UIDs are empty where they could not be found.

    Attributes:
        failure: None: accepted, once the deposit is committed.
        warning: it is accepted, but `note` says what is wrong with it; a Warning Reason.
        note: a sentence where it failed; names no patient.
    """

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_uid: str = ""
    series_uid: str = ""
    failure: Failure | None = None
    warning: int | None = None
    note: str = ""


class _Unknown(Exception):
    """The bytes so far do not say what the instance is."""


@dataclass(frozen=True)
class _Identity:
    found: Deposited
    meta: FileMeta
    offset: int  # of the data set in the bytes that came
    has_format: bool


class Deposit:
    """Takes instances one after the other; for one thread at a time.

    Args:
        actor: account that sends.
        study_uid: the only study that is taken; empty: any.
        reception: asked before each instance.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        actor: str,
        study_uid: str = "",
        reception: Callable[[], Reception] = Reception,
    ) -> None:
        self._spool = spool
        self._batch = spool.batch()
        self._actor = actor
        self._study_uid = study_uid
        self._reception = reception
        self._results: list[Deposited] = []
        self._start: list[bytes | memoryview] | None = []
        self._start_length = 0
        self._looked_at = 0
        self._current = Deposited()
        self._record: BatchRecord | None = None

    @property
    def has_room(self) -> bool:
        return self._spool.has_room()

    def begin(self) -> None:
        """An instance comes."""
        self._start, self._start_length, self._looked_at = [], 0, 0
        self._current, self._record = Deposited(), None

    def write(self, piece: bytes | memoryview) -> None:
        """Further bytes of it; they must not change before the instance is at its end."""
        if self._start is not None:
            self._start.append(piece)
            self._start_length += len(piece)
            self._look(is_whole=False)
        elif self._record is not None:
            self._append(piece)

    def end(self) -> Deposited:
        """It is over; accepted only when the deposit is committed."""
        if self._start is not None:
            self._look(is_whole=True)
        if self._record is not None:
            self._record.finish()
            self._record = None
        self._results.append(self._current)
        self._start = None
        return self._current

    def fail(
        self, failure: Failure, note: str, *, sop_class_uid: str = "", sop_instance_uid: str = ""
    ) -> None:
        """Count an instance that cannot even be begun; UIDs where they are known."""
        self._results.append(Deposited(sop_class_uid, sop_instance_uid, failure=failure, note=note))

    def commit(self) -> list[Deposited]:
        """Accept what did not fail: durable when it returns. In the order in which they came."""
        try:
            self._batch.commit()
        except SpoolError:
            return [
                each if each.failure else _failed(each, Failure.OUT_OF_RESOURCES, "the disk failed")
                for each in self._results
            ]
        return self._results

    def close(self) -> None:
        """Give up what is not committed."""
        self._batch.close()

    def __enter__(self) -> Deposit:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look(self, *, is_whole: bool) -> None:
        """See whose instance this is, and begin its record."""
        pieces = self._start or []
        while True:
            wanted = min(max(_LOOK_BYTES, 2 * self._looked_at), _MOST_BYTES)
            if wanted > self._start_length and not is_whole:
                return
            self._looked_at = wanted
            is_all = wanted >= self._start_length and is_whole
            try:
                start = _first(pieces, wanted)
                identity = _identify(start, is_final=is_all or wanted == _MOST_BYTES)
                break
            except _Unknown:
                continue
        self._start = None
        self._current = self._judged(identity.found)
        if self._current.failure is None:
            self._open(identity, pieces)

    def _judged(self, found: Deposited) -> Deposited:
        """Whether it is taken."""
        if found.failure is not None:
            return found
        reception = self._reception()
        if reception.paused:
            return _failed(found, Failure.OUT_OF_RESOURCES, reception.paused)
        if not self._spool.has_room():
            return _failed(found, Failure.OUT_OF_RESOURCES, "the disk is full up to its reserve")
        if found.sop_class_uid == MEDIA_DIRECTORY or not is_storage(found.sop_class_uid):
            return _failed(found, Failure.SOP_CLASS_NOT_SUPPORTED, "no storage SOP class")
        if found.sop_class_uid in reception.denied_sop_classes:
            return _failed(
                found, Failure.SOP_CLASS_NOT_SUPPORTED, "this SOP class is on the deny list"
            )
        if self._study_uid and found.study_uid != self._study_uid:
            return _failed(
                found, Failure.DOES_NOT_MATCH, "it is of another study than the address names"
            )
        return found

    def _open(self, identity: _Identity, pieces: list[bytes | memoryview]) -> None:
        if not identity.has_format:
            whole = memoryview(b"".join(pieces))
            pieces = [encode_file_meta(identity.meta), whole[identity.offset :]]
        try:
            self._record = self._batch.begin(_record_meta(identity.meta, self._actor))
        except SpoolError as error:
            self._current = _failed(self._current, Failure.OUT_OF_RESOURCES, str(error))
            return
        self._append(*pieces)

    def _append(self, *pieces: bytes | memoryview) -> None:
        if self._record is None:
            return
        try:
            if not self._spool.has_room():
                self._record.abort()
                raise SpoolError("the disk is full up to its reserve")
            self._record.write(*pieces)
        except SpoolError as error:
            self._record = None
            self._current = _failed(self._current, Failure.OUT_OF_RESOURCES, str(error))


def _failed(found: Deposited, failure: Failure, note: str) -> Deposited:
    return replace(found, failure=failure, note=note)


def _first(pieces: list[bytes | memoryview], count: int) -> bytes:
    """So many of the first bytes."""
    taken, length = [], 0
    for piece in pieces:
        taken.append(piece[: count - length])
        length += len(taken[-1])
        if length == count:
            break
    return b"".join(taken)


def _identify(start: bytes, *, is_final: bool) -> _Identity:
    """What the first bytes say; the last word where they are all that are looked at.

    Raises:
        _Unknown: more bytes may say more.
    """
    try:
        meta, offset = read_file_meta(io.BytesIO(start))
        values = _values(start, offset, meta.transfer_syntax_uid)
    except DicomError as error:
        if not is_final:
            raise _Unknown from None
        found = Deposited(failure=Failure.CANNOT_UNDERSTAND, note=str(error))
        return _Identity(found, FileMeta("", "", ""), 0, False)
    if not is_final and len(values) < len(_WANTED):
        raise _Unknown
    uids = FileMeta(
        values.get(_SOP_CLASS) or meta.sop_class_uid,
        values.get(_SOP_INSTANCE) or meta.sop_instance_uid,
        meta.transfer_syntax_uid,
    )
    has_format = start[128:132] == b"DICM" and bool(meta.sop_class_uid and meta.sop_instance_uid)
    found = _placed(_checked(values, uids, meta), start, offset, uids)
    return _Identity(found, uids, offset, has_format)


def _checked(values: dict[int, str], uids: FileMeta, meta: FileMeta) -> Deposited:
    named = {
        "SOP Class UID": uids.sop_class_uid,
        "SOP Instance UID": uids.sop_instance_uid,
        "Study Instance UID": values.get(_STUDY, ""),
        "Series Instance UID": values.get(_SERIES, ""),
    }
    is_uid = {name: bool(_UID.fullmatch(uid)) and len(uid) <= 64 for name, uid in named.items()}
    # An answer repeats what is a UID and nothing else that a stranger wrote.
    shown = [uid if is_uid[name] else "" for name, uid in named.items()]
    found = Deposited(shown[0], shown[1], shown[2], shown[3])
    for name, uid in named.items():
        if not uid and name.startswith("SOP"):
            return _failed(found, Failure.CANNOT_UNDERSTAND, f"it has no {name}")
        if uid and not is_uid[name]:
            return _failed(found, Failure.CANNOT_UNDERSTAND, f"its {name} is no UID")
    if meta.sop_class_uid and meta.sop_class_uid != uids.sop_class_uid:
        return _failed(
            found, Failure.DOES_NOT_MATCH, "SOP Class UIDs of file header and data set differ"
        )
    if meta.sop_instance_uid and meta.sop_instance_uid != uids.sop_instance_uid:
        found = replace(
            found,
            warning=NOT_AS_IT_SHOULD,
            note="SOP Instance UIDs of file header and data set differ",
        )
    return found


def _placed(found: Deposited, start: bytes, offset: int, meta: FileMeta) -> Deposited:
    """Under which study and series the index will have an instance that does not say so itself."""
    if found.failure is not None or (found.study_uid and found.series_uid):
        return found
    try:
        header = scan_header(
            start, offset=offset, transfer_syntax_uid=meta.transfer_syntax_uid, bounds=_BOUNDS
        )
    except DicomError as error:
        return _failed(found, Failure.CANNOT_UNDERSTAND, str(error))
    entry = entry_of(header, command_sop_uid=meta.sop_instance_uid)
    if entry is None:
        return _failed(found, Failure.CANNOT_UNDERSTAND, "it has no SOP Instance UID")
    return replace(
        found,
        study_uid=entry.study_uid,
        series_uid=entry.series_uid,
        warning=NOT_AS_IT_SHOULD,
        note="it has no Study or Series Instance UID; it was given one",
    )


def _values(start: bytes, offset: int, syntax: str) -> dict[int, str]:
    data: ByteSource = open_source(start, offset=offset, length=None)
    if syntax == DEFLATED_LITTLE:
        data = InflatingSource(data, _BOUNDS.max_instance_bytes)
    walker = Walker(data, encoding_of(syntax), _BOUNDS)
    raw = walker.top_level(_WANTED, _SERIES, frozenset(_WANTED))
    return {tag: value.decode("latin-1").strip("\0 ") for tag, value in raw.items()}


def _record_meta(meta: FileMeta, actor: str) -> dict[str, str]:
    return {
        "kind": Source.Kind.UPLOAD,
        "calling_ae_title": "",
        "called_ae_title": "",
        "address": actor[:255],
        "sop_class_uid": meta.sop_class_uid,
        "sop_instance_uid": meta.sop_instance_uid,
        "transfer_syntax_uid": meta.transfer_syntax_uid,
        "received_at": datetime.now(UTC).isoformat(),
        "association": "",
    }
