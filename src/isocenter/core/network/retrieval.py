"""What C-GET and C-MOVE share (PS3.4 annex C.4.2, C.4.3): a request from its identifier to its last
answer, and the counters. How the instances go is each service's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from isocenter.core.dicom.part10 import read_file_meta
from isocenter.core.errors import DicomError, NotDicomError

from .client import Peer
from .command import (
    C_MOVE_RQ,
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH,
    OUT_OF_RESOURCES,
    SUCCESS,
    UNRECOGNISED_OPERATION,
    Command,
    SubOperations,
)
from .identifiers import MAX_IDENTIFIER_BYTES, Element, decode_identifier, encode_identifier
from .messages import Message
from .outcomes import ItemResult, Outcome
from .proposals import SendItem
from .query_model import (
    CANCELLED,
    OUT_OF_RESOURCES_SUB_OPERATIONS,
    PENDING,
    SUB_OPERATIONS_WITH_FAILURES,
    QueryRefused,
    Retrieval,
    read_retrieval,
)
from .services import AssociationInfo, Channel, is_known_request

_FAILED_SOP_INSTANCES = 0x00080058
_MAX_LISTED_BYTES = 65_000  # UI has 16 bits for its length in explicit VR
PENDING_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A Part 10 file that can be sent."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str

    def item(self) -> SendItem:
        """With the place of its data set.

        Raises:
            DicomError: the file is not there, or none.
        """
        try:
            with self.path.open("rb") as stream:
                meta, offset = read_file_meta(stream)
        except OSError as error:
            raise NotDicomError(f"an instance cannot be read: {error.strerror}") from None
        return SendItem(
            self.path,
            self.sop_class_uid,
            self.sop_instance_uid,
            meta.transfer_syntax_uid or self.transfer_syntax_uid,
            offset,
        )


@dataclass(frozen=True)
class Selection:
    """Instances that a request is for, in the order in which they are sent."""

    count: int
    files: Iterator[StoredFile]


@dataclass(frozen=True)
class Destination:
    """Where C-MOVE sends to; ``associations`` is the most that it gets at once."""

    peer: Peer
    associations: int = 1


class RetrieveProvider(Protocol):
    """Who has the instances."""

    def select(self, retrieval: Retrieval, caller: AssociationInfo) -> Selection:
        """Find instances.

        Raises:
            QueryRefused: with the status that the peer gets.
        """
        ...

    def prepare(self) -> None:
        """A peer may ask soon; returns at once."""
        ...

    def close(self) -> None:
        """The association of this thread has ended."""
        ...


class GetProvider(RetrieveProvider, Protocol):
    """Who also knows what instances are stored in."""

    def preferred_syntax(self, sop_class: str) -> str:
        """The transfer syntax of most instances of a class; empty where it is not known. At
        once, and without an error: it is asked for while an association is negotiated."""
        ...


class MoveProvider(RetrieveProvider, Protocol):
    """Who also knows where instances may go."""

    def destination(self, ae_title: str, caller: AssociationInfo) -> Destination | None:
        """A node that we know; None where there is none.

        Raises:
            QueryRefused: with the status that the peer gets.
        """
        ...


def _read_request(message: Message, info: AssociationInfo) -> Retrieval:
    """The identifier of a C-GET or C-MOVE.

    Raises:
        QueryRefused, DicomError: it cannot be used.
        ProtocolError: it is too long.
    """
    context = info.contexts[message.context_id]
    if message.command.affected_sop_class != context.abstract_syntax:
        raise QueryRefused(DATA_SET_DOES_NOT_MATCH, "SOP class is not that of the context")
    if not message.command.has_data_set:
        raise QueryRefused(DATA_SET_DOES_NOT_MATCH, "no identifier")
    raw = message.read(MAX_IDENTIFIER_BYTES)
    return read_retrieval(context.abstract_syntax, decode_identifier(raw, context.transfer_syntax))


@dataclass
class Tally:
    """The sub-operations of one request."""

    total: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    bytes_sent: int = 0
    failed_uids: list[str] = field(default_factory=list)
    first_reason: str = ""
    _listed_bytes: int = 0

    def note(self, result: ItemResult) -> None:
        """Count what became of an instance."""
        if result.outcome is not Outcome.STORED:
            self.fail(result.sop_instance_uid, result.note)
        elif result.status == SUCCESS:
            self.completed += 1
        else:
            self.warning += 1

    def fail(self, sop_uid: str, reason: str) -> None:
        """Count one that was not stored."""
        self.failed += 1
        if "/" in reason:  # a path of ours, which is nothing for a peer
            reason = "an instance cannot be read"
        self.first_reason = self.first_reason or reason
        self._listed_bytes += len(sop_uid) + 1
        if self._listed_bytes <= _MAX_LISTED_BYTES:
            self.failed_uids.append(sop_uid)

    def counters(self, *, is_final: bool) -> SubOperations:
        """As a response has them: what remains is only in those that are not the last."""
        done = self.completed + self.failed + self.warning
        remaining = None if is_final else max(0, self.total - done)
        return SubOperations(remaining, self.completed, self.failed, self.warning)

    def status(self) -> int:
        """Of the end, where nobody cancelled."""
        if self.failed and not self.completed and not self.warning:
            return OUT_OF_RESOURCES_SUB_OPERATIONS
        return SUB_OPERATIONS_WITH_FAILURES if self.failed or self.warning else SUCCESS


class Progress:
    """Pending answers, not more often than they help; and whether to go on."""

    def __init__(self, message: Message, channel: Channel, tally: Tally) -> None:
        self._message = message
        self._channel = channel
        self.tally = tally
        self._told_at = time.monotonic()
        self.is_cancelled = False

    def may_go_on(self) -> bool:
        """Tell the peer how far it is, where it is time; False when it, or we, want to end.

        Raises:
            NetworkError: the peer is gone.
        """
        if not self.is_cancelled and self._channel.is_cancelled(self._message):
            self.is_cancelled = True
        if self.is_cancelled or self._channel.is_stopping:
            return False
        now = time.monotonic()
        if now - self._told_at >= PENDING_EVERY_S:
            self._told_at = now
            counters = self.tally.counters(is_final=False)
            self._channel.respond(self._message, PENDING, counters=counters)
        return True

    def finish(self) -> int:
        """The last answer; returns its status."""
        tally, comment = self.tally, ""
        if self.is_cancelled:
            status = CANCELLED
        elif self._channel.is_stopping and self._left() > 0:
            status, comment = OUT_OF_RESOURCES, "the receiver is stopping"
        else:
            status, comment = tally.status(), tally.first_reason
        # PS3.4 C.4.2.1.6: a cancelled one says how many remain
        counters = tally.counters(is_final=not self.is_cancelled)
        self._channel.respond(
            self._message, status, self._failed_list(), comment=comment, counters=counters
        )
        return status

    def _left(self) -> int:
        return self.tally.counters(is_final=False).remaining or 0

    def _failed_list(self) -> bytes:
        if not self.tally.failed_uids:
            return b""
        context = self._channel.info.contexts[self._message.context_id]
        uids = Element(_FAILED_SOP_INSTANCES, "UI", tuple(self.tally.failed_uids))
        return encode_identifier([uids], context.transfer_syntax)


Way = Callable[[Iterator[StoredFile], Progress], None]


class RetrieveSession:
    """The requests of one association.

    Args:
        request: the one command field that is known: C-GET-RQ or C-MOVE-RQ.
        way: how the instances of a request go out; it may raise `QueryRefused`, and is asked
            before anything is selected.
    """

    def __init__(
        self,
        provider: RetrieveProvider,
        info: AssociationInfo,
        request: int,
        way: Callable[[Message, Channel], Way],
    ) -> None:
        self._provider = provider
        self._info = info
        self._request = request
        self._way = way

    def handle(self, message: Message, channel: Channel) -> None:
        if not is_known_request(message.command, self._request):
            channel.respond(message, UNRECOGNISED_OPERATION)
            return
        retrieval: Retrieval | None = None
        tally: Tally | None = None
        status: int | None = None
        try:
            retrieval = _read_request(message, self._info)
            send = self._way(message, channel)
            selection = self._provider.select(retrieval, self._info)
            tally = Tally(selection.count)
            progress = Progress(message, channel, tally)
            send(selection.files, progress)
            status = progress.finish()
        except DicomError as error:
            status = error.status if isinstance(error, QueryRefused) else CANNOT_UNDERSTAND
            counters = None if tally is None else tally.counters(is_final=True)
            channel.respond(message, status, comment=str(error), counters=counters)
        finally:
            channel.emit("RETRIEVED", **_told(message.command, retrieval, tally, status))

    def close(self) -> None:
        self._provider.close()


def _told(
    command: Command, retrieval: Retrieval | None, tally: Tally | None, status: int | None
) -> dict[str, str | int]:
    """What the audit gets of a request: what for, how many, never whose."""
    detail: dict[str, str | int] = {"service": "C-GET"}
    if command.field == C_MOVE_RQ:
        detail = {"service": "C-MOVE", "destination": command.move_destination[:16]}
    detail["status"] = "aborted" if status is None else f"{status:04X}"
    if retrieval is not None:
        detail["level"] = str(retrieval.level)
        for key, uids in (
            ("study_uid", retrieval.study_uids),
            ("series_uid", retrieval.series_uids),
        ):
            if uids:
                detail[key] = uids[0]
    if tally is not None:
        detail |= {
            "instances": tally.completed + tally.warning,
            "failed": tally.failed,
            "warnings": tally.warning,
            "bytes": tally.bytes_sent,
        }
    return detail
