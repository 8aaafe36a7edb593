"""The table of services: what an acceptor offers, each entry on its own.

An association asks the table once per proposed abstract syntax, opens a session with each
service that it needs, and hands it the messages of its contexts. A service reads the data set
from the message and answers through the channel, as often as its protocol wants; the loop knows
nothing of commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from .callers import Calling
from .command import Command, SubOperations
from .connection import Buffer
from .messages import Message
from .policy import ReceivePolicy


@dataclass(frozen=True)
class NetworkEvent:
    """Something that the audit wants to know; never holds a patient's identity."""

    kind: str
    detail: Mapping[str, str | int] = field(default_factory=dict)


EventHandler = Callable[[NetworkEvent], None]


@dataclass(frozen=True)
class AcceptedContext:
    """A presentation context that both sides agreed on.

    Attributes:
        is_peer_scu: the peer may ask us on it.
        is_peer_scp: we may ask the peer on it: C-STORE of a C-GET (PS3.7 D.3.3.4).
    """

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    is_peer_scu: bool = True
    is_peer_scp: bool = False


#: What DCMTK's and our own tools call a peer that nobody named.
ANYBODY = "ANY-SCP"


@dataclass(frozen=True)
class AssociationInfo:
    """Who talks to us.

    Attributes:
        own_ae_title: our own name, whatever the peer calls us.
        is_encrypted: it talks TLS.
        has_certificate: it showed a certificate that one of our CAs signed.
    """

    association_id: str
    calling_ae_title: str
    called_ae_title: str
    address: str
    contexts: Mapping[int, AcceptedContext]
    extended: Mapping[str, bytes] = field(default_factory=dict)
    is_encrypted: bool = False
    has_certificate: bool = False
    own_ae_title: str = ""

    @property
    def retrieve_ae_title(self) -> str:
        """The name to fetch from us by: the one that we are called by, unless the peer's tool took
        the name that stands for anybody."""
        is_nobody = self.called_ae_title in ("", ANYBODY)
        return self.own_ae_title if is_nobody and self.own_ae_title else self.called_ae_title

    @property
    def calling(self) -> Calling:
        """What is seen of the caller."""
        return Calling(self.calling_ae_title, self.address, self.is_encrypted, self.has_certificate)


class Channel(Protocol):
    """What a service can do on its association."""

    @property
    def info(self) -> AssociationInfo: ...

    def policy(self) -> ReceivePolicy:
        """The policy as it is now."""
        ...

    @property
    def max_pdu(self) -> int:
        """Largest P-DATA-TF that the peer takes, in bytes after its header; 0 is no limit."""
        ...

    @property
    def is_stopping(self) -> bool:
        """True when the receiver wants to end; a long operation ends early then."""
        ...

    def respond(
        self,
        message: Message,
        status: int,
        data_set: bytes = b"",
        comment: str = "",
        counters: SubOperations | None = None,
    ) -> None:
        """Answer a request."""
        ...

    def send(self, *buffers: Buffer) -> None:
        """Write PDUs."""
        ...

    def is_cancelled(self, message: Message) -> bool:
        """True when the peer has sent C-CANCEL for this request; looks, and never waits.

        Raises:
            AssociationAborted: the peer is gone, or wants to go.
            ProtocolError: it sent something else in the middle of an operation.
        """
        ...

    def is_peer_talking(self) -> bool:
        """True when something of the peer waits to be read; looks, and never waits."""
        ...

    def response(self, message_id: int, field: int) -> Command:
        """Wait for the response to a request of ours; a C-CANCEL in between is remembered.

        Raises:
            AssociationAborted, NetworkTimeout, ProtocolError: none came.
        """
        ...

    def emit(self, kind: str, **detail: str | int) -> None:
        """Tell the audit."""
        ...


class Session(Protocol):
    """One service on one association."""

    def handle(self, message: Message, channel: Channel) -> None:
        """Do what a request asks, and answer it. What is left of its data set is skipped."""
        ...

    def close(self) -> None:
        """The association ended."""
        ...


class Service(Protocol):
    """An entry of the table."""

    def supports(self, abstract_syntax: str) -> bool:
        """True when contexts with this abstract syntax are accepted."""
        ...

    def open(self, info: AssociationInfo) -> Session:
        """A session for an association that uses this service."""
        ...


@runtime_checkable
class SendingService(Protocol):
    """A service that stores at the peer on the peer's own association."""

    def preferred_syntax(self, sop_class: str) -> str:
        """What most instances of a class are stored in; empty where it is not known. At once."""
        ...


def find_service(services: Sequence[Service], abstract_syntax: str) -> Service | None:
    """The first entry that supports it."""
    for service in services:
        if service.supports(abstract_syntax):
            return service
    return None


def is_known_request(command: Command, *fields: int) -> bool:
    """True when a message is one of the requests that a service knows."""
    return command.is_request and command.field in fields
