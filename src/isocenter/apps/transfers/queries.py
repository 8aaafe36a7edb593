"""What can be asked of nodes."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings

from isocenter.apps.transfers.models import Node, NodeHealth
from isocenter.core.errors import NotFound
from isocenter.core.network.requestor import Peer
from isocenter.core.network.tls import ClientTls


class SourceLike(Protocol):
    """What is needed of a source to find its node."""

    calling_ae_title: str
    address: str


def nodes() -> list[Node]:
    """All nodes with their health, by name."""
    return list(Node.objects.select_related("health").order_by("name"))


def node(name: str) -> Node:
    """One node.

    Raises:
        NotFound: there is none; names the nearest.
    """
    found = Node.objects.select_related("health").filter(name=name).first()
    if found is None:
        names = list(Node.objects.values_list("name", flat=True))
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else "isocenter nodes list"
        raise NotFound(f"there is no node {name!r}", hint=hint)
    return found


def is_taken(name: str) -> bool:
    """Whether a node has this name, in capitals or not."""
    return Node.objects.filter(name__iexact=name).exists()


def node_for_source(source: SourceLike) -> Node | None:
    """The DICOM node that a study came from: by AE title, and by address where several have it.

    None where there is none, or where it cannot be told which: nothing goes to a guessed place.
    """
    title = source.calling_ae_title.strip()
    if not title:
        return None
    found = list(Node.objects.filter(kind=Node.Kind.DIMSE, ae_title=title).order_by("name"))
    if len(found) > 1:
        found = [item for item in found if item.host == source.address]
    return found[0] if len(found) == 1 else None


def peer_of(row: Node) -> Peer:
    """How to reach a DICOM node."""
    ours = settings.ISOCENTER
    calling = row.calling_ae_title or ours.delivery.calling_ae_title or ours.receiver.ae_title
    return Peer(
        host=row.host,
        port=row.port or 104,
        called_ae_title=row.ae_title,
        calling_ae_title=calling,
        timeout_s=row.timeout_s or ours.delivery.timeout_s,
        tls=_tls(row.tls),
    )


def node_row(row: Node) -> dict[str, Any]:
    """A node as ``isocenter nodes list --json`` prints it (stable)."""
    return {
        "name": row.name,
        "kind": str(row.kind),
        "ae_title": row.ae_title,
        "host": row.host,
        "port": row.port,
        "calling_ae_title": row.calling_ae_title,
        "folder": row.folder,
        "tls": dict(row.tls),
        "max_associations": row.max_associations,
        "rate_mb_s": row.rate_mb_s,
        "timeout_s": row.timeout_s,
        "can_query": row.can_query,
        "enabled": row.enabled,
    }


def deliveries() -> dict[str, dict[str, int]]:
    """Per node, how many deliveries are ``open`` and how many ``failed``; nodes with none are not
    in it."""
    # Routing is asked, not read: deliveries are its own.
    from isocenter.apps.routing.queries import deliveries_by_node

    return deliveries_by_node()


def routes_to(name: str) -> list[str]:
    """Routes that send to a node."""
    from isocenter.apps.routing import queries as routing

    return routing.routes_to(name)


def health_of(row: Node) -> NodeHealth | None:
    """What the last test of a node showed; None before the first."""
    try:
        return row.health
    except NodeHealth.DoesNotExist:
        return None


def health_row(row: Node) -> dict[str, Any]:
    """A node's health as ``isocenter nodes list --json`` adds it (stable)."""
    known = health_of(row)
    return {
        "health": ("ok" if known.is_ok else "fails") if known else "unknown",
        "health_message": known.message if known else "",
        "health_ms": known.took_ms if known else None,
        "health_at": known.checked_at.isoformat() if known else None,
        "health_since": known.since.isoformat() if known else None,
    }


def _tls(values: dict[str, Any]) -> ClientTls | None:
    if not values:
        return None

    def file(key: str) -> Path | None:
        text = values.get(key)
        return Path(text).expanduser() if text else None

    return ClientTls(
        ca=file("ca"),
        certificate=file("certificate"),
        key=file("key"),
        check_hostname=bool(values.get("verify", True)),
    )
