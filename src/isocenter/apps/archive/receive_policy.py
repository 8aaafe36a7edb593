"""The snapshot that tells the receiver whom it may take instances from, and whether at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

from django.conf import settings

from isocenter.apps.archive.disk import warn_when_low
from isocenter.apps.archive.filing import sync_folder
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record

_FILE = "receive-policy.json"
_NAMES_S = 0.2  # ingest waits so long for name servers; what they say later is in the next one
_RESUME_MARGIN = 1.05  # so that reception does not flutter at the edge of the reserve


def write_receive_policy() -> str | None:
    """Write the snapshot where it has changed.

    Returns:
        why reception is paused, or None.
    """
    path = settings.LAYOUT.run / _FILE
    before = _read(path)
    was_paused = before.get("paused")
    paused = _reason_to_pause(is_paused=bool(was_paused))
    policy = _policy(paused, before)
    if policy != before:
        _write(path, policy)
    with contextlib.suppress(OSError):  # a full disk must pause reception, whatever else it stops
        warn_when_low()
    if bool(paused) != bool(was_paused):
        kind = Kind.RECEPTION_PAUSED if paused else Kind.RECEPTION_RESUMED
        record(kind, reason=paused or "")
    return paused


def _policy(paused: str | None, before: dict[str, Any]) -> dict[str, Any]:
    from isocenter.apps.transfers.queries import callers_snapshot

    receiver = settings.ISOCENTER.receiver
    return {
        "allowed_calling_ae_titles": list(receiver.allowed_calling_ae_titles),
        "allowed_networks": [str(network) for network in receiver.allowed_networks],
        "check_called_ae_title": receiver.check_called_ae_title,
        "denied_sop_classes": list(receiver.denied_sop_classes),
        "paused": paused,
        "unknown_callers": receiver.unknown_callers,
        "nodes": callers_snapshot(before.get("nodes"), within_s=_NAMES_S),
    }


def _reason_to_pause(*, is_paused: bool) -> str | None:
    from isocenter.apps.routing.queries import quarantine_size

    reserve = settings.ISOCENTER.storage.reserve_mb << 20
    wanted = reserve * (_RESUME_MARGIN if is_paused else 1)
    for folder in (settings.LAYOUT.archive, settings.LAYOUT.spool):
        free = shutil.disk_usage(folder).free
        if free < wanted:
            # No numbers that change: the snapshot is written only when something else is said.
            return f"less than the reserve of {reserve >> 20} MB is free on the disk"
    quota = settings.ISOCENTER.quarantine.quota_mb
    if quota is not None and quarantine_size() >= quota << 20:
        return f"the quarantine has reached its quota of {quota} MB"
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, policy: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    with draft.open("w", encoding="utf-8") as stream:
        json.dump(policy, stream, indent=2)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    sync_folder(path.parent)
