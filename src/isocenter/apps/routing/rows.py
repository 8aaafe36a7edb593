"""Runs, deliveries and quarantine as the command line prints them (stable keys; times in UTC)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from isocenter.apps.routing import artifacts, queries
from isocenter.apps.routing.committing import commitment_of
from isocenter.apps.routing.models import Artifact, Delivery, QuarantineItem, Route, Run, RunStep


def route_row(item: Route) -> dict[str, Any]:
    """A route in a list."""
    return {
        "name": item.name,
        "enabled": item.enabled,
        "disabled_reason": item.disabled_reason,
        "priority": item.priority,
        "condition": item.condition,
        "pipeline": item.pipeline.name,
        "destinations": list(item.destinations),
    }


def run_row(item: Run) -> dict[str, Any]:
    """A run in a list."""
    return {
        "id": str(item.pk),
        "state": str(item.state),
        "route": item.route_name,
        "pipeline": item.pipeline_name,
        "study_uid": item.study.study_uid,
        "revision": item.revision.number,
        "priority": item.priority,
        "created_at": _time(item.created_at),
        "started_at": _time(item.started_at),
        "finished_at": _time(item.finished_at),
        "seconds": _seconds(item.started_at, item.finished_at),
        "delivered": _delivered(item),
        "reason": item.reason,
    }


def run_detail(item: Run, *, links: bool = True) -> dict[str, Any]:
    """A run with everything that belongs to it.

    Args:
        links: say what ties the study to what left of it under a pseudonym.
    """
    return run_row(item) | {
        "actor": item.actor,
        "worker": item.worker,
        "cancel_requested": item.cancel_requested,
        "trace": item.trace,
        "reports": list(item.reports),
        "steps": [step_row(step) for step in item.steps.all()],
        "artifacts": [artifact_row(made, links=links) for made in artifacts.outputs_of(item)],
        "deliveries": [delivery_row(row) for row in queries.deliveries_of(item)],
    }


def step_row(step: RunStep) -> dict[str, Any]:
    """A step of a run."""
    return {
        "index": step.index,
        "name": step.name,
        "state": str(step.state),
        "progress": step.progress,
        "attempt": step.attempt,
        "seconds": _seconds(step.started_at, step.finished_at),
        "message": step.reason or step.message,
        "inputs": len(step.inputs),
        "data": step.result.get("data", {}),
    }


def artifact_row(made: Artifact, *, links: bool = True) -> dict[str, Any]:
    """An output of a run; ``made_by`` names the run that made it, where it was used again."""
    row = {
        "id": made.pk,
        "kind": made.kind,
        "role": made.role,
        "state": str(made.state),
        "sop_uid": made.sop_uid,
        "series_uid": made.series_uid,
        "path": str(artifacts.absolute(made)),
        "size": made.size,
        "digest": made.digest,
        "made_by": str(made.run_id),
    }
    if made.domain and not links:
        row |= dict.fromkeys(("sop_uid", "series_uid", "path", "digest"), "")
    return row


def delivery_row(row: Delivery) -> dict[str, Any]:
    """A delivery; ``node`` is the name that the route uses."""
    return {
        "id": row.pk,
        "node": row.node_name,
        "target": row.target.get("node", row.node_name),
        "state": str(row.state),
        "attempts": row.attempts,
        "next_attempt_at": _time(row.next_attempt_at),
        **queries.delivery_counts(row),
        "reason": row.reason,
        "commitment": commitment_of(row),
    }


def quarantine_row(item: QuarantineItem) -> dict[str, Any]:
    """An item of the quarantine."""
    return {
        "id": str(item.pk),
        "kind": str(item.kind),
        "state": str(item.state),
        "study_uid": item.study_uid,
        "sop_uid": item.sop_uid,
        "run": str(item.run_id) if item.run_id else None,
        "node": item.delivery.node_name if item.delivery else None,
        "source": item.source,
        "reason": item.reason,
        "attempts": item.attempts,
        "size": item.size,
        "first_at": _time(item.first_at),
        "last_at": _time(item.last_at),
    }


def _delivered(item: Run) -> str:
    """``2 done, 1 failed``: a run that is done may still have sent nothing."""
    states = [str(row.state) for row in queries.deliveries_of(item)]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return round((end - start).total_seconds(), 3) if start and end else None
