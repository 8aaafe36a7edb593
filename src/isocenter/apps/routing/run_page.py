"""What the page of a run shows; plain values, so that a page knows whether something changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Count, F, Func, IntegerField, Max, Min, Q, Sum
from django.utils import timezone

from isocenter.apps.routing import advice, artifacts
from isocenter.apps.routing.committing import commitment_of
from isocenter.apps.routing.models import (
    Artifact,
    ArtifactUse,
    Delivery,
    DeliveryItem,
    QuarantineItem,
    Run,
    RunStep,
)
from isocenter.apps.routing.quarantining import OPEN
from isocenter.apps.routing.runs_list import seconds_of

MAX_PICTURES = 12
MAX_FILES = 100
MAX_NAMED = 200
MAX_NOTES = 10
_ACTIVE = (Run.State.QUEUED, Run.State.RUNNING)
_SENDING = (Delivery.State.QUEUED, Delivery.State.SENDING, Delivery.State.WAITING)


def live(run: Run) -> dict[str, Any]:
    """All that can change while somebody looks."""
    steps = _steps(run)
    deliveries = _deliveries(run)
    is_active = run.state in _ACTIVE
    is_sending = any(row["state"] in _SENDING for row in deliveries)
    return {
        "state": str(run.state),
        "is_active": is_active,
        "is_sending": is_sending,
        "is_live": is_active or is_sending,
        "priority": run.priority,
        "worker": run.worker,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "seconds": seconds_of(run),
        "cancel_requested": run.cancel_requested,
        "reason": run.reason,
        "advice": _advice(run, steps),
        "held": _held(run),
        "steps": steps,
        "failed": next((step for step in steps if step["state"] == "failed"), None),
        "outputs": _outputs(run),
        "deliveries": deliveries,
        "reports": sorted({path.rsplit(".", 1)[-1] for path in run.reports if "." in path}),
        "newer": _newer(run),
    }


def digest_of(data: dict[str, Any]) -> str:
    """Changes with what is shown."""
    return hashlib.blake2b(repr(data).encode("utf-8", "replace"), digest_size=9).hexdigest()


def step_detail(step: RunStep) -> dict[str, Any]:
    """One step with what went in and what came out; long lists are cut."""
    outputs = ArtifactUse.objects.filter(step=step).select_related("artifact").order_by("pk")
    count = outputs.count()
    data = step.result.get("data", {})
    return {
        "index": step.index,
        "name": step.name,
        "version": step.version,
        "state": str(step.state),
        "attempt": step.attempt,
        "parameters": step.parameters,
        "inputs": step.inputs[:MAX_NAMED],
        "input_count": len(step.inputs),
        "outputs": [_use(use, step) for use in outputs[:MAX_NAMED]],
        "output_count": count,
        "data": data if isinstance(data, dict) else {},
    }


def current_step(run: Run) -> int:
    """The step whose log one wants to see: at work, failed, or the last that did something."""
    steps = list(run.steps.values_list("index", "state"))
    for wanted in (RunStep.State.RUNNING, RunStep.State.FAILED):
        for index, state in steps:
            if state == wanted:
                return int(index)
    done = [index for index, state in steps if state == RunStep.State.DONE]
    return int(done[-1]) if done else 1


def _steps(run: Run) -> list[dict[str, Any]]:
    found = run.steps.defer("inputs", "parameters", "result").annotate(
        input_count=Func(F("inputs"), function="jsonb_array_length", output_field=IntegerField()),
        output_count=Count("outputs", distinct=True),
    )
    steps = list(found)
    begun = [step.started_at for step in steps if step.started_at]
    start = min(begun, default=run.started_at)
    ends = [step.finished_at for step in steps if step.finished_at]
    end = max([*ends, *([timezone.now()] if run.state == Run.State.RUNNING else [])], default=None)
    span = (end - start).total_seconds() if start and end else 0.0
    return [_step(step, start, span) for step in steps]


def _step(step: Any, start: Any, span: float) -> dict[str, Any]:
    seconds = seconds_of(step)
    offset = width = 0.0
    if step.started_at and seconds is not None and span > 0:
        offset = max(0.0, (step.started_at - start).total_seconds() / span)
        width = min(1.0 - offset, seconds / span)
    return {
        "index": step.index,
        "name": step.name,
        "version": step.version,
        "state": str(step.state),
        "percent": round(100 * step.progress),
        "message": step.reason or step.message,
        "attempt": step.attempt,
        "started_at": step.started_at,
        "seconds": seconds,
        "offset": round(100 * offset, 2),
        "width": round(max(100 * width, 0.5), 2) if seconds is not None else 0,
        "end": round(100 * (offset + width)),
        "inputs": step.input_count or 0,
        "outputs": step.output_count,
    }


def _outputs(run: Run) -> dict[str, Any]:
    made = artifacts.outputs_of(run)
    pictures = made.filter(kind="preview")
    files = made.filter(series_uid="").exclude(kind="preview")
    series = (
        made.exclude(series_uid="")
        .order_by()
        .values("kind", "series_uid", "state", "domain")
        .annotate(
            count=Count("pk"),
            size=Sum("size"),
            roles=Count("role", distinct=True),  # before the name means the least of them
            role=Min("role"),
            reused=Count("pk", filter=~Q(run=run)),
            published=Max("published_at"),
            first=Min("pk"),
        )
        .order_by("first")
    )
    named = _descriptions(run, [row["series_uid"] for row in series])
    columns = ("pk", "kind", "role", "path", "size", "digest", "state", "run_id", "domain")
    shown = files.values(*columns)
    montages = list(pictures.filter(role="Montage").values("pk", "role", "digest")[:MAX_PICTURES])
    others = pictures.exclude(role="Montage").values("pk", "role", "digest")
    return {
        "series": [_shown_series(row, named) for row in series],
        "files": [_shown_file(row, run) for row in shown[:MAX_FILES]],
        "file_count": files.count(),
        "pictures": [*montages, *others[: MAX_PICTURES - len(montages)]],
        "picture_count": pictures.count(),
    }


def _descriptions(run: Run, series_uids: Sequence[str]) -> dict[str, str]:
    """What the series are called that are in the archive already."""
    found = run.study.series.filter(series_uid__in=series_uids)
    return dict(found.values_list("series_uid", "series_description"))


def _shown_file(row: Mapping[str, Any], run: Run) -> dict[str, Any]:
    name = row["path"].rsplit("/", 1)[-1]
    shown = {**row, "name": name, "reused": row["run_id"] != run.pk}
    return shown | ({"digest": ""} if row["domain"] else {})


def _shown_series(row: Mapping[str, Any], named: Mapping[str, str]) -> dict[str, Any]:
    name = named.get(row["series_uid"]) or _role(row)
    return {**row, "name": name} | ({"series_uid": ""} if row["domain"] else {})


def _role(row: Mapping[str, Any]) -> str:
    """What a series is by its parts, where they all are the same."""
    return str(row["role"] if row["roles"] == 1 and row["role"] else row["kind"])


def _deliveries(run: Run) -> list[dict[str, Any]]:
    counts = {
        state: Count("items", filter=Q(items__state=state)) for state in DeliveryItem.State.values
    }
    found = run.deliveries.annotate(total=Count("items"), **counts).order_by("pk")
    found = found.prefetch_related("commitments")
    notes = _notes(run)
    return [
        {
            "id": row.pk,
            "name": row.node_name,
            "node": row.target.get("node") or row.node_name,
            "state": str(row.state),
            "counts": {state: getattr(row, state) for state in DeliveryItem.State.values},
            "total": row.total,
            "attempts": row.attempts,
            "next_attempt_at": row.next_attempt_at,
            "reason": row.reason,
            "advice": advice.for_reason(row.reason) if row.state == Delivery.State.FAILED else "",
            "notes": notes.get(row.pk, []),
            "commitment": commitment_of(row),
            "finished_at": row.finished_at,
            "can_retry": row.state in (Delivery.State.FAILED, Delivery.State.CANCELLED),
        }
        for row in found
    ]


def _notes(run: Run) -> dict[int, list[dict[str, Any]]]:
    """What nodes said of single files, said once with how many."""
    found = (
        DeliveryItem.objects.filter(delivery__run=run)
        .exclude(note="")
        .values("delivery_id", "state", "note")
        .annotate(count=Count("pk"))
        .order_by("delivery_id", "-count", "note")
    )
    notes: dict[int, list[dict[str, Any]]] = {}
    for row in found[:500]:
        listed = notes.setdefault(row["delivery_id"], [])
        if len(listed) < MAX_NOTES:
            listed.append({key: row[key] for key in ("state", "note", "count")})
    return notes


def _use(use: ArtifactUse, step: RunStep) -> dict[str, Any]:
    made: Artifact = use.artifact
    return {
        "pk": made.pk,
        "kind": made.kind,
        "role": made.role,
        "name": made.kind if made.domain else made.path.rsplit("/", 1)[-1],
        "uid": "" if made.domain else made.sop_uid,
        "size": made.size,
        "digest": "" if made.domain else made.digest,
        "state": str(made.state),
        "reused": made.run_id != step.run_id,
        "replaced": use.consumed_by_id is not None,
    }


def _advice(run: Run, steps: Sequence[dict[str, Any]]) -> list[str]:
    if run.state != Run.State.FAILED:
        return []
    failed = next((step for step in steps if step["state"] == "failed"), None)
    row = RunStep(name=failed["name"]) if failed else None
    return advice.for_run(run, row)


def _held(run: Run) -> str:
    """The item of the quarantine that holds this run's files; empty where there is none."""
    item = QuarantineItem.objects.filter(run=run, kind=QuarantineItem.Kind.RUN, state__in=OPEN)
    found = item.values_list("pk", flat=True).first()
    return str(found) if found else ""


def _newer(run: Run) -> dict[str, Any] | None:
    """A run on a newer revision that took this one's place."""
    newer = artifacts.newer_run(run, of_route=True)
    return {"id": str(newer.pk), "revision": newer.revision.number} if newer else None
