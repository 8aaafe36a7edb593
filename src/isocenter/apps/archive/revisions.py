"""Revisions: the state of a study at one completion."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from isocenter.apps.archive.models import Instance, Revision, Study


def ensure_revision(
    study: Study, reason: str, missing: Sequence[str] = ()
) -> tuple[Revision | None, bool]:
    """The revision that holds all received instances: the next one when something is new.

    The caller holds the study's lock and saves the study.

    Returns:
        the newest revision (None when nothing was ever received) and whether it was made now.
    """
    received = Instance.objects.filter(study=study, is_derived=False)
    if not received.filter(revision=None).exists():
        newest = Revision.objects.filter(study=study).order_by("-number").first()
        return newest, False
    number = study.revision + 1
    received.filter(revision=None).update(revision=number)
    digest = hashlib.sha256()
    count = 0
    for sop_uid, content in received.order_by("sop_uid").values_list("sop_uid", "digest"):
        digest.update(f"{sop_uid} {content}\n".encode())
        count += 1
    study.revision = number
    revision = Revision.objects.create(
        study=study,
        number=number,
        reason=reason,
        missing=list(missing),
        instance_count=count,
        digest=digest.hexdigest(),
    )
    return revision, True
