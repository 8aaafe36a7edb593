"""What can be asked of nodes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings

from isocenter.apps.accounts.rights import DimseRight
from isocenter.apps.transfers.calling import known_nodes, rights_of, snapshot
from isocenter.apps.transfers.models import Node, NodeHealth
from isocenter.core.errors import NotFound
from isocenter.core.network.callers import Calling
from isocenter.core.network.requestor import Peer
from isocenter.core.network.tls import ClientTls

if TYPE_CHECKING:
    from isocenter.core.network.dicomweb import WebPeer


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


@dataclass(frozen=True)
class Caller:
    """Who asks us over DIMSE.

    Attributes:
        node_name: None: nobody that we know.
        allows: what it may ask for.
        node_names: all names of this system; it may have several nodes.
    """

    node_name: str | None = None
    allows: frozenset[DimseRight] = frozenset()
    node_names: tuple[str, ...] = ()


def caller(
    calling_ae_title: str,
    called_ae_title: str,
    address: str,
    *,
    is_encrypted: bool = False,
    has_certificate: bool = False,
) -> Caller:
    """The node that talks to us, and what it may do.

    Args:
        address: where its connection comes from.
        is_encrypted: it talks TLS.
        has_certificate: it showed a certificate that one of our CAs signed.

    It is a node when AE title and address are that node's and it shows what the node demands.
    Several nodes may be one system; it may do what any of them may. A node that is switched off
    may store at most.
    """
    title = calling_ae_title.strip(" ")
    names, allows = rights_of(
        known_nodes(ae_title=title) if title else [],
        Calling(title, address, is_encrypted, has_certificate),
        unknown_may_store=settings.ISOCENTER.receiver.unknown_callers == "store",
    )
    return Caller(names[0] if names else None, allows, names)


def callers_snapshot(before: object, *, within_s: float) -> list[dict[str, Any]]:
    """DICOM nodes as the receiver's policy file has them; see `calling.snapshot`."""
    return snapshot(before, within_s=within_s)


def node_by_ae_title(title: str) -> Node | None:
    """The DICOM node that a C-MOVE names as its destination.

    None where there is none that is switched on, or where several with this AE title are at
    different places: nothing goes to a guessed place.
    """
    wanted = title.strip()
    if not wanted:
        return None
    rows = Node.objects.filter(kind=Node.Kind.DIMSE, enabled=True, ae_title=wanted)
    found = list(rows.order_by("name"))
    return found[0] if len({(row.host, row.port) for row in found}) == 1 else None


@dataclass(frozen=True)
class Credentials:
    """How to sign in to a DICOMweb service: with a password, or with a token where there is no
    user name (RFC 7617, RFC 6750)."""

    username: str
    secret: str


def credentials_of(row: Node) -> Credentials | None:
    """What a DICOMweb node is to be shown; None: nothing.

    Raises:
        ConfigurationError: the secret does not open with the keys.
    """
    if not row.secret:
        return None
    from isocenter.apps.deid.services import open_text

    return Credentials(row.username, open_text(row.secret))


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


def web_peer_of(row: Node) -> WebPeer:
    """How to reach a DICOMweb service.

    Raises:
        ConfigurationError: the secret does not open with the keys.
    """
    from isocenter.core.network.dicomweb import WebPeer

    shown = credentials_of(row) or Credentials("", "")
    return WebPeer(
        url=row.url,
        timeout_s=row.timeout_s or settings.ISOCENTER.delivery.timeout_s,
        tls=_tls(row.tls),
        username=shown.username,
        secret=shown.secret,
    )


def paced_peer_of(row: Node) -> Peer:
    """How to reach a DICOM node, no faster than its rate limit."""
    from isocenter.apps.transfers.pacing import pace_of

    pace = pace_of(row)
    peer = peer_of(row)
    return peer if pace is None else replace(peer, pace=pace.wait)


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
        "allows": list(row.allows),
        "demands": str(row.demands),
        "wants_commitment": row.wants_commitment,
        "url": row.url,
        "username": row.username,
        "has_secret": bool(row.secret),
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
