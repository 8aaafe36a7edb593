"""Who may send, and what."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from .callers import STORE, Calling, KnownNode, who_calls
from .pdu import APPLICATION_CONTEXT, AssociateRequest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Rejection:
    """Why an association is refused: PS3.8 table 9-21, and a sentence for the audit."""

    result: int
    source: int
    reason: int
    text: str


LOCAL_LIMIT_EXCEEDED = Rejection(2, 3, 2, "the maximum number of associations is reached")
SHUTTING_DOWN = Rejection(2, 3, 1, "the receiver is stopping")


@dataclass(frozen=True)
class ReceivePolicy:
    """Who may send, and what.

    Attributes:
        allowed_calling_ae_titles: empty: everyone.
        allowed_networks: empty: everyone.
        check_called_ae_title: True refuses peers that call us by another name.
        denied_sop_classes: answered with 0x0122.
        paused: why nothing is taken now (answered with 0xA700); None: reception goes on.
        nodes: the systems that we know, by AE title; one that lacks the right ``store`` is
            answered with 0x0124.
        unknown_may_store: False answers callers that are none of them likewise.
    """

    allowed_calling_ae_titles: frozenset[str] = frozenset()
    allowed_networks: tuple[Network, ...] = ()
    check_called_ae_title: bool = False
    denied_sop_classes: frozenset[str] = frozenset()
    paused: str | None = None
    nodes: Mapping[str, tuple[KnownNode, ...]] = field(default_factory=dict)
    unknown_may_store: bool = True

    def refusal(
        self, request: AssociateRequest, address: str, own_ae_title: str
    ) -> Rejection | None:
        """Why this association is refused, or None when it is welcome."""
        if not request.protocol_version & 1:
            return Rejection(1, 2, 2, "the protocol version is not supported")
        if request.application_context != APPLICATION_CONTEXT:
            return Rejection(1, 1, 2, "the application context is not DICOM's")
        if not self.allows_address(address):
            return Rejection(1, 1, 1, "the address is in no allowed network")
        allowed = self.allowed_calling_ae_titles
        if allowed and request.calling_ae_title not in allowed:
            return Rejection(1, 1, 3, "the calling AE title is not allowed")
        if self.check_called_ae_title and request.called_ae_title != own_ae_title:
            return Rejection(1, 1, 7, "the called AE title is not ours")
        return None

    def refusal_to_store(self, calling: Calling) -> str | None:
        """Why this caller may store nothing, or None when it may; holds nothing of the caller."""
        same_title = self.nodes.get(calling.ae_title.strip(" "), ())
        found = who_calls(same_title, calling)
        if not found:
            return None if self.unknown_may_store else "AE title and address are no known node"
        if any(STORE in node.allows for node in found):
            return None
        return "this node lacks the right store"

    def allows_address(self, address: str) -> bool:
        """True when the address is in an allowed network."""
        if not self.allowed_networks:
            return True
        try:
            ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self.allowed_networks)
