"""Does a node answer? Asked by people, and of all nodes every few minutes."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.transfers import queries
from isocenter.apps.transfers.models import Node, NodeHealth
from isocenter.apps.transfers.transmission import mounted_folder
from isocenter.core.errors import IsocenterError
from isocenter.core.network.requestor import echo

AT_ONCE = 16
ALL_WITHIN_S = 240.0


@dataclass(frozen=True)
class NodeTest:
    """What a test of a node showed."""

    is_ok: bool
    seconds: float
    message: str


def test_node(name: str) -> NodeTest:
    """C-ECHO to a DICOM node, a search for one study at a DICOMweb service, write and remove a
    file in a folder node. The answer is kept.

    Raises:
        NotFound: there is none.
    """
    node = queries.node(name)
    result = attempt(node)
    keep({node.pk: result})
    return result


# A folder on a server that is gone can hold its thread for ever; it is not asked a second time.
_hanging: dict[int, Future[NodeTest]] = {}


def test_all(within_s: float) -> dict[str, NodeTest]:
    """Test every node that is switched on, several at once, in so many seconds at most.

    Nodes that were not asked in that time are left out; they keep what was known.
    """
    nodes = list(Node.objects.filter(enabled=True).order_by("health__checked_at", "name"))
    if not nodes:
        return {}
    limit = settings.ISOCENTER.nodes.test_timeout_s
    # Threads touch no database: their connections would stay open.
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="node-test")
    asked: dict[Node, Future[NodeTest]] = {}
    for node in nodes:
        if node.pk in _hanging:
            asked[node] = _hanging.pop(node.pk)
        else:
            asked[node] = pool.submit(attempt, node, timeout_s=limit)
    wait(asked.values(), timeout=within_s)
    pool.shutdown(wait=False, cancel_futures=True)
    found: dict[Node, NodeTest] = {}
    for node, future in asked.items():
        if future.cancelled():
            continue
        if future.done():
            found[node] = future.result()
        else:
            _hanging[node.pk] = future
            found[node] = NodeTest(False, within_s, f"no answer in {within_s:g} s")
    keep({node.pk: answer for node, answer in found.items()})
    return {node.name: answer for node, answer in found.items()}


def attempt(node: Node, *, timeout_s: float | None = None) -> NodeTest:
    """Ask a node; nothing is kept.

    Args:
        timeout_s: a bound on each wait, where the node's own is longer.
    """
    begin = time.monotonic()
    try:
        if node.kind == Node.Kind.FOLDER:
            _try_folder(mounted_folder(node))
            message = f"{node.folder} can be written"
        elif node.kind == Node.Kind.DICOMWEB:
            _ask_service(node, timeout_s)
            message = f"{node.url} answers"
        else:
            peer = queries.peer_of(node)
            if timeout_s is not None:
                peer = dataclasses.replace(peer, timeout_s=min(peer.timeout_s, timeout_s))
            echo(peer)
            message = f"{node.ae_title} at {node.host}:{node.port} answers"
    except (IsocenterError, OSError, UnicodeError, RuntimeError) as error:
        # A name that no resolver takes, or a home directory that nobody has, is a no as well.
        return NodeTest(False, time.monotonic() - begin, str(error))
    return NodeTest(True, time.monotonic() - begin, message)


def keep(results: Mapping[int, NodeTest]) -> None:
    """Write answers down; an event where a node began or ceased to answer."""
    now = timezone.now()
    with transaction.atomic():
        for node in Node.objects.filter(pk__in=list(results)).select_for_update().order_by("pk"):
            result = results[node.pk]
            before = NodeHealth.objects.filter(node=node).first()
            has_changed = before is None or before.is_ok != result.is_ok
            NodeHealth.objects.update_or_create(
                node=node,
                defaults={
                    "checked_at": now,
                    "is_ok": result.is_ok,
                    "took_ms": round(result.seconds * 1000),
                    "message": result.message,
                    "since": now if before is None or has_changed else before.since,
                },
            )
            # That a new node answers is no news.
            if has_changed and not (before is None and result.is_ok):
                kind = Kind.NODE_ANSWERS if result.is_ok else Kind.NODE_SILENT
                record(kind, node=node.name, reason=result.message)


def _ask_service(node: Node, timeout_s: float | None) -> None:
    from isocenter.core.network.dicomweb import check

    peer = queries.web_peer_of(node)
    if timeout_s is not None:
        peer = dataclasses.replace(peer, timeout_s=min(peer.timeout_s, timeout_s))
    check(peer)


def _try_folder(folder: Path) -> None:
    probe = folder / f".isocenter-{uuid.uuid4()}"
    try:
        probe.write_bytes(b"")
    finally:
        probe.unlink(missing_ok=True)
