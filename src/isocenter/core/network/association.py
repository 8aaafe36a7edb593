"""One association that a peer asked for: negotiate, serve, end."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from isocenter.core.errors import AssociationAborted, NetworkError, NetworkTimeout, ProtocolError

from .command import C_CANCEL_RQ, Command, SubOperations, encode_response
from .connection import Buffer, Connection
from .messages import Message, MessageReader, encode_message
from .negotiation import Agreement, answer_extended, negotiate
from .pdu import (
    ABORT,
    ASSOCIATE_RQ,
    MAX_ASSOCIATE_BYTES,
    RELEASE_RP_BYTES,
    AssociateRequest,
    decode_associate_rq,
    encode_abort,
    encode_associate_ac,
    encode_associate_rj,
    own_user_information,
)
from .policy import ReceivePolicy, Rejection
from .services import AssociationInfo, EventHandler, NetworkEvent, Service, Session

_LINGER_S = 1.0


class _ReleaseAsked(AssociationAborted):
    """The peer wants to go while an operation is going on; it may."""


@dataclass(frozen=True)
class AssociationLimits:
    """Times and sizes of one association."""

    max_pdu: int
    acse_timeout_s: float
    network_timeout_s: float
    buffer_bytes: int


class Association:
    """Runs in a thread of its own; the connection is the caller's to close.

    Args:
        admit: asked once the request was read; a rejection when there are too many.
    """

    def __init__(
        self,
        connection: Connection,
        address: str,
        *,
        own_ae_title: str,
        limits: AssociationLimits,
        services: Sequence[Service],
        policy: Callable[[], ReceivePolicy],
        events: EventHandler,
        admit: Callable[[], Rejection | None],
    ) -> None:
        self._connection = connection
        self._address = address
        self._own_ae_title = own_ae_title
        self._limits = limits
        self._services = services
        self.policy = policy
        self._events = events
        self._admit = admit
        self._reader = MessageReader(
            connection,
            max_pdu=limits.max_pdu,
            pdu_timeout_s=limits.acse_timeout_s,
            buffer_bytes=limits.buffer_bytes,
        )
        self._id = uuid.uuid4().hex[:16]
        self._calling = self._called = ""
        self._peer_max_pdu = 0
        self._info: AssociationInfo | None = None
        self._sessions: dict[int, Session] = {}
        self._cancelled_id: int | None = None
        self._state_lock = threading.Lock()
        self._is_stopping = False
        self._is_busy = True  # until the association is established, ARTIM bounds it

    @property
    def info(self) -> AssociationInfo:
        if self._info is None:
            raise ProtocolError("the association is not established")
        return self._info

    @property
    def max_pdu(self) -> int:
        """Largest P-DATA-TF that the peer takes, in bytes after its header; 0 is no limit."""
        return self._peer_max_pdu

    @property
    def is_stopping(self) -> bool:
        """True when the receiver wants to end; a long operation ends early then."""
        return self._is_stopping

    def run(self) -> None:
        """Serve the peer to the end; every way to end is an event, none is an exception."""
        try:
            if self._establish():
                self._serve()
        except _ReleaseAsked:
            self._release()
        except AssociationAborted as error:
            if not self._connection.is_silent:  # a look whether the port is open is no association
                self._ended("ASSOCIATION_ABORTED", str(error), abort=(2, 0))
        except NetworkTimeout as error:
            self._ended("ASSOCIATION_ABORTED", str(error), abort=(2, 0))
        except ProtocolError as error:
            self._ended("ASSOCIATION_ABORTED", str(error), abort=(2, 6))
        except NetworkError as error:  # what it was to be sent went away in the middle
            self._ended("ASSOCIATION_ABORTED", str(error), abort=(2, 0))
        except Exception as error:  # a service that fails must not take the acceptor with it
            self._ended("ASSOCIATION_ABORTED", f"internal error: {error!r}"[:500], abort=(2, 0))
            raise
        finally:
            self._close_sessions()

    def stop(self) -> None:
        """End after the message that is being handled, at once when there is none."""
        with self._state_lock:
            self._is_stopping = True
            if not self._is_busy:
                self._connection.shut_reading()

    def respond(
        self,
        message: Message,
        status: int,
        data_set: bytes = b"",
        comment: str = "",
        counters: SubOperations | None = None,
    ) -> None:
        """Answer a request; what is left of its data set is read first."""
        message.drain()
        command = encode_response(
            message.command,
            status,
            has_data_set=bool(data_set),
            comment=comment,
            counters=counters,
        )
        self._connection.send(
            *encode_message(message.context_id, command, data_set, max_pdu=self._peer_max_pdu)
        )

    def send(self, *buffers: Buffer) -> None:
        """Write PDUs."""
        self._connection.send(*buffers)

    def is_cancelled(self, message: Message) -> bool:
        """True when the peer has sent C-CANCEL for this request; looks, and never waits."""
        while self._cancelled_id != message.command.message_id and self._reader.has_bytes():
            arrived = self._next_inside()
            if arrived.command.field != C_CANCEL_RQ:
                raise ProtocolError("a message came in the middle of an operation, window 1")
            self._note_cancel(arrived)
        return self._cancelled_id == message.command.message_id

    def is_peer_talking(self) -> bool:
        """True when something of the peer waits to be read; looks, and never waits."""
        return self._reader.has_bytes()

    def response(self, message_id: int, field: int) -> Command:
        """Wait for the response to a request of ours; a C-CANCEL in between is remembered."""
        self._connection.quick_ack()
        while (arrived := self._next_inside()).command.field == C_CANCEL_RQ:
            self._note_cancel(arrived)
        command = arrived.command
        if command.field != field or command.responded_id != message_id:
            raise ProtocolError(
                f"a message {command.field:04X}H came, the response {field:04X}H to our "
                f"message {message_id} was awaited"
            )
        return command

    def emit(self, kind: str, **detail: str | int) -> None:
        """Tell the audit, with who it was."""
        self._events(
            NetworkEvent(
                kind,
                {
                    "association": self._id,
                    "calling_ae_title": self._calling,
                    "called_ae_title": self._called,
                    "address": self._address,
                    **detail,
                },
            )
        )

    def _establish(self) -> bool:
        self._connection.set_timeout(self._limits.acse_timeout_s)
        kind, body = self._reader.read_pdu(MAX_ASSOCIATE_BYTES)
        if kind == ABORT:
            raise AssociationAborted("the peer aborted before it asked for an association")
        if kind != ASSOCIATE_RQ:
            raise ProtocolError(f"a PDU of type {kind:02X}H came before A-ASSOCIATE-RQ")
        request = decode_associate_rq(body)
        self._calling, self._called = request.calling_ae_title, request.called_ae_title
        refusal = self.policy().refusal(request, self._address, self._own_ae_title)
        refusal = refusal or self._admit()
        if refusal is not None:
            self._reject(refusal)
            return False
        self._accept(request)
        return True

    def _reject(self, refusal: Rejection) -> None:
        self._connection.send(encode_associate_rj(refusal.result, refusal.source, refusal.reason))
        self.emit(
            "ASSOCIATION_REJECTED",
            result=refusal.result,
            source=refusal.source,
            reason=refusal.reason,
            text=refusal.text,
        )
        self._connection.linger(_LINGER_S)

    def _accept(self, request: AssociateRequest) -> None:
        agreed = negotiate(request, self._services)
        extended = answer_extended(request.user.extended, agreed.contexts.values())
        self._info = AssociationInfo(
            self._id,
            self._calling,
            self._called,
            self._address,
            agreed.contexts,
            extended,
            is_encrypted=self._connection.is_encrypted,
            has_certificate=self._connection.has_certificate,
            own_ae_title=self._own_ae_title,
        )
        self._open_sessions(agreed.chosen)
        self._send_accept(request, agreed)

    def _send_accept(self, request: AssociateRequest, agreed: Agreement) -> None:
        user = own_user_information(
            self._limits.max_pdu,
            asynchronous_operations=(1, 1) if request.user.asynchronous_operations else None,
            roles=agreed.roles,
            extended=dict(self.info.extended),
        )
        self._connection.send(encode_associate_ac(request.titles, agreed.results, user))
        self._peer_max_pdu = request.user.max_pdu
        self.emit(
            "ASSOCIATION_ACCEPTED",
            contexts=len(self.info.contexts),
            refused_contexts=len(agreed.results) - len(self.info.contexts),
            implementation=request.user.implementation_version_name,
        )

    def _open_sessions(self, chosen: dict[int, Service]) -> None:
        opened: dict[int, Session] = {}
        for context_id, service in chosen.items():
            session = opened.get(id(service))
            if session is None:
                session = opened[id(service)] = service.open(self.info)
            self._sessions[context_id] = session

    def _serve(self) -> None:
        timeout_s = self._limits.network_timeout_s
        self._connection.set_timeout(timeout_s)
        self._reader.set_pdu_timeout(timeout_s)
        while True:
            if not self._set_busy(False):
                raise AssociationAborted("the receiver is stopping")
            message = self._next_message()
            if message is None:
                self._release()
                return
            self._handle(message)

    def _release(self) -> None:
        with contextlib.suppress(NetworkError):  # who does not wait for it is gone
            self._connection.send(RELEASE_RP_BYTES)
        self.emit("ASSOCIATION_RELEASED")
        self._connection.linger(_LINGER_S)

    def _next_message(self) -> Message | None:
        try:
            message = self._reader.next_message(on_begin=lambda: self._set_busy(True))
        except AssociationAborted:
            if self._is_stopping:
                raise AssociationAborted("the receiver is stopping") from None
            raise
        return message

    def _next_inside(self) -> Message:
        """The next message in the middle of an operation, without its data set."""
        message = self._reader.next_message()
        if message is None:
            raise _ReleaseAsked("the peer asked for release in the middle of an operation")
        message.drain()
        return message

    def _note_cancel(self, message: Message) -> None:
        self._cancelled_id = message.command.responded_id

    def _handle(self, message: Message) -> None:
        if message.command.field == C_CANCEL_RQ:  # of an operation that has ended meanwhile
            message.drain()
            return
        self._cancelled_id = None
        session = self._sessions.get(message.context_id)
        if session is None:
            raise ProtocolError(f"a message on context {message.context_id}, which is not agreed")
        if not message.command.is_request:
            raise ProtocolError("a response came that nobody asked for")
        session.handle(message, self)
        message.drain()

    def _set_busy(self, is_busy: bool) -> bool:
        """Note that a message is being handled, or none; False when we are to stop."""
        with self._state_lock:
            self._is_busy = is_busy
            return not self._is_stopping

    def _ended(self, kind: str, text: str, abort: tuple[int, int]) -> None:
        self.emit(kind, text=text)
        try:
            self._connection.send(encode_abort(*abort))
            self._connection.linger(_LINGER_S)
        except NetworkError:
            return  # it is gone already

    def _close_sessions(self) -> None:
        for session in {id(one): one for one in self._sessions.values()}.values():
            session.close()
        self._sessions.clear()
