"""The report of a run: study, sender, steps with times, ROIs, outputs, deliveries."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django.conf import settings

from isocenter import __version__
from isocenter.apps.routing import artifacts
from isocenter.apps.routing.models import Artifact, DeliveryItem, Run, RunStep
from isocenter.core.contours.options import DISCLAIMER
from isocenter.core.contours.report import write_report

_FORMATS = {"html": "html", "json": "json", "txt": "text"}


def write(run_id: uuid.UUID) -> list[Path]:
    """Write a run's report into the reports folder, in place of an older one of the same run."""
    run = Run.objects.select_related("study__source", "revision").get(pk=run_id)
    reports = settings.ISOCENTER.reports
    folder: Path = reports.folder or settings.LAYOUT.reports
    started = run.started_at or run.created_at
    stem = f"report_{run.study.study_uid[:64]}_{started:%Y%m%d_%H%M%S}_{str(run.pk)[:8]}"
    stem = "".join(c if c.isalnum() or c in "._-" else "_" for c in stem)
    paths = write_report(as_mapping(run), folder, stem, [_FORMATS[f] for f in reports.formats])
    Run.objects.filter(pk=run.pk).update(reports=[str(path) for path in paths])
    return paths


def as_mapping(run: Run) -> dict[str, Any]:
    """A run's report as `isocenter.core.contours.report` takes it; nothing names the patient."""
    study, source = run.study, run.study.source
    steps = list(run.steps.all())
    end = run.finished_at
    report: dict[str, Any] = {
        "title": run.route_name or run.pipeline_name,
        "state": str(run.state),
        "run": {
            "id": str(run.pk),
            "route": run.route_name,
            "pipeline": run.pipeline_name,
            "revision": run.revision.number,
            "started_at": _time(run.started_at),
            "finished_at": _time(end),
            "version": __version__,
        },
        "study": {
            "study_uid": study.study_uid,
            "modalities": list(study.modalities),
            "series": study.series_count,
            "instances": run.revision.instance_count,
        },
        "sender": {
            "ae_title": source.calling_ae_title if source else "",
            "address": source.address if source else "",
        },
        "steps": [_step(item) for item in steps],
        "pairs": [pair for item in steps for pair in _data(item).get("pairs", [])],
        "outputs": _outputs(run),
        "deliveries": [_delivery(item) for item in run.deliveries.order_by("pk")],
        "warnings": [
            *run.revision.missing,
            *(problem for item in steps for problem in _data(item).get("problems", [])),
        ],
        "disclaimer": DISCLAIMER,
    }
    if run.started_at and end:
        report["seconds"] = round((end - run.started_at).total_seconds(), 3)
    if run.state == Run.State.FAILED:
        report["error"] = {"message": run.reason, "trace": run.trace}
    return report


def _step(item: RunStep) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": item.name,
        "state": str(item.state),
        "started_at": _time(item.started_at),
        "message": item.reason or item.message,
        "warnings": [],
    }
    if item.started_at and item.finished_at:
        row["seconds"] = round((item.finished_at - item.started_at).total_seconds(), 3)
    return row


def _outputs(run: Run) -> list[dict[str, Any]]:
    """One line per series, and per folder of pictures: nobody reads a series slice by slice."""
    groups: dict[tuple[str, str], list[Artifact]] = {}
    for item in artifacts.outputs_of(run):
        folder = artifacts.absolute(item).parent
        is_file = not item.series_uid and item.kind != "preview"
        place = item.series_uid or (item.path if is_file else str(folder))
        groups.setdefault((item.kind, place), []).append(item)
    return [_output(kind, items) for (kind, _), items in groups.items()]


def _output(kind: str, items: list[Artifact]) -> dict[str, Any]:
    roles = dict.fromkeys(item.role for item in items)
    path = artifacts.absolute(items[0])
    if items[0].domain:  # neither its names nor its UIDs may be known by the study's
        place = settings.LAYOUT.runs / Path(*Path(items[0].path).parts[:2])
        return {"kind": kind, "role": "", "path": str(place), "count": len(items), "sop_uid": ""}
    return {
        "kind": kind,
        "role": items[0].role if len(roles) == 1 else "",
        "path": str(path if len(items) == 1 else path.parent),
        "count": len(items),
        "sop_uid": items[0].sop_uid if len(items) == 1 else "",
    }


def _delivery(item: Any) -> dict[str, Any]:
    states = list(item.items.values_list("state", flat=True))
    return {
        "node": item.node_name,
        "state": str(item.state),
        "sent": states.count(DeliveryItem.State.SENT),
        "total": len(states),
        "message": item.reason,
    }


def _data(item: RunStep) -> dict[str, Any]:
    data = item.result.get("data", {})
    return data if isinstance(data, dict) else {}


def _time(value: Any) -> str | None:
    return value.isoformat() if value else None
