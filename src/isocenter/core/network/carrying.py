"""One instance over one association: from the file to the socket, and the peer's answer.

An instance goes out in one gathered write, and the acknowledgement of the peer's answer is
never delayed; see :mod:`.connection`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol

from isocenter.core.dicom.part10 import FileMeta, read_file_meta
from isocenter.core.errors import DicomError, NetworkError

from .command import (
    C_STORE_RSP,
    SOP_CLASS_NOT_SUPPORTED,
    Command,
    MoveOriginator,
    encode_store_request,
)
from .connection import Buffer
from .conversion import Conversion, Converter
from .messages import encode_message, fragments
from .outcomes import ItemResult, answered
from .proposals import Batch, SendItem

_WINDOW_BYTES = 2 << 20
_META_BYTES = 8 << 10  # of file meta information, in all but the oddest files


class Refused(DicomError):
    """The peer accepts no presentation context for an instance."""

    status = SOP_CLASS_NOT_SUPPORTED


class SourceLost(NetworkError):
    """A file went away or became shorter inside its message, which ends the association."""


class StoreLine(Protocol):
    """An association on which we may store: one that we asked for, or that of a C-GET."""

    @property
    def max_pdu(self) -> int:
        """Largest P-DATA-TF that the peer takes; 0 is no limit."""
        ...

    def send(self, *buffers: Buffer) -> None:
        """Write PDUs."""
        ...

    def response(self, message_id: int, field: int) -> Command:
        """Wait for the response to a request of ours."""
        ...


@dataclass(frozen=True, eq=False)
class Prepared:
    """An instance that is ready to go: which context, which file, its first bytes."""

    item: SendItem
    context_id: int
    path: Path
    dataset_offset: int
    head: memoryview
    size: int
    note: str = ""

    def forget(self) -> None:
        """Delete what was made for sending it."""
        if self.path != self.item.path:
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Route:
    """How an instance can go: in which context, in which transfer syntax."""

    context_id: int
    syntax: str


class Desk:
    """Makes the instances of a batch ready, for all associations that carry it.

    Args:
        accepted: transfer syntax of each context that the peer accepted.
        folder: for converted files; the caller deletes it.
    """

    def __init__(self, batch: Batch, accepted: Mapping[int, str], folder: Path) -> None:
        self._routes: dict[tuple[str, str], _Route | None] = {}
        self._lock = threading.Lock()
        wanted = []
        for item in batch.items:
            key = (item.sop_class_uid, item.transfer_syntax_uid)
            if key not in self._routes:
                self._routes[key] = _route(item, batch, accepted)
            route = self._routes[key]
            if route is not None and route.syntax != item.transfer_syntax_uid:
                wanted.append(Conversion(item, route.syntax))
        self._converter = Converter(wanted, folder)

    def prepare(self, item: SendItem, buffer: memoryview) -> Prepared:
        """Read the beginning of an instance, converted where the peer needs that.

        Raises:
            Refused: the peer takes it in no way.
            DicomError, OSError: it cannot be read or converted.
        """
        route = self._routes[item.sop_class_uid, item.transfer_syntax_uid]
        if route is None:
            raise Refused(
                f"the peer accepts no presentation context for {item.sop_class_uid} "
                f"in {item.transfer_syntax_uid}, nor uncompressed"
            )
        path, offset, note = item.path, item.dataset_offset, ""
        if route.syntax != item.transfer_syntax_uid:
            with self._lock:  # one group at a time: decoders take all the processors they get
                path = self._converter.path_of(item)
            with path.open("rb") as stream:
                offset = read_file_meta(stream)[1]
            note = f"sent as {route.syntax}, the peer does not accept {item.transfer_syntax_uid}"
        head, size = read_head(path, offset, buffer)
        return Prepared(item, route.context_id, path, offset, head, size, note)


class Carrier:
    """Sends prepared instances over one association, one after the other.

    Attributes:
        stirred_at: when bytes were last moved, in time.monotonic() seconds.
        slowest_s: the longest time from an instance's first byte to its answer.

    Args:
        originator: who asked for this by C-MOVE.
    """

    def __init__(self, association: StoreLine, originator: MoveOriginator | None = None) -> None:
        self._association = association
        self._originator = originator
        self._message_id = 0
        self._began = 0.0
        # One is enough: what was sent is with the kernel when the next file is read.
        self.buffer = memoryview(bytearray(_WINDOW_BYTES))
        self.bytes_sent = 0
        self.answers = 0
        self.stirred_at = time.monotonic()
        self.slowest_s = 0.0

    def transfer(self, ready: Prepared) -> None:
        """Send the request and the data set.

        Raises:
            NetworkError: the association is at its end.
            SourceLost: so is the file.
        """
        self._message_id = self._message_id % 0xFFFF + 1
        self._began = self.stirred_at = time.monotonic()
        item, limit = ready.item, self._association.max_pdu
        request = encode_store_request(
            self._message_id,
            item.sop_class_uid,
            item.sop_instance_uid,
            originator=self._originator,
        )
        is_whole = len(ready.head) == ready.size
        self._association.send(
            *encode_message(ready.context_id, request, max_pdu=limit),
            *fragments(
                ready.context_id, ready.head, is_command=False, max_pdu=limit, is_end=is_whole
            ),
        )
        if not is_whole:
            try:
                self._transfer_rest(ready)
            except OSError as error:
                raise SourceLost(f"{ready.path} cannot be read: {error.strerror}") from error
        self.bytes_sent += ready.size
        self.stirred_at = time.monotonic()

    def answer(self, ready: Prepared) -> ItemResult:
        """Wait for what the peer says of the instance that was sent last.

        Raises:
            NetworkError: it says nothing.
        """
        response = self._association.response(self._message_id, C_STORE_RSP)
        self.answers += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - self._began)
        return answered(ready.item, response, ready.note)

    def _transfer_rest(self, ready: Prepared) -> None:
        """The windows after the first of an instance that is bigger than the buffer."""
        done = len(ready.head)
        with ready.path.open("rb", buffering=0) as stream:
            stream.seek(ready.dataset_offset + done)
            while done < ready.size:
                window = self.buffer[: min(len(self.buffer), ready.size - done)]
                count = stream.readinto(window)
                if not count:
                    raise SourceLost(f"{ready.path} became shorter while it was sent")
                done += count
                self._association.send(
                    *fragments(
                        ready.context_id,
                        window[:count],
                        is_command=False,
                        max_pdu=self._association.max_pdu,
                        is_end=done == ready.size,
                    )
                )
                self.stirred_at = time.monotonic()


def _route(item: SendItem, batch: Batch, accepted: Mapping[int, str]) -> _Route | None:
    """The context and transfer syntax for an instance; None when the peer takes it in no way."""
    own, fallback = batch.own_context(item), batch.fallback_context(item)
    if own in accepted:
        return _Route(own, item.transfer_syntax_uid)
    syntax = accepted.get(fallback)
    return None if syntax is None else _Route(fallback, syntax)


def read_start(path: Path, buffer: memoryview) -> tuple[FileMeta, int, memoryview, int]:
    """What `read_file_meta` and `read_head` say of a file, for one opening and one reading of it.

    Returns:
        meta, where the data set begins, its first bytes, and how many it has.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        count = os.preadv(fd, [buffer[: min(len(buffer), size)]], 0) if size else 0
    finally:
        os.close(fd)
    meta, offset = read_file_meta(BytesIO(buffer[: min(count, _META_BYTES)]))
    if count < min(len(buffer), size) or offset > _META_BYTES - 8:
        with path.open("rb") as stream:
            meta, offset = read_file_meta(stream)
        return meta, offset, *read_head(path, offset, buffer)
    if size <= offset:
        raise DicomError(f"{path} has no data set")
    return meta, offset, buffer[offset:count], size - offset


def read_head(path: Path, offset: int, buffer: memoryview) -> tuple[memoryview, int]:
    """The data set's beginning, as much as the buffer takes; and bytes of all of it."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size - offset
        wanted = min(len(buffer), size)
        done = 0
        while done < wanted:
            count = os.preadv(fd, [buffer[done:wanted]], offset + done)
            if count == 0:
                raise DicomError(f"{path} became shorter while it was read")
            done += count
    finally:
        os.close(fd)
    if size <= 0:
        raise DicomError(f"{path} has no data set")
    return buffer[:wanted], size
