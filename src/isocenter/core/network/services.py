"""The table of services: what an acceptor offers, each entry on its own.

An association asks the table once per proposed abstract syntax, opens a session with each
service that it needs, and hands it the messages of its contexts. A service reads the data set
from the message and answers through the channel, as often as its protocol wants; the loop knows
nothing of commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .command import Command
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
    """A presentation context that both sides agreed on."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True)
class AssociationInfo:
    """Who talks to us.

    Attributes:
        is_encrypted: it talks TLS.
        has_certificate: it showed a certificate that one of our CAs signed.
    """

    association_id: str
    calling_ae_title: str
    called_ae_title: str
    address: str
    contexts: Mapping[int, AcceptedContext]
    is_encrypted: bool = False
    has_certificate: bool = False


class Channel(Protocol):
    """What a service can do on its association."""

    @property
    def info(self) -> AssociationInfo: ...

    def policy(self) -> ReceivePolicy:
        """The policy as it is now."""
        ...

    def respond(
        self, message: Message, status: int, data_set: bytes = b"", comment: str = ""
    ) -> None:
        """Answer a request."""
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


def find_service(services: Sequence[Service], abstract_syntax: str) -> Service | None:
    """The first entry that supports it."""
    for service in services:
        if service.supports(abstract_syntax):
            return service
    return None


def is_known_request(command: Command, *fields: int) -> bool:
    """True when a message is one of the requests that a service knows."""
    return command.is_request and command.field in fields
