"""Rejecting: instances leave the archive for the quarantine, with a coded reason.

Nobody sees, finds or fetches them then; a person takes them in again by retrying the items, or
deletes them for good (IHE RAD, Imaging Object Change Management).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from django.conf import settings
from django.db import transaction

from isocenter.apps.archive.deletion import (
    bury,
    bury_instances,
    locked,
    remove_files,
    require_deletable,
)
from isocenter.apps.archive.models import Instance
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import Entry, record_many
from isocenter.core.errors import NotFound, Refused

#: Reasons by ``code^scheme``: the titles of rejection notes (PS3.16, CID 7010).
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "113001^DCM": "Rejected for Quality Reasons",
        "113037^DCM": "Rejected for Patient Safety Reasons",
        "113038^DCM": "Incorrect Modality Worklist Entry",
        "113039^DCM": "Data Retention Policy Expired",
    }
)
_MOST = 20_000  # instances of one request; each becomes an item of the quarantine


def reject(
    study_uid: str, series_uid: str = "", sop_uid: str = "", *, code: str, actor: str
) -> dict[str, int]:
    """Move a study, series or instance into the quarantine. Durable when it returns.

    Runs, outputs and deliveries of a study that is rejected as a whole go, as when it is deleted.

    Args:
        code: a key of `REASONS`.

    Returns:
        how many instances and bytes there were.

    Raises:
        NotFound: no such study, series, instance or reason.
        Refused: the study is protected or at work, or has too many instances.
    """
    if code not in REASONS:
        raise NotFound(
            "there is no such reason to reject", hint=f"reasons are {', '.join(REASONS)}"
        )
    with transaction.atomic():
        study = locked(study_uid)
        found = Instance.objects.filter(study=study)
        if series_uid:
            found = found.filter(series__series_uid=series_uid)
        if sop_uid:
            found = found.filter(sop_uid=sop_uid)
        kept = list(found.values_list("path", "sop_uid")[: _MOST + 1])
        if not kept:
            raise NotFound("there is nothing of that study, series and instance")
        if len(kept) > _MOST:
            raise Refused(f"these are more than {_MOST} instances", hint="reject them by series")
        require_deletable(study)
        if Instance.objects.filter(study=study).count() == len(kept):
            tombstone, counts = bury(study, actor=actor)
        else:
            tombstone, counts = bury_instances(study, found)
        _hold(study_uid, kept, f"{REASONS[code]} ({code}), by {actor}")
        detail = {"series_uid": series_uid, "sop_uid": sop_uid, "code": code, **counts}
        told = {key: value for key, value in detail.items() if value}
        record_many([Entry(Kind.REJECTED, study_uid, actor, told)])
    remove_files(tombstone)
    return counts


def _hold(study_uid: str, kept: list[tuple[str, str]], reason: str) -> None:
    """Keep the files in quarantine; the archive's own go after this."""
    from isocenter.apps.routing.services import quarantine_instance

    archive: Path = settings.LAYOUT.archive
    for path, sop_uid in kept:
        quarantine_instance(
            archive / path, reason, study_uid=study_uid, sop_uid=sop_uid, was_archived=True
        )
