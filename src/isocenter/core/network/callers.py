"""Which of the systems that we know is calling: by AE title, address, and what TLS shows of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

STORE = "store"


@dataclass(frozen=True)
class Calling:
    """What is seen of a caller.

    Attributes:
        is_encrypted: it talks TLS.
        has_certificate: it showed a certificate that one of our CAs signed.
    """

    ae_title: str
    address: str
    is_encrypted: bool = False
    has_certificate: bool = False


@dataclass(frozen=True)
class KnownNode:
    """A system that may call.

    Attributes:
        addresses: all that its host has, without zones.
        allows: names of what it may ask for.
        needs_tls, needs_certificate: what it has to show besides.
    """

    name: str
    ae_title: str
    addresses: frozenset[str] = field(default_factory=frozenset)
    allows: frozenset[str] = field(default_factory=frozenset)
    needs_tls: bool = False
    needs_certificate: bool = False

    def is_it(self, calling: Calling) -> bool:
        """Whether this is who calls."""
        if self.ae_title != calling.ae_title.strip(" "):
            return False
        if self.needs_tls and not calling.is_encrypted:
            return False
        if self.needs_certificate and not calling.has_certificate:
            return False
        return plain_address(calling.address) in self.addresses


def who_calls(nodes: Iterable[KnownNode], calling: Calling) -> tuple[KnownNode, ...]:
    """The nodes that are this caller, by name: several may stand for one system."""
    return tuple(sorted((n for n in nodes if n.is_it(calling)), key=lambda node: node.name))


def plain_address(text: str) -> str:
    """An IP address as it is compared: without zone, IPv4 in IPv6 as IPv4; other text as it is."""
    try:
        address = ipaddress.ip_address(text.split("%", maxsplit=1)[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
