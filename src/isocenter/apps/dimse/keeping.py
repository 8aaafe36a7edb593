"""Whether we keep an instance: its row is in the index, its file lies there as it came, and no
other data set with its UID waits in quarantine for a person to decide."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from isocenter.apps.archive.queries import StoredInstance, stored
from isocenter.apps.routing.queries import refused_instances
from isocenter.core.dicom.part10 import read_file_meta
from isocenter.core.errors import DicomError
from isocenter.core.network.command import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
)
from isocenter.core.network.commitment_data import Reference

_AT_ONCE = 1000
_CHUNK = 1 << 20
#: So long files are read again in full for one request; the rest by their length.
DIGESTS_S = 2.0


@dataclass(frozen=True)
class Kept:
    """What of a request is kept.

    Attributes:
        missing: not indexed; may still be on its way through the spool.
        failed: reasons (PS3.3 C.14.1.1) of those that will not become better.
    """

    committed: tuple[Reference, ...] = ()
    missing: tuple[Reference, ...] = ()
    failed: dict[Reference, int] = field(default_factory=dict)

    @property
    def all_failed(self) -> dict[Reference, int]:
        """With what is missing as ``no such object instance``."""
        return {**self.failed, **dict.fromkeys(self.missing, NO_SUCH_INSTANCE)}


def kept(references: Sequence[Reference], *, digests_s: float = DIGESTS_S) -> Kept:
    """Look for instances in index and archive.

    Args:
        digests_s: how long files are compared with their digests.
    """
    committed: list[Reference] = []
    missing: list[Reference] = []
    failed: dict[Reference, int] = {}
    until = time.monotonic() + digests_s
    for start in range(0, len(references), _AT_ONCE):
        part = references[start : start + _AT_ONCE]
        uids = [reference.sop_instance_uid for reference in part]
        rows = {row.sop_uid: row for row in stored(sop_uids=uids)}
        doubtful = refused_instances(uids)
        for reference in part:
            row = rows.get(reference.sop_instance_uid)
            if row is None:
                missing.append(reference)
            elif row.sop_uid in doubtful:  # whoever asks may mean that one
                failed[reference] = PROCESSING_FAILURE
            elif reason := _problem(row, reference, until):
                failed[reference] = reason
            else:
                committed.append(reference)
    return Kept(tuple(committed), tuple(missing), failed)


def _problem(row: StoredInstance, reference: Reference, until: float) -> int:
    """A failure reason, or 0."""
    if row.sop_class_uid != reference.sop_class_uid:
        return CLASS_INSTANCE_CONFLICT
    try:
        if row.path.stat().st_size != row.size:
            return PROCESSING_FAILURE
        if time.monotonic() < until and _digest(row.path, until) not in (None, row.digest):
            return PROCESSING_FAILURE
    except (OSError, DicomError):
        return PROCESSING_FAILURE
    return 0


def _digest(path: Path, until: float) -> str | None:
    """SHA-256 of the data set, without file meta; None when the time is over before."""
    content = hashlib.sha256()
    with path.open("rb") as stream:
        _, offset = read_file_meta(stream)
        stream.seek(offset)
        while chunk := stream.read(_CHUNK):
            content.update(chunk)
            if time.monotonic() > until:
                return None
    return content.hexdigest()
