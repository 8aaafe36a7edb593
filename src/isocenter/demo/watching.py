"""What the demonstration sees of the platform while it waits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from isocenter.apps.archive import queries as archive
from isocenter.apps.routing import queries as routing
from isocenter.core.errors import IsocenterError, NotFound

Found = TypeVar("Found")
Look = tuple[Found | None, str]

_ENDED = ("done", "failed", "cancelled")


def until(deadline: float, look: Callable[[], Look[Found]], at: Callable[[str], None]) -> Found:
    """Look four times a second until something is found.

    Args:
        look: gives what it found, or None, and a word about where things stand.

    Raises:
        IsocenterError: the deadline is over.
    """
    while True:
        found, word = look()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise IsocenterError(f"the demonstration waited too long: {word}")
        at(word)
        time.sleep(0.25)


def complete(study_uid: str) -> Look[dict[str, Any]]:
    """The study's row once it has a revision."""
    try:
        row = archive.study_row(archive.study(study_uid))
    except NotFound:
        return None, "in the spool"
    if row["revision"]:
        return row, ""
    return None, "; ".join(row["waiting_for"]) or row["state"]


def finished_run(study_uid: str) -> Look[dict[str, Any]]:
    """The run once it has ended."""
    runs = routing.runs(study_uid=study_uid)
    if not runs:
        return None, "waiting for a route"
    run = runs[0]
    if run.state in _ENDED:
        return {"id": run.pk, "state": str(run.state), "reason": run.reason}, ""
    for step in run.steps.all():
        if step.state == "running":
            return None, f"{step.name} {step.progress:.0%} {step.message}"
    return None, str(run.state)


def delivered(run_id: Any) -> Look[list[dict[str, Any]]]:
    """The run's deliveries once they have ended."""
    deliveries = routing.deliveries_of(routing.run(run_id))
    rows = [
        {
            "node": item.node_name,
            "state": str(item.state),
            "sent": routing.delivery_counts(item).get("sent", 0),
            "reason": item.reason,
        }
        for item in deliveries
    ]
    if all(row["state"] in _ENDED for row in rows):
        return rows, ""
    return None, ", ".join(f"{row['node']}: {row['sent']} sent" for row in rows)


def outputs(run_id: Any) -> dict[str, Any]:
    """Steps, ROIs and artifacts of a run, for the tables."""
    run = routing.run(run_id)
    steps, rois = [], []
    for step in run.steps.all():
        seconds = 0.0
        if step.started_at and step.finished_at:
            seconds = (step.finished_at - step.started_at).total_seconds()
        steps.append({"name": step.name, "seconds": seconds, "message": step.message})
        for pair in step.result.get("data", {}).get("pairs", []):
            rois += [{**roi, "modality": pair["modality"]} for roi in pair["rois"]]
    counts = Counter((item.kind, str(item.state)) for item in run.artifacts.all())
    artifacts = [
        {"kind": kind, "state": state, "count": count}
        for (kind, state), count in sorted(counts.items())
    ]
    return {"steps": steps, "rois": rois, "artifacts": artifacts}
