"""The list of runs: what is asked for, and what each row shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone

from isocenter.apps.routing.keyset import Slice, newest_first
from isocenter.apps.routing.models import Delivery, Run, RunStep

_OVER = (RunStep.State.DONE, RunStep.State.SKIPPED)


@dataclass(frozen=True)
class RunFilter:
    """Which runs; what is empty does not matter."""

    states: tuple[str, ...] = ()
    pipeline: str = ""
    route: str = ""
    node: str = ""
    study_uid: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_empty(self) -> bool:
        return self == RunFilter()


@dataclass(frozen=True)
class RunRow:
    """One run of the list."""

    run: Run
    done: int  # steps
    steps: int
    percent: int
    step: str  # the one at work
    message: str
    seconds: float | None
    deliveries: Mapping[str, int]


def run_slice(wanted: RunFilter, cursor: str = "") -> Slice[Run]:
    """A page of runs, with what rows of them need."""
    found = Run.objects.select_related("study", "revision").defer("definition", "trace")
    return newest_first(
        matching_runs(found, wanted).prefetch_related(*_PARTS), "created_at", cursor
    )


def run_rows(found: Slice[Run]) -> list[RunRow]:
    """As the list shows them."""
    return [_row(run) for run in found.rows]


_PARTS = (
    Prefetch(
        "steps",
        RunStep.objects.only("run_id", "index", "name", "state", "progress", "message"),
    ),
    Prefetch("deliveries", Delivery.objects.only("run_id", "state", "node_name")),
)


def matching_runs(found: QuerySet[Run], wanted: RunFilter) -> QuerySet[Run]:
    """Those of these runs that are asked for."""
    if wanted.states:
        found = found.filter(state__in=wanted.states)
    if wanted.pipeline:
        found = found.filter(pipeline_name=wanted.pipeline)
    if wanted.route:
        found = found.filter(route_name=wanted.route)
    if wanted.study_uid:
        found = found.filter(study__study_uid=wanted.study_uid)
    if wanted.since is not None:
        found = found.filter(created_at__gte=wanted.since)
    if wanted.until is not None:
        found = found.filter(created_at__lt=wanted.until)
    if wanted.node:
        sent = Delivery.objects.filter(
            Q(node_name=wanted.node) | Q(target__node=wanted.node), run=OuterRef("pk")
        )
        found = found.filter(Exists(sent))
    return found


def _row(run: Run) -> RunRow:
    steps = list(run.steps.all())
    done = sum(step.state in _OVER for step in steps)
    current = next((step for step in steps if step.state == RunStep.State.RUNNING), None)
    share = current.progress if current else 0.0
    return RunRow(
        run=run,
        done=done,
        steps=len(steps),
        percent=min(100, round(100 * (done + share) / len(steps))) if steps else 0,
        step=current.name if current else "",
        message=current.message if current else "",
        seconds=seconds_of(run),
        deliveries=dict(Counter(str(item.state) for item in run.deliveries.all())),
    )


def seconds_of(row: Run | RunStep) -> float | None:
    """How long it took, or has taken so far; None where it has not begun."""
    if row.started_at is None:
        return None
    is_going = row.state == "running"
    end = row.finished_at or (timezone.now() if is_going else None)
    return max(0.0, (end - row.started_at) / timedelta(seconds=1)) if end else None
