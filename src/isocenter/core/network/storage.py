"""Storage service class (PS3.4 annex B) as acceptor: C-STORE into a sink.

Where instances go is the sink's matter; what is promised here is the order: data set to the
sink, ``commit`` (durable), only then success.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from isocenter.core.errors import DataSetError, ProtocolError, SpoolError

from .command import (
    C_STORE_RQ,
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH,
    NOT_AUTHORISED,
    OUT_OF_RESOURCES,
    SOP_CLASS_NOT_SUPPORTED,
    SUCCESS,
    UNRECOGNISED_OPERATION,
)
from .identity import PREFIX_BYTES, identity_of
from .messages import Chunk, Message
from .services import AssociationInfo, Channel, Session, is_known_request
from .sop_classes import is_storage

MAX_INSTANCE_BYTES = 8 << 30


@dataclass(frozen=True)
class InstanceContext:
    """What is known of an instance before its data set is read."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str
    address: str
    association_id: str


class InstanceWriter(Protocol):
    """Takes one instance."""

    def write(self, buffers: Sequence[memoryview]) -> None:
        """Append to the data set; the buffers are overwritten afterwards."""
        ...

    def commit(self, buffers: Sequence[memoryview]) -> None:
        """Append the last buffers and make all durable.

        Raises:
            SpoolError: it could not; nothing is left.
        """
        ...

    def abort(self) -> None:
        """Undo; harmless when it has ended already."""
        ...


class StorageSink(Protocol):
    """Where instances go; one per association."""

    def reserve_ok(self) -> bool:
        """False when nothing can be taken now (0xA700)."""
        ...

    def open(self, context: InstanceContext) -> InstanceWriter:
        """Begin an instance.

        Raises:
            SpoolError: it cannot (0xA700).
            DataSetError: the instance cannot be kept under these UIDs (0xC000).
        """
        ...

    def close(self) -> None: ...


class SinkFactory(Protocol):
    def __call__(self, info: AssociationInfo) -> StorageSink: ...


class StorageService:
    """Accepts every storage SOP class, private and unknown ones included.

    Args:
        sinks: makes a sink for each association.
        max_instance_bytes: a sender that goes on beyond is aborted.
    """

    def __init__(self, sinks: SinkFactory, *, max_instance_bytes: int = MAX_INSTANCE_BYTES) -> None:
        self._sinks = sinks
        self._max_instance_bytes = max_instance_bytes

    def supports(self, abstract_syntax: str) -> bool:
        return is_storage(abstract_syntax)

    def open(self, info: AssociationInfo) -> Session:
        return _StorageSession(info, self._sinks(info), self._max_instance_bytes)


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _StorageSession:
    def __init__(self, info: AssociationInfo, sink: StorageSink, max_bytes: int) -> None:
        self._info = info
        self._calling = info.calling
        self._sink = sink
        self._max_bytes = max_bytes

    def handle(self, message: Message, channel: Channel) -> None:
        command = message.command
        if not is_known_request(command, C_STORE_RQ):
            channel.respond(message, UNRECOGNISED_OPERATION)
            return
        try:
            self._check(message, channel)
            self._store(message)
        except (_Refused, SpoolError, DataSetError) as error:
            status = _status_of(error)
            message.drain()
            channel.respond(message, status, comment=str(error))
            channel.emit(
                "INSTANCE_REJECTED",
                status=f"{status:04X}",
                reason=str(error)[:500],
                sop_class_uid=command.affected_sop_class[:128],
                sop_instance_uid=command.affected_sop_instance[:128],
            )
            return
        channel.respond(message, SUCCESS)

    def close(self) -> None:
        self._sink.close()

    def _check(self, message: Message, channel: Channel) -> None:
        """What can be said before the data set comes."""
        command = message.command
        policy = channel.policy()
        context = self._info.contexts[message.context_id]
        refusal = policy.refusal_to_store(self._calling)
        if refusal is not None:
            raise _Refused(NOT_AUTHORISED, refusal)
        if command.affected_sop_class in policy.denied_sop_classes:
            raise _Refused(SOP_CLASS_NOT_SUPPORTED, "this SOP class is on the deny list")
        if policy.paused is not None:
            raise _Refused(OUT_OF_RESOURCES, policy.paused)
        if command.affected_sop_class != context.abstract_syntax:
            raise _Refused(DATA_SET_DOES_NOT_MATCH, "SOP class is not that of the context")
        if not command.affected_sop_instance:
            raise _Refused(CANNOT_UNDERSTAND, "no Affected SOP Instance UID")
        if not command.has_data_set:
            raise _Refused(CANNOT_UNDERSTAND, "no data set")
        if not self._sink.reserve_ok():
            raise _Refused(OUT_OF_RESOURCES, "the disk is full up to its reserve")

    def _store(self, message: Message) -> None:
        command = message.command
        context = InstanceContext(
            sop_class_uid=command.affected_sop_class,
            sop_instance_uid=command.affected_sop_instance,
            transfer_syntax_uid=self._info.contexts[message.context_id].transfer_syntax,
            calling_ae_title=self._info.calling_ae_title,
            called_ae_title=self._info.called_ae_title,
            address=self._info.address,
            association_id=self._info.association_id,
        )
        writer = self._sink.open(context)
        try:
            self._transfer(message, context, writer)
        except BaseException:
            writer.abort()
            raise

    def _transfer(self, message: Message, context: InstanceContext, writer: InstanceWriter) -> None:
        length = 0
        is_checked = False
        for chunk in message.chunks():
            if not is_checked:
                _check_identity(chunk, context)
                is_checked = True
            length += sum(map(len, chunk.pieces))
            if length > self._max_bytes:
                raise ProtocolError(f"an instance is longer than {self._max_bytes} bytes")
            if chunk.is_last:
                writer.commit(chunk.pieces)
            else:
                writer.write(chunk.pieces)


def _status_of(error: Exception) -> int:
    if isinstance(error, _Refused):
        return error.status
    return OUT_OF_RESOURCES if isinstance(error, SpoolError) else CANNOT_UNDERSTAND


def _check_identity(chunk: Chunk, context: InstanceContext) -> None:
    """Compare what the data set says of itself with what the command said."""
    prefix = b""
    for piece in chunk.pieces:
        prefix += piece[: PREFIX_BYTES - len(prefix)]
        if len(prefix) >= PREFIX_BYTES:
            break
    try:
        found = identity_of(prefix, context.transfer_syntax_uid)
    except DataSetError as error:
        raise _Refused(CANNOT_UNDERSTAND, str(error)) from None
    pairs = (
        ("SOP class", found.sop_class_uid, context.sop_class_uid),
        ("SOP instance", found.sop_instance_uid, context.sop_instance_uid),
    )
    for name, inside, named in pairs:
        if inside and inside != named:
            raise _Refused(DATA_SET_DOES_NOT_MATCH, f"{name} UIDs of command and data set differ")
