"""An association that we ask for: connect, negotiate, exchange messages, release."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from isocenter.core.errors import (
    AssociationAborted,
    AssociationRejected,
    NetworkError,
    NetworkTimeout,
    ProtocolError,
)

from .command import Command
from .connection import Buffer, Connection
from .messages import Message, MessageReader
from .pdu import (
    ABORT,
    APPLICATION_CONTEXT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    MAX_ASSOCIATE_BYTES,
    RELEASE_RP,
    RELEASE_RP_BYTES,
    RELEASE_RQ,
    RELEASE_RQ_BYTES,
    AssociateRequest,
    ProposedContext,
    decode_associate_ac,
    encode_abort,
    encode_associate_rq,
    own_user_information,
)
from .services import ANYBODY
from .strangers import stranger, tls_failure, without_answer
from .tls import ClientTls, client_context

_BUFFER_BYTES = MAX_ASSOCIATE_BYTES + 64
_REJECT_REASONS = {
    (1, 1): "no reason given",
    (1, 2): "application context not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given by the provider",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


@dataclass(frozen=True)
class Peer:
    """A DICOM system that we talk to.

    Attributes:
        timeout_s: longest silence of the peer, and longest wait for the connection.
        tls: None for plain TCP.
        max_pdu: bytes that we accept and send in one P-DATA-TF.
        pace: called with a number of bytes before so many are sent; may sleep.
    """

    host: str
    port: int
    called_ae_title: str = ANYBODY
    calling_ae_title: str = "ISOCENTER"
    timeout_s: float = 60
    tls: ClientTls | None = None
    max_pdu: int = 131072
    pace: Callable[[int], None] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.called_ae_title} at {self.host}:{self.port}"


class Line:
    """The socket of an association, so that another thread can end it at any stage.

    A thread that is blocked in connecting, in waiting for the peer's acceptance, or in reading
    or writing then sees the connection closed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False

    def attach(self, sock: socket.socket) -> None:
        """Say which socket it is.

        Raises:
            NetworkError: it was cut before.
        """
        with self._lock:
            if self._is_cut:
                raise NetworkError("the connection was given up")
            self._socket = sock

    def cut(self, *, may_say_so: bool = False) -> None:
        """End it, now or as soon as there is a socket.

        Args:
            may_say_so: stop only reading, so that its thread can still send A-ABORT.
        """
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                how = socket.SHUT_RD if may_say_so else socket.SHUT_RDWR
                with contextlib.suppress(OSError):
                    # Not the method of a TLS socket, which takes away what its thread works with.
                    socket.socket.shutdown(self._socket, how)


