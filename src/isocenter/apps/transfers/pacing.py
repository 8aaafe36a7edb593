"""The rate limits of nodes: one pace per node in a process, shared by all its deliveries.

A host's worker processes divide a node's rate among themselves, so the limit holds for the host
without asking anybody before each window of bytes.
"""

from __future__ import annotations

import threading

from django.conf import settings

from isocenter.apps.transfers.models import Node
from isocenter.core.network.pace import Pace

_MB = 1_000_000
_lock = threading.Lock()
_paces: dict[str, Pace] = {}


def pace_of(node: Node) -> Pace | None:
    """The pace that senders to this node keep together; None where it has no limit."""
    if not node.rate_mb_s:
        return None
    share = node.rate_mb_s * _MB / max(settings.ISOCENTER.workers.processes, 1)
    with _lock:
        pace = _paces.setdefault(node.name, Pace(share))
        pace.bytes_per_s = share
    return pace
