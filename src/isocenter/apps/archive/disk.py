"""Disk watch: how much is free, and whether reception is paused; cheap enough for every page."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.runtime.layout import Layout
from isocenter.runtime.state_files import read_state, write_state

_KEPT_S = 3.0
_WARN_AT = 2  # times the reserve
_OVER_AGAIN = 1.05  # so that a warning does not flutter at the edge
_FILE = "disk-low.json"


@dataclass(frozen=True)
class DiskState:
    """How the disk of spool and archive is.

    Attributes:
        free_bytes: on the fuller one, where they are two.
        reserve_bytes: below this nothing is taken in.
        paused: why nothing is taken in; empty: reception is open.
        quota_bytes: of the quarantine; None: no limit.
    """

    total_bytes: int
    free_bytes: int
    reserve_bytes: int
    paused: str
    quarantine_bytes: int
    quota_bytes: int | None

    @property
    def is_low(self) -> bool:
        """Time to make room: less than twice the reserve is free."""
        return self.free_bytes < _WARN_AT * self.reserve_bytes


_lock = threading.Lock()
_kept: tuple[float, Path, DiskState] | None = None


def disk_state() -> DiskState:
    """How things are, at most some seconds ago.

    Raises:
        OSError: the disk is not there.
    """
    global _kept  # noqa: PLW0603 (one answer for all pages of a process)
    root: Path = settings.LAYOUT.root
    with _lock:
        now = time.monotonic()
        if _kept is None or _kept[1] != root or now - _kept[0] > _KEPT_S:
            _kept = (now, root, look())
        return _kept[2]


def look() -> DiskState:
    """How things are now."""
    from isocenter.apps.routing.queries import quarantine_size

    layout: Layout = settings.LAYOUT
    usage = min(
        (shutil.disk_usage(folder) for folder in (layout.archive, layout.spool)),
        key=lambda found: found.free,
    )
    quota = settings.ISOCENTER.quarantine.quota_mb
    return DiskState(
        total_bytes=usage.total,
        free_bytes=usage.free,
        reserve_bytes=settings.ISOCENTER.storage.reserve_mb << 20,
        paused=str(read_state(layout.run / "receive-policy.json").get("paused") or ""),
        quarantine_bytes=quarantine_size(),
        quota_bytes=None if quota is None else quota << 20,
    )


def warn_when_low() -> bool:
    """Write an event when the free space falls below twice the reserve; once per fall.

    Returns:
        whether it is low.
    """
    layout: Layout = settings.LAYOUT
    threshold = _WARN_AT * (settings.ISOCENTER.storage.reserve_mb << 20)
    was_low = bool(read_state(layout.run / _FILE).get("low"))
    free = min(shutil.disk_usage(folder).free for folder in (layout.archive, layout.spool))
    is_low = free < threshold * (_OVER_AGAIN if was_low else 1)
    if is_low == was_low:
        return is_low
    if is_low:
        detail: dict[str, Any] = {"free_mb": free >> 20, "reserve_mb": threshold >> 21}
        record(Kind.DISK_LOW, **detail)
    write_state(layout.run / _FILE, {"low": is_low})
    return is_low