class ClientAssociation:
    """An established association; use it in a ``with`` block, which releases or aborts it.

    Args:
        line: lets another thread end it.
        roles: (SCU, SCP) that we want to be, by SOP class; SCU where nothing is said.

    Raises (on construction):
        AssociationRejected: the peer said no; carries result, source and reason.
        NetworkTimeout, NetworkError: it cannot be reached, or breaks the protocol.
    """

    def __init__(
        self,
        peer: Peer,
        contexts: Sequence[ProposedContext],
        *,
        line: Line | None = None,
        roles: Mapping[str, tuple[bool, bool]] | None = None,
    ) -> None:
        self.peer = peer
        self._roles = dict(roles or {})
        self._connection = Connection(_connect(peer, line or Line()), peer.timeout_s)
        self._reader = MessageReader(
            self._connection,
            max_pdu=peer.max_pdu,
            pdu_timeout_s=peer.timeout_s,
            buffer_bytes=_BUFFER_BYTES,
        )
        self._is_open = False
        try:
            self._negotiate(contexts)
        except BaseException as error:
            if not isinstance(error, AssociationRejected):
                with contextlib.suppress(NetworkError):  # it may be there, only too late for us
                    self._connection.send(encode_abort(0, 0))
            self._connection.close()
            raise
        self._is_open = True

    @property
    def accepted(self) -> Mapping[int, str]:
        """Transfer syntax of each context that the peer accepted."""
        return self._accepted

    @property
    def max_pdu(self) -> int:
        """Largest P-DATA-TF that may be sent, in bytes after its header."""
        return self._max_pdu

    def send(self, *buffers: Buffer) -> None:
        """Write PDUs, no faster than the peer's pace."""
        if self.peer.pace is not None:
            self.peer.pace(sum(map(len, buffers)))
        self._connection.send(*buffers)

    def response(self, message_id: int, field: int) -> Command:
        """Wait for the response to a request.

        Raises:
            ProtocolError: another message came.
            AssociationAborted, NetworkTimeout: none came.
        """
        self._connection.quick_ack()
        message = self._reader.next_message()
        if message is None:
            self._is_open = False
            with contextlib.suppress(NetworkError):
                self._connection.send(RELEASE_RP_BYTES)
            raise AssociationAborted("the peer asked for release instead of answering")
        message.drain()
        command = message.command
        if command.field != field or command.responded_id != message_id:
            raise ProtocolError(
                f"a response {command.field:04X}H to message {command.responded_id} came, "
                f"{field:04X}H to {message_id} was awaited"
            )
        return command

    def next_message(self, timeout_s: float) -> Message | None:
        """Whatever the peer sends next; None when it asked for release, which it was given.

        Raises:
            NetworkTimeout: nothing came in so many seconds.
            AssociationAborted, ProtocolError: it ended badly.
        """
        self._connection.quick_ack()
        self._connection.set_timeout(timeout_s)
        try:
            message = self._reader.next_message()
        finally:
            self._connection.set_timeout(self.peer.timeout_s)
        if message is None:
            self._is_open = False
            with contextlib.suppress(NetworkError):
                self._connection.send(RELEASE_RP_BYTES)
        return message

    def release(self) -> None:
        """End in good order; a peer that does not answer in time is left."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            self._connection.set_timeout(min(self.peer.timeout_s, 10))
            self._connection.send(RELEASE_RQ_BYTES)
            self._connection.quick_ack()
            kind, _ = self._reader.read_pdu(MAX_ASSOCIATE_BYTES)
            if kind == RELEASE_RQ:  # both asked at once (PS3.8 9.2.2.8)
                self._connection.send(RELEASE_RP_BYTES)
            elif kind not in (RELEASE_RP, ABORT):
                raise ProtocolError(f"a PDU of type {kind:02X}H came in answer to release")
        finally:
            self._connection.close()

    def abort(self) -> None:
        """End at once (A-ABORT of the service user)."""
        if self._is_open:
            self._is_open = False
            with contextlib.suppress(NetworkError):
                self._connection.send(encode_abort(0, 0))
                self._connection.linger(1)
        self._connection.close()

    def __enter__(self) -> ClientAssociation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            with contextlib.suppress(NetworkError):  # all answers are here already
                self.release()
        self.abort()

    def _negotiate(self, contexts: Sequence[ProposedContext]) -> None:
        peer = self.peer
        self._connection.send(
            encode_associate_rq(
                AssociateRequest(
                    called_ae_title=peer.called_ae_title,
                    calling_ae_title=peer.calling_ae_title,
                    application_context=APPLICATION_CONTEXT,
                    contexts=tuple(contexts),
                    user=own_user_information(peer.max_pdu, roles=self._roles),
                )
            )
        )
        self._connection.quick_ack()
        kind, body = self._first_pdu()
        if kind == ASSOCIATE_RJ and len(body) == 4:
            _raise_rejected(peer, body)
        if kind == ABORT:
            raise AssociationAborted(f"{peer} aborted the association before it began")
        if kind != ASSOCIATE_AC:
            raise ProtocolError(f"{peer} answered A-ASSOCIATE-RQ with a PDU of type {kind:02X}H")
        answer = decode_associate_ac(body)
        proposed = {context.context_id: context for context in contexts}
        self._accepted = {
            result.context_id: result.transfer_syntax
            for result in answer.contexts
            if result.result == 0
            and result.context_id in proposed
            and result.transfer_syntax in proposed[result.context_id].transfer_syntaxes
        }
        theirs = answer.user.max_pdu
        self._max_pdu = min(theirs, peer.max_pdu) if theirs else peer.max_pdu

    def _first_pdu(self) -> tuple[int, bytes]:
        """The answer to A-ASSOCIATE-RQ, from whoever is at this port."""
        peer = self.peer
        try:
            kind, body = self._reader.read_pdu(MAX_ASSOCIATE_BYTES)
        except ProtocolError:
            found = stranger(self._reader.last_head)
            if not found:
                raise
            raise ProtocolError(f"{peer} is no DICOM peer: {found} answers") from None
        except AssociationAborted as error:
            if not self._connection.is_silent:
                raise
            left = without_answer(str(error), is_tls=peer.tls is not None)
            raise AssociationAborted(f"{peer} {left}") from None
        if found := stranger(self._reader.last_head):
            raise ProtocolError(f"{peer} is no DICOM peer: {found} answers")
        return kind, body


def _connect(peer: Peer, line: Line) -> socket.socket:
    try:
        sock = _open_socket(peer, line)
    except TimeoutError:
        raise NetworkTimeout(
            f"{peer} did not take the connection in {peer.timeout_s:g} s"
        ) from None
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error  # without its number
        raise NetworkError(f"{peer} cannot be reached: {reason}") from error
    if peer.tls is None:
        return sock
    try:
        secure = client_context(peer.tls).wrap_socket(
            sock, server_hostname=peer.host, do_handshake_on_connect=False
        )
        sock = secure  # wrapping has emptied the plain one
        line.attach(secure)
        secure.do_handshake()
    except TimeoutError:
        sock.close()
        raise NetworkTimeout(f"{peer} did not finish the TLS handshake") from None
    except (OSError, ssl.SSLError) as error:
        sock.close()
        raise NetworkError(f"no TLS connection with {peer}: {tls_failure(error)}") from error
    except BaseException:
        sock.close()
        raise
    return sock


def _open_socket(peer: Peer, line: Line) -> socket.socket:
    """Connect to the first of the peer's addresses that answers."""
    failure: OSError = OSError("it has no address")
    addresses = socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in addresses:
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            line.attach(sock)
            sock.settimeout(peer.timeout_s)
            sock.connect(address)
            return sock
        except OSError as error:
            failure = error
            if sock is not None:
                sock.close()
        except BaseException:
            if sock is not None:
                sock.close()
            raise
    raise failure


def _raise_rejected(peer: Peer, body: bytes) -> None:
    result, source, reason = body[1], body[2], body[3]
    text = _REJECT_REASONS.get((source, reason), f"source {source}, reason {reason}")
    kind = "permanently" if result == 1 else "for now"
    raise AssociationRejected(
        f"{peer} rejected the association {kind}: {text}",
        result=result,
        source=source,
        reason=reason,
    )
