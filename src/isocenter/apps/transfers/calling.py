"""Who calls us: DICOM nodes as the receiver and the services know them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from isocenter.apps.accounts.rights import DimseRight
from isocenter.apps.transfers.addresses import book
from isocenter.apps.transfers.models import Node
from isocenter.core.network.callers import Calling, KnownNode, who_calls

_ASK_S = 3.0  # for name servers, before a service says no


def known_nodes(*, ae_title: str = "", within_s: float = _ASK_S) -> list[KnownNode]:
    """All DICOM nodes, or those with an AE title, with the addresses of their hosts."""
    rows = Node.objects.filter(kind=Node.Kind.DIMSE)
    if ae_title:
        rows = rows.filter(ae_title=ae_title)
    found = list(rows.order_by("name"))
    addresses = book.addresses((row.host for row in found), within_s)
    return [known(row, addresses.get(row.host, frozenset())) for row in found]


def known(row: Node, addresses: frozenset[str]) -> KnownNode:
    """A node as callers are compared with it. One that is switched off may store at most."""
    allows = frozenset(str(right) for right in row.allows)
    return KnownNode(
        name=row.name,
        ae_title=row.ae_title.strip(" "),
        addresses=addresses,
        allows=allows if row.enabled else allows & {str(DimseRight.STORE)},
        needs_tls=row.demands in (Node.Demand.TLS, Node.Demand.CERTIFICATE),
        needs_certificate=row.demands == Node.Demand.CERTIFICATE,
    )


def rights_of(
    nodes: Iterable[KnownNode], calling: Calling, *, unknown_may_store: bool
) -> tuple[tuple[str, ...], frozenset[DimseRight]]:
    """Names and rights of a caller; no name for one that is no node."""
    found = who_calls(nodes, calling)
    if not found:
        return (), frozenset({DimseRight.STORE} if unknown_may_store else ())
    known_rights = {str(right): right for right in DimseRight}
    names = frozenset().union(*(node.allows for node in found))
    rights = frozenset(known_rights[name] for name in names if name in known_rights)
    return tuple(node.name for node in found), rights


def snapshot(before: object, *, within_s: float) -> list[dict[str, Any]]:
    """DICOM nodes for the receiver, which has no database and asks no name server.

    Args:
        before: these rows as the last snapshot had them, as they were read: where a host has
            no address just now, what it had stays.
        within_s: longest wait for name servers.
    """
    rows = list(Node.objects.filter(kind=Node.Kind.DIMSE).order_by("name"))
    addresses = book.addresses((row.host for row in rows), within_s)
    last = {
        (item.get("name"), item.get("host")): item.get("addresses", [])
        for item in (before if isinstance(before, list) else ())
        if isinstance(item, dict)
    }
    found = []
    for row in rows:
        node = known(row, addresses.get(row.host, frozenset()))
        found.append(
            {
                "name": node.name,
                "ae_title": node.ae_title,
                "host": row.host,
                "addresses": sorted(node.addresses) or last.get((row.name, row.host), []),
                "may_store": str(DimseRight.STORE) in node.allows,
                "demands": str(row.demands),
            }
        )
    return found
