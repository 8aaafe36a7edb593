"""What can be asked of the archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Q

from isocenter.apps.archive.disk import DiskState, disk_state
from isocenter.apps.archive.downloads import OutputFile, output, report
from isocenter.apps.archive.facts import study_facts
from isocenter.apps.archive.flags import flags_for
from isocenter.apps.archive.metadata import (
    BulkData,
    BulkPart,
    Metadata,
    bulk_data,
    further_attributes,
    metadata,
)
from isocenter.apps.archive.models import Instance, Revision, Series, Source, Study
from isocenter.apps.archive.one_instance import stored_instance
from isocenter.apps.archive.picture_rules import NO_PICTURE, may_name_patient
from isocenter.apps.archive.retention import Candidate as RetentionCandidate
from isocenter.apps.archive.retention import plan as retention_plan
from isocenter.apps.archive.search.answers import ANSWERED
from isocenter.apps.archive.search.attributes import ALL as ALL_ATTRIBUTES
from isocenter.apps.archive.search.attributes import (
    SEARCHABLE,
    Attribute,
    Level,
    Matching,
)
from isocenter.apps.archive.search.attributes import identifying as identifying_attributes
from isocenter.apps.archive.search.engine import search
from isocenter.apps.archive.search.filling import studies_to_fill
from isocenter.apps.archive.search.question import (
    IndexNotReady,
    Match,
    Question,
    QuestionError,
    Value,
    unsupported,
)
from isocenter.apps.archive.search.stored import StoredInstance, recent_syntaxes, stored
from isocenter.apps.archive.thumbnails import thumbnail, thumbnails
from isocenter.apps.archive.worklist import (
    IDENTIFYING,
    SORTS,
    Cursor,
    WorklistFilter,
    WorklistPage,
    new_since,
    rows_now,
    worklist,
)
from isocenter.core.errors import NotFound

__all__ = [
    "ALL_ATTRIBUTES",
    "ANSWERED",
    "IDENTIFYING",
    "NO_PICTURE",
    "SEARCHABLE",
    "SORTS",
    "Attribute",
    "BulkData",
    "BulkPart",
    "Cursor",
    "DiskState",
    "IndexNotReady",
    "InstanceInfo",
    "Level",
    "Match",
    "Matching",
    "Metadata",
    "OutputFile",
    "Question",
    "QuestionError",
    "RetentionCandidate",
    "StoredInstance",
    "Value",
    "WorklistFilter",
    "WorklistPage",
    "bulk_data",
    "disk_state",
    "flags_for",
    "further_attributes",
    "identifying_attributes",
    "inputs",
    "may_name_patient",
    "metadata",
    "new_since",
    "output",
    "recent_syntaxes",
    "report",
    "retention_plan",
    "rows_now",
    "search",
    "series_rows",
    "stored",
    "stored_instance",
    "studies",
    "studies_to_fill",
    "study",
    "study_detail",
    "study_facts",
    "study_row",
    "thumbnail",
    "thumbnails",
    "unsupported",
    "worklist",
]


@dataclass(frozen=True)
class InstanceInfo:
    """A received instance as input of a run. ``path`` is absolute."""

    path: Path
    sop_uid: str
    sop_class_uid: str
    series_uid: str
    modality: str
    transfer_syntax_uid: str
    digest: str
    size: int
    instance_number: int | None


def studies(
    *,
    states: Sequence[str] = (),
    search: str = "",
    received_before: datetime | None = None,
    limit: int = 100,
) -> list[Study]:
    """Studies, the last received first.

    Args:
        states: only these of ``receiving|waiting|complete|held``.
        search: part of study UID, patient ID, patient name, accession number or description.
        received_before: only those last received before; to page on.
    """
    found = Study.objects.select_related("source").order_by("-last_received_at", "-id")
    if states:
        found = found.filter(state__in=list(states))
    if search:
        fields = (
            "study_uid",
            "patient_id",
            "patient_name",
            "accession_number",
            "study_description",
        )
        condition = Q()
        for field in fields:
            condition |= Q(**{f"{field}__icontains": search})
        found = found.filter(condition)
    if received_before is not None:
        found = found.filter(last_received_at__lt=received_before)
    return list(found[:limit])


def study(study_uid: str) -> Study:
    """One study.

    Raises:
        NotFound: it is not here.
    """
    found = Study.objects.select_related("source").filter(study_uid=study_uid).first()
    if found is None:
        raise NotFound(f"no study {study_uid} is here", hint="isocenter studies list")
    return found


def inputs(revision: Revision) -> list[InstanceInfo]:
    """The received instances of a revision, derived ones excluded, in a stable order."""
    archive: Path = settings.LAYOUT.archive
    found = (
        Instance.objects.filter(
            study_id=revision.study_id, is_derived=False, revision__lte=revision.number
        )
        .select_related("series")
        .order_by("series__series_uid", "instance_number", "sop_uid")
    )
    return [
        InstanceInfo(
            path=archive / row.path,
            sop_uid=row.sop_uid,
            sop_class_uid=row.sop_class_uid,
            series_uid=row.series.series_uid,
            modality=row.modality,
            transfer_syntax_uid=row.transfer_syntax_uid,
            digest=row.digest,
            size=row.size,
            instance_number=row.instance_number,
        )
        for row in found
    ]


def study_row(row: Study) -> dict[str, Any]:
    """A study as ``isocenter studies list --json`` prints it (stable; times are ISO 8601, UTC)."""
    return {
        "study_uid": row.study_uid,
        "state": str(row.state),
        "instances": row.instance_count,
        "series": row.series_count,
        "modalities": list(row.modalities),
        "revision": row.revision,
        "waiting_for": list(row.waiting_for),
        "flags": [flag["code"] for flag in row.flags],
        "warnings": list(row.warnings),
        "patient_id": row.patient_id,
        "patient_name": row.patient_name,
        "study_date": row.study_date,
        "study_description": row.study_description,
        "accession_number": row.accession_number,
        "source": source_row(row.source),
        "received_at": row.first_received_at.isoformat(),
        "last_received_at": row.last_received_at.isoformat(),
        "complete_at": row.complete_at.isoformat() if row.complete_at else None,
        "due_at": row.due_at.isoformat() if row.due_at else None,
        "protected": row.protected,
    }


def source_row(row: Source | None) -> dict[str, str] | None:
    """Where a study came from last."""
    if row is None:
        return None
    return {
        "kind": str(row.kind),
        "calling_ae_title": row.calling_ae_title,
        "called_ae_title": row.called_ae_title,
        "address": row.address,
    }


def series_rows(row: Study) -> list[dict[str, Any]]:
    """The series of a study, derived ones marked."""
    found = Series.objects.filter(study=row).order_by("is_derived", "series_number", "id")
    return [
        {
            "series_uid": item.series_uid,
            "modality": item.modality,
            "series_number": item.series_number,
            "series_description": item.series_description,
            "instances": item.instance_count,
            "derived": item.is_derived,
        }
        for item in found
    ]


def study_detail(study_uid: str) -> dict[str, Any]:
    """A study as ``isocenter studies show --json`` prints it: its row with full flags, its series,
    its revisions.

    Raises:
        NotFound: it is not here.
    """
    row = study(study_uid)
    revisions = Revision.objects.filter(study=row).order_by("number")
    return study_row(row) | {
        "flags": list(row.flags),
        "series_list": series_rows(row),
        "revisions": [
            {
                "number": item.number,
                "reason": str(item.reason),
                "missing": list(item.missing),
                "instances": item.instance_count,
                "digest": item.digest,
                "created_at": item.created_at.isoformat(),
            }
            for item in revisions
        ],
    }
