"""Addresses and networks."""

from __future__ import annotations

import ipaddress

import pytest

from isocenter.core.network.policy import ReceivePolicy

POLICY = ReceivePolicy(
    allowed_networks=(ipaddress.ip_network("192.168.0.0/16"), ipaddress.ip_network("fd00::/8"))
)


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("192.168.3.4", True),
        ("192.169.0.1", False),
        ("::ffff:192.168.3.4", True),  # IPv4 on a socket for both
        ("::ffff:10.0.0.1", False),
        ("fd00::1", True),
        ("fe80::1%eth0", False),
        ("no address", False),
    ],
)
def test_addresses_in_networks(address: str, is_allowed: bool) -> None:
    assert POLICY.allows_address(address) is is_allowed


def test_everyone_where_no_network_is_named() -> None:
    assert ReceivePolicy().allows_address("203.0.113.1")
