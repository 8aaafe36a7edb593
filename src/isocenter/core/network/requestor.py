"""C-STORE and C-ECHO as requestor: bytes verbatim from file to socket.

An instance goes out in one gathered write while the next file is read, and the acknowledgement
of the peer's answer is never delayed; see :mod:`.connection`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from isocenter.core.dicom.part10 import read_file_meta
from isocenter.core.errors import DicomError, NetworkError

from .client import ClientAssociation, Peer
from .command import (
    C_ECHO_RSP,
    C_STORE_RSP,
    SOP_CLASS_NOT_SUPPORTED,
    SUCCESS,
    encode_echo_request,
    encode_store_request,
)
from .conversion import Conversion, Converter
from .messages import encode_message, fragments
from .pdu import ProposedContext
from .proposals import UNCOMPRESSED, Batch, SendItem, plan, read_item
from .sop_classes import VERIFICATION

__all__ = ["ItemResult", "Outcome", "Peer", "SendItem", "SendReport", "echo", "read_item", "send"]

_WINDOW_BYTES = 2 << 20


class Outcome(StrEnum):
    """What became of an instance."""

    STORED = "stored"
    FAILED = "failed"
    NOT_SENT = "not sent"


@dataclass(frozen=True)
class ItemResult:
    """What became of one file.

    Attributes:
        status: the peer's C-STORE status; 0x0122 also when it accepts no presentation context;
            None when there was no answer, or nothing was sent.
        note: a warning, a reason, a conversion; empty when there is nothing to say.
    """

    path: Path
    outcome: Outcome
    status: int | None
    note: str = ""
    sop_instance_uid: str = ""

    @property
    def is_permanent(self) -> bool:
        """True for failures that sending again will not mend."""
        permanent = self.status == SOP_CLASS_NOT_SUPPORTED or (
            self.status is not None and (self.status & 0xFF00 == 0xA900 or self.status >> 12 == 0xC)
        )
        return self.outcome is Outcome.FAILED and permanent


@dataclass
class SendReport:
    """What became of all files, in the order in which it was known.

    Attributes:
        error: why sending ended early; None when it did not.
    """

    results: list[ItemResult] = field(default_factory=list)
    error: NetworkError | None = None
    seconds: float = 0.0
    bytes_sent: int = 0
    associations: int = 0

    def count(self, outcome: Outcome) -> int:
        return sum(result.outcome is outcome for result in self.results)

    @property
    def is_complete(self) -> bool:
        """True when every file is stored."""
        return all(result.outcome is Outcome.STORED for result in self.results)


OnResult = Callable[[ItemResult], None]


def echo(peer: Peer) -> float:
    """C-ECHO; returns the seconds that connection, association and answer took.

    Raises:
        NetworkError: it does not answer, rejects us, or offers no verification.
    """
    began = time.perf_counter()
    context = ProposedContext(1, VERIFICATION, UNCOMPRESSED[::-1])
    with ClientAssociation(peer, [context]) as association:
        if 1 not in association.accepted:
            raise NetworkError(f"{peer} does not accept the Verification SOP class")
        request = encode_echo_request(1, VERIFICATION)
        association.send(*encode_message(1, request, max_pdu=association.max_pdu))
        answer = association.response(1, C_ECHO_RSP)
        if answer.status != SUCCESS:
            raise NetworkError(f"{peer} answered C-ECHO with status {answer.status:04X}H")
        seconds = time.perf_counter() - began
    return seconds


def send(
    files: Iterable[SendItem | Path],
    peer: Peer,
    *,
    on_result: OnResult | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> SendReport:
    """Store files at a peer.

    One association at a time, a further one only above 128 presentation contexts. Instances go
    in their own transfer syntax; only where the peer does not accept that they are decompressed
    to one that it does, and the result's note says so. After an abort or a time-out the rest is
    reported as not sent.

    Args:
        files: paths, or items whose header was read already.
        on_result: called for each file as soon as its outcome is known.
        is_cancelled: asked before each instance.
    """
    sending = _Sending(peer, on_result, is_cancelled)
    began = time.perf_counter()
    sending.run(files)
    sending.report.seconds = time.perf_counter() - began
    return sending.report


@dataclass(frozen=True)
class _Route:
    """How an instance can go: in which context, in which transfer syntax."""

    context_id: int
    syntax: str


@dataclass(frozen=True)
class _Prepared:
    """An instance that is ready to go: which context, which file, its first bytes."""

    item: SendItem
    context_id: int
    path: Path
    dataset_offset: int
    buffer: memoryview
    head_length: int
    size: int
    note: str = ""


class _Sending:
    def __init__(
        self, peer: Peer, on_result: OnResult | None, is_cancelled: Callable[[], bool]
    ) -> None:
        self.report = SendReport()
        self._peer = peer
        self._on_result = on_result
        self._is_cancelled = is_cancelled
        self._message_id = 0
        self._buffers = [memoryview(bytearray(_WINDOW_BYTES)) for _ in range(2)]

    def run(self, files: Iterable[SendItem | Path]) -> None:
        items = list(self._readable(files))
        waiting = plan(items)
        while waiting:
            batch = waiting.pop(0)
            done = len(self.report.results)
            try:
                with ClientAssociation(self._peer, batch.contexts) as association:
                    self.report.associations += 1
                    self._send_batch(batch, association)
            except NetworkError as error:
                self.report.error = error
                self._give_up(batch, done, str(error))
                for other in waiting:
                    self._give_up(other, len(self.report.results), str(error))
                return

    def _readable(self, files: Iterable[SendItem | Path]) -> Iterator[SendItem]:
        for file in files:
            if isinstance(file, SendItem):
                yield file
                continue
            try:
                yield read_item(file)
            except DicomError as error:
                self._tell(ItemResult(file, Outcome.FAILED, None, str(error)))

    def _send_batch(self, batch: Batch, association: ClientAssociation) -> None:
        with tempfile.TemporaryDirectory(prefix="isocenter-send-") as folder:
            prepared = self._prepare_all(batch, association, Path(folder))
            current = next(prepared, None)
            while current is not None:
                if self._is_cancelled():
                    association.abort()
                    raise NetworkError("sending was cancelled")
                self._transfer(current, association)
                following = next(prepared, None)  # read while the peer stores the last
                self._await(current, association)
                current = following

    def _prepare_all(
        self, batch: Batch, association: ClientAssociation, folder: Path
    ) -> Iterator[_Prepared]:
        routes = {item: _route(item, batch, association) for item in batch.items}
        converter = Converter(
            [
                Conversion(item, route.syntax)
                for item, route in routes.items()
                if route is not None and route.syntax != item.transfer_syntax_uid
            ],
            folder,
        )
        for number, item in enumerate(batch.items):
            route = routes[item]
            if route is None:
                self._fail(
                    item,
                    SOP_CLASS_NOT_SUPPORTED,
                    f"the peer accepts no presentation context for {item.sop_class_uid} "
                    f"in {item.transfer_syntax_uid}, nor uncompressed",
                )
                continue
            try:
                yield _prepare(item, route, converter, self._buffers[number % 2])
            except (DicomError, OSError) as error:
                self._fail(item, None, str(error))

    def _transfer(self, ready: _Prepared, association: ClientAssociation) -> None:
        self._message_id = self._message_id % 0xFFFF + 1
        item = ready.item
        request = encode_store_request(self._message_id, item.sop_class_uid, item.sop_instance_uid)
        limit = association.max_pdu
        buffers = encode_message(ready.context_id, request, max_pdu=limit)
        head = ready.buffer[: ready.head_length]
        is_whole = len(head) == ready.size
        association.send(
            *buffers,
            *fragments(ready.context_id, head, is_command=False, max_pdu=limit, is_end=is_whole),
        )
        if not is_whole:
            self._transfer_rest(ready, association)
        self.report.bytes_sent += ready.size

    def _transfer_rest(self, ready: _Prepared, association: ClientAssociation) -> None:
        """The windows after the first of an instance that is bigger than a buffer."""
        window = ready.buffer
        done = ready.head_length
        with ready.path.open("rb", buffering=0) as stream:
            stream.seek(ready.dataset_offset + done)
            while done < ready.size:
                count = stream.readinto(window[: min(len(window), ready.size - done)])
                if not count:
                    association.abort()
                    raise NetworkError(f"{ready.path} became shorter while it was sent")
                done += count
                association.send(
                    *fragments(
                        ready.context_id,
                        window[:count],
                        is_command=False,
                        max_pdu=association.max_pdu,
                        is_end=done == ready.size,
                    )
                )

    def _await(self, ready: _Prepared, association: ClientAssociation) -> None:
        answer = association.response(self._message_id, C_STORE_RSP)
        notes = [ready.note, _meaning(answer.status), answer.comment]
        note = "; ".join(text for text in notes if text)
        outcome = Outcome.STORED if _is_stored(answer.status) else Outcome.FAILED
        item = ready.item
        self._tell(ItemResult(item.path, outcome, answer.status, note, item.sop_instance_uid))
        if ready.path != item.path:
            ready.path.unlink(missing_ok=True)

    def _give_up(self, batch: Batch, done: int, reason: str) -> None:
        told = {result.path for result in self.report.results[done:]}
        for item in batch.items:
            if item.path not in told:
                note = f"not sent or not answered: {reason}"
                self._tell(
                    ItemResult(item.path, Outcome.NOT_SENT, None, note, item.sop_instance_uid)
                )

    def _fail(self, item: SendItem, status: int | None, note: str) -> None:
        self._tell(ItemResult(item.path, Outcome.FAILED, status, note, item.sop_instance_uid))

    def _tell(self, result: ItemResult) -> None:
        self.report.results.append(result)
        if self._on_result is not None:
            self._on_result(result)


def _route(item: SendItem, batch: Batch, association: ClientAssociation) -> _Route | None:
    """The context and transfer syntax for an instance; None when the peer takes it in no way."""
    own, fallback = batch.own_context(item), batch.fallback_context(item)
    if own in association.accepted:
        return _Route(own, item.transfer_syntax_uid)
    syntax = association.accepted.get(fallback)
    return None if syntax is None else _Route(fallback, syntax)


def _prepare(item: SendItem, route: _Route, converter: Converter, buffer: memoryview) -> _Prepared:
    path, offset, note = item.path, item.dataset_offset, ""
    if route.syntax != item.transfer_syntax_uid:
        path = converter.path_of(item)
        with path.open("rb") as stream:
            offset = read_file_meta(stream)[1]
        note = f"sent as {route.syntax}, the peer does not accept {item.transfer_syntax_uid}"
    head, size = _read_head(path, offset, buffer)
    return _Prepared(item, route.context_id, path, offset, buffer, head, size, note)


def _is_stored(status: int) -> bool:
    """Success and warnings: the peer has the instance (PS3.4 B.2.3, PS3.7 C)."""
    return status in (SUCCESS, 0x0001, 0x0107, 0x0116) or status >> 12 == 0xB


def _meaning(status: int) -> str:
    known = {
        0x0000: "",
        0xB000: "stored, the peer coerced data elements",
        0xB006: "stored, the peer discarded elements",
        0xB007: "stored, the peer says the data set does not match the SOP class",
        0x0122: "SOP class not supported",
        0x0124: "refused: not authorised",
        0x0211: "unrecognised operation",
        0x0110: "processing failure",
    }
    if status in known:
        return known[status]
    if status >> 8 == 0xA7:
        return "out of resources"
    if status >> 8 == 0xA9:
        return "data set does not match SOP class"
    if status >> 12 == 0xC:
        return "cannot understand"
    return f"{'warning' if _is_stored(status) else 'failure'} {status:04X}H"


def _read_head(path: Path, offset: int, buffer: memoryview) -> tuple[int, int]:
    """Fill the buffer with the data set's beginning; bytes there, and bytes of all of it."""
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
    return wanted, size
