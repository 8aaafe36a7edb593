"""What the study page shows, part by part; plain rows that can be compared and digested."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from django.db.models import Case, Count, Max, Min, Q, Sum, Value, When

from isocenter.apps.archive.flags import TWO_PATIENTS, flags_for
from isocenter.apps.archive.models import Revision, Series, Study
from isocenter.apps.archive.thumbnails import thumbnails

MOST_RUNS = 50
MOST_DELIVERIES = 100
_MOST_FILES = 300
_MOST_EVENTS = 15
_SHOWN_MONTAGES = 8

STATES = {
    "receiving": "Instances are still coming in.",
    "waiting": "It is quiet, but something is missing.",
    "held": "It waited too long. Complete it by hand, or send what is missing.",
    "complete": "All that came in belongs to a revision.",
}
FLAGS = {
    TWO_PATIENTS: "Ask the sender which patient is right before anybody uses this study.",
    "long-value": "The files hold the whole value; lists and searches hold its start.",
    "references-unreadable": "What this object refers to is not waited for.",
    "sop-uid-differs": "It is indexed under the UID in its data set.",
}
KINDS = {
    "overlay": "Overlay series",
    "burn-in": "Series with burnt-in text",
    "seg": "Segmentation",
    "preview-sc": "Pictures as a DICOM series",
    "deidentified": "De-identified series",
}
_BROKEN_UIDS = "The files are as they came; the index uses a UID of its own where it needs one."


def state_of(study: Study, *, identified: bool) -> dict[str, Any]:
    """Where a study stands, and why."""
    return {
        "state": str(study.state),
        "sentence": _sentence(study),
        "waiting_for": [_capital(text) for text in study.waiting_for],
        "due_at": study.due_at,
        "flags": [
            {"text": _capital(flag["text"]), "advice": FLAGS.get(flag["code"], _BROKEN_UIDS)}
            for flag in flags_for(study.flags, identified=identified)
        ],
        "warnings": [_capital(text) for text in study.warnings],
        "complete_at": study.complete_at,
        "last_received_at": study.last_received_at,
        "instances": study.instance_count,
        "series": study.series_count,
        "modalities": list(study.modalities),
        "protected": study.protected,
        "protected_by": study.protected_by,
        "revisions": list(
            Revision.objects.filter(study=study)
            .order_by("-number")
            .values("number", "reason", "missing", "instance_count", "created_at")[:20]
        ),
    }


def _sentence(study: Study) -> str:
    if study.state == Study.State.HELD and study.complete_revision == study.revision > 0:
        # The platform's rule was content; a route that wants more is not.
        return (
            f"Revision {study.revision} is complete, but a route waited too long for more. "
            "Complete it by hand, or send what is missing."
        )
    return STATES[str(study.state)]


def series_of(study: Study, *, identified: bool) -> list[dict[str, Any]]:
    """Cards: the series as they came, then those that runs made, with their run."""
    pictures = thumbnails(study, identified=identified)
    rows = list(Series.objects.filter(study=study).order_by("is_derived", "series_number", "id"))
    makers = _makers(study) if any(row.is_derived for row in rows) else {}
    return [
        {
            "uid": row.series_uid,
            "number": row.series_number,
            "description": row.series_description,
            "modality": row.modality,
            "body_part": row.body_part_examined,
            "count": row.instance_count,
            "derived": row.is_derived,
            "run": makers.get(row.series_uid),
            "thumbnail": pictures[row.series_uid],
            "icon": _icon(row.modality),
        }
        for row in rows
        if row.series_uid in pictures  # it came since
    ]


def runs_of(study: Study) -> list[dict[str, Any]]:
    """The newest runs, each with the step that is at work or was last."""
    from isocenter.apps.routing.models import Run

    found = (
        Run.objects.filter(study=study)
        .select_related("revision")
        .prefetch_related("steps")
        .order_by("-created_at")[:MOST_RUNS]
    )
    return [_run(run) for run in found]


def outputs_of(study: Study) -> dict[str, Any]:
    """What runs made and still counts: series, montages, files, reports."""
    from isocenter.apps.routing.models import Artifact

    active = Artifact.objects.filter(study=study, state=Artifact.State.ACTIVE)
    fields = ("run_id", "run__pipeline_name", "kind")
    pictures = active.filter(kind="preview")
    montages = pictures.filter(role="Montage").order_by("-pk")
    files = active.filter(series_uid="").exclude(kind="preview").order_by("-run__created_at", "pk")
    shown = files.values(*fields, "pk", "role", "size", "path")[:_MOST_FILES]
    return {
        "series": [
            row | {"name": row["role"] or KINDS.get(row["kind"], row["kind"])}
            for row in active.exclude(series_uid="")
            .values(*fields, "series_uid")
            .annotate(roles=Count("role", distinct=True))
            .annotate(
                count=Count("pk"),
                size=Sum("size"),
                at=Max("created_at"),
                role=Case(When(roles=1, then=Min("role")), default=Value("")),
            )
            .order_by("-at", "series_uid")[:_MOST_FILES]
        ],
        "previews": list(
            pictures.values(*fields)
            .annotate(count=Count("pk"), at=Max("created_at"))
            .order_by("-at")[:MOST_RUNS]
        ),
        "montages": list(montages.values("pk", "run_id", "digest")[:_SHOWN_MONTAGES]),
        "files": [row | {"name": row["path"].rsplit("/", 1)[-1]} for row in shown],
        "file_count": files.count(),
        "reports": _reports(study),
        "superseded": Artifact.objects.filter(study=study, state=Artifact.State.SUPERSEDED).count(),
    }


def previews_of(study: Study, run_id: Any) -> list[dict[str, Any]]:
    """The pictures of one run, the montages first."""
    from isocenter.apps.routing.models import Artifact

    found = Artifact.objects.filter(
        study=study, run_id=run_id, kind="preview", state=Artifact.State.ACTIVE
    ).values("pk", "role", "digest", "path")
    return sorted(
        (dict(row) for row in found), key=lambda row: (row["role"] != "Montage", row["pk"])
    )


def deliveries_of(study: Study) -> list[dict[str, Any]]:
    """Where results went and go."""
    from isocenter.apps.routing.models import Delivery, DeliveryItem

    def count(state: str) -> Count:
        return Count("items", filter=Q(items__state=state))

    found = (
        Delivery.objects.filter(study=study)
        .annotate(
            total=Count("items"),
            sent=count(DeliveryItem.State.SENT),
            refused=count(DeliveryItem.State.REFUSED),
        )
        .order_by("-created_at")
        .values(
            *("pk", "node_name", "target", "state", "attempts", "next_attempt_at", "reason"),
            *("finished_at", "run_id", "run__pipeline_name", "total", "sent", "refused"),
        )[:MOST_DELIVERIES]
    )
    return [
        row
        | {
            "node": row["target"].get("node") or row["node_name"],
            "can_retry": row["state"] in (Delivery.State.FAILED, Delivery.State.CANCELLED)
            or (row["state"] == Delivery.State.DONE and row["refused"] > 0),
        }
        for row in found
    ]


def events_of(study: Study) -> list[Any]:
    """The newest events, without those of each single instance."""
    from isocenter.apps.audit.kinds import Kind
    from isocenter.apps.audit.queries import events

    of_instances = (Kind.INSTANCE_STORED, Kind.INSTANCE_DUPLICATE)
    kinds = [kind for kind in Kind if kind not in of_instances]
    return events(study.study_uid, kinds=kinds, limit=_MOST_EVENTS)


def digest_of(data: object) -> str:
    """Changes with what a part shows."""
    if isinstance(data, list) and data and hasattr(data[0], "pk"):
        data = [row.pk for row in data]
    return hashlib.blake2b(repr(data).encode("utf-8", "replace"), digest_size=9).hexdigest()


def _makers(study: Study) -> dict[str, dict[str, Any]]:
    """Which run made a series; the newest where several did."""
    from isocenter.apps.routing.models import Artifact

    found = (
        Artifact.objects.filter(study=study)
        .exclude(series_uid="")
        .order_by("run__created_at")
        .values_list("series_uid", "run_id", "run__pipeline_name")
        .distinct()
    )
    return {uid: {"id": str(run_id), "pipeline": name} for uid, run_id, name in found}


def _run(run: Any) -> dict[str, Any]:
    steps = list(run.steps.all())
    done = sum(step.state in ("done", "skipped") for step in steps)
    current = next((step for step in steps if step.state == "running"), None)
    return {
        "id": str(run.pk),
        "state": str(run.state),
        "pipeline": run.pipeline_name,
        "route": run.route_name,
        "revision": run.revision.number,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "duration": run.finished_at - run.started_at
        if run.finished_at and run.started_at
        else None,
        "actor": run.actor,
        "reason": run.reason,
        "steps": len(steps),
        "done": done,
        "current": current.name if current else "",
        "message": current.message if current else "",
        "percent": _percent(done, current, len(steps)),
    }


def _percent(done: int, current: Any, count: int) -> int:
    share = current.progress if current else 0.0
    return min(100, round(100 * (done + share) / count)) if count else 0


def _reports(study: Study) -> list[dict[str, Any]]:
    from isocenter.apps.routing.models import Run

    runs = Run.objects.filter(study=study).exclude(reports=[]).order_by("-created_at")
    return [
        {
            "run_id": str(run["id"]),
            "pipeline": run["pipeline_name"],
            "at": run["finished_at"],
            "formats": sorted(_suffixes(run["reports"])),
        }
        for run in runs.values("id", "pipeline_name", "finished_at", "reports")[:MOST_RUNS]
    ]


def _suffixes(paths: Iterable[str]) -> set[str]:
    return {path.rsplit(".", 1)[-1] for path in paths if "." in path}


def _icon(modality: str) -> str:
    """An icon for what is no image."""
    icons = {
        "RTSTRUCT": "vector-spline",
        "RTPLAN": "route",
        "PLAN": "route",
        "SEG": "layers-subtract",
    }
    if modality in ("SR", "DOC", "KO"):
        return "file-text"
    if modality in ("ECG", "EPS", "HD"):
        return "activity"
    return icons.get(modality, "file")


def _capital(text: str) -> str:
    """A sentence's first letter; words such as RTSTRUCT stay as they are."""
    return text[:1].upper() + text[1:]
