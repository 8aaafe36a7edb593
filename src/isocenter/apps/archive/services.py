"""What can be done with the archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from isocenter.apps.archive import facts, rows, thumbnails
from isocenter.apps.archive.checking import Checked, check
from isocenter.apps.archive.deletion import (
    delete_instance,
    delete_series,
    delete_study,
    finish_deletions,
    protect,
)
from isocenter.apps.archive.deposits import Deposit, Deposited, Failure, Reception
from isocenter.apps.archive.incoming import FilePayload, Incoming, Origin, Verdict
from isocenter.apps.archive.ingest import ingest_records
from isocenter.apps.archive.metadata import building as metadata_building
from isocenter.apps.archive.models import Revision, Source, Study
from isocenter.apps.archive.receive_policy import write_receive_policy
from isocenter.apps.archive.reindexing import Reindexed, reindex
from isocenter.apps.archive.rejecting import reject
from isocenter.apps.archive.retention import Rounds as RetentionRounds
from isocenter.apps.archive.retention import sweep as sweep_retention
from isocenter.apps.archive.revisions import ensure_revision
from isocenter.apps.archive.search.filling import fill_search
from isocenter.apps.archive.study_zip import ZipOptions
from isocenter.apps.archive.transcoding import TARGETS, transcoded
from isocenter.apps.archive.uploads import (
    Upload,
    has_room_for,
    open_deposit,
    reception,
    take_upload,
)
from isocenter.apps.archive.zip_answer import zip_answer
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.core.errors import NotFound

__all__ = [
    "TARGETS",
    "Checked",
    "Deposit",
    "Deposited",
    "DerivedFile",
    "Failure",
    "Reception",
    "Reindexed",
    "RetentionRounds",
    "Upload",
    "Verdict",
    "ZipOptions",
    "check",
    "delete_instance",
    "delete_series",
    "delete_study",
    "fill_search",
    "finish_deletions",
    "force_complete",
    "has_room_for",
    "open_deposit",
    "protect",
    "reception",
    "reindex",
    "reject",
    "store_derived",
    "sweep_retention",
    "take_in",
    "take_upload",
    "transcoded",
    "write_receive_policy",
    "zip_answer",
]

_AT_ONCE = 256


@dataclass(frozen=True)
class DerivedFile:
    """A DICOM file that a run made; it is copied."""

    path: Path
    sop_uid: str = ""


def store_derived(files: Sequence[DerivedFile], study: Study) -> list[Verdict]:
    """Take what a run made into the archive: the same way in as everything, marked derived.

    Durable when it returns. Taking the same file in twice stores it once.

    Args:
        study: the study it belongs to; derived instances never reopen it.

    Raises:
        OSError: a file cannot be read, or the disk takes no more.
    """
    now = timezone.now()
    origin = Origin(kind=Source.Kind.DERIVED)
    incoming = [
        Incoming(
            FilePayload(file.path), origin, now, sop_instance_uid=file.sop_uid, is_derived=True
        )
        for file in files
    ]
    verdicts: list[Verdict] = []
    for first in range(0, len(incoming), _AT_ONCE):
        verdicts += ingest_records(incoming[first : first + _AT_ONCE])
    thumbnails.want(study.study_uid)
    metadata_building.want(study.study_uid)
    return verdicts


def take_in(path: Path, *, source: str = "", sop_uid: str = "") -> Verdict:
    """Put one file through the ingest now; it is copied. For what was in quarantine.

    Args:
        source: AE title or name of where it once came from.
        sop_uid: what the sender's command said.

    Raises:
        OSError: the file cannot be read, or the disk takes no more.
    """
    origin = Origin(kind=Source.Kind.IMPORT, calling_ae_title=source[:16])
    incoming = Incoming(FilePayload(path), origin, timezone.now(), sop_instance_uid=sop_uid)
    return ingest_records([incoming])[0]


def force_complete(study_uid: str, *, actor: str = "") -> Revision:
    """Complete a study by hand, whatever it waits for; every enabled route is evaluated.

    Returns:
        the new revision, or the newest one when nothing came since.

    Raises:
        NotFound: no such study, or one without a received instance.
    """
    from isocenter.apps.routing.services import evaluate

    with transaction.atomic():
        rows.lock_studies([study_uid])
        study = Study.objects.filter(study_uid=study_uid).first()
        if study is None:
            raise NotFound(f"no study {study_uid} is here", hint="isocenter studies list")
        naming = facts.referring(study)
        missing = study.waiting_for if study.state != Study.State.COMPLETE else []
        revision, _ = ensure_revision(study, Revision.Reason.MANUAL, missing)
        if revision is None:
            raise NotFound(f"study {study_uid} has no received instance")
        study.state = Study.State.COMPLETE
        study.complete_revision = revision.number
        study.complete_at = timezone.now()
        study.waiting_for = []
        study.warnings = facts.dangling_references(naming)
        study.due_at = None
        study.save()
        record(
            Kind.STUDY_COMPLETE,
            study_uid=study_uid,
            actor=actor,
            revision=revision.number,
            instances=revision.instance_count,
            by_hand=True,
            missing=missing,
        )
        thumbnails.want(study_uid)
        metadata_building.want(study_uid)
        evaluate(revision)
    return revision
