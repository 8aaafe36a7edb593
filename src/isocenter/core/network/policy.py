"""Who may send, and what."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

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
    """

    allowed_calling_ae_titles: frozenset[str] = frozenset()
    allowed_networks: tuple[Network, ...] = ()
    check_called_ae_title: bool = False
    denied_sop_classes: frozenset[str] = frozenset()
    paused: str | None = None

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
