"""Runs: what pipelines did to studies."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import actor, needs
from isocenter.apps.api.paging import newest_first
from isocenter.apps.api.schemas import Command, Moment, PageOf, Paging, Row, with_problems
from isocenter.apps.routing import queries, rows, services
from isocenter.apps.routing.models import Run
from isocenter.core.errors import ConfigurationError, NotFound
from isocenter.runtime.days import end_of_day, start_of_day

router = Router(tags=["runs"])

RunState = Literal["queued", "running", "done", "failed", "cancelled"]


class RunRow(Row):
    """A run in a list."""

    id: str
    state: str
    route: str
    pipeline: str
    study_uid: str
    revision: int
    priority: int
    created_at: Moment
    started_at: Moment
    finished_at: Moment
    seconds: float | None
    delivered: str = Field(description="deliveries by state, for example `2 done, 1 failed`")
    reason: str


class StepRow(Row):
    """A step of a run."""

    index: int
    name: str
    state: str
    progress: float = Field(description="0 to 1")
    attempt: int
    seconds: float | None
    message: str
    inputs: int
    data: dict[str, Any]


class ArtifactRow(Row):
    """What a step made."""

    id: int = Field(description="to get its file: `studies/{study_uid}/outputs/{id}`")
    kind: str
    role: str
    state: str
    sop_uid: str
    series_uid: str
    size: int
    digest: str
    made_by: str = Field(description="id of the run that made it")


class CommitmentOf(Row):
    """Whether a node said that it keeps what was delivered (Storage Commitment)."""

    state: str = Field(
        description="empty: not asked; else `asked`, `committed`, `refused` (not all), `silent`"
    )
    transactions: list[str] = Field(description="Transaction UIDs, the last one first")


class DeliveryRow(Row):
    """What goes to one node."""

    id: int
    node: str
    target: str
    state: str
    attempts: int
    next_attempt_at: Moment
    pending: int
    sent: int
    refused: int
    reason: str
    commitment: CommitmentOf


class RunDetail(RunRow):
    """A run with everything that belongs to it."""

    actor: str
    worker: str
    cancel_requested: bool
    steps: list[StepRow]
    artifacts: list[ArtifactRow]
    deliveries: list[DeliveryRow]
    reports: list[str] = Field(description="forms: `runs/{id}/reports/{form}`")


class StepLog(Row):
    """What a step printed."""

    step: str
    index: int
    log: str


class RunFilter(Paging):
    """Which runs."""

    study_uid: str = Field("", max_length=255)
    state: list[RunState] = Field([], description="given several times: any of them")
    route: str = Field("", max_length=64)
    pipeline: str = Field("", max_length=64)
    destination: str = Field("", max_length=64, description="a node that it sent to")
    created_from: date | None = Field(None, description="first day (UTC)")
    created_to: date | None = Field(None, description="last day (UTC)")

    def wanted(self) -> queries.RunFilter:
        """As routing is asked."""
        return queries.RunFilter(
            states=tuple(self.state),
            pipeline=self.pipeline,
            route=self.route,
            node=self.destination,
            study_uid=self.study_uid,
            since=start_of_day(self.created_from) if self.created_from else None,
            until=end_of_day(self.created_to) if self.created_to else None,
        )


class StartRun(Command):
    """Name either a route, with its pipeline and destinations, or a pipeline."""

    study_uid: str
    route: str = ""
    pipeline: str = ""
    destinations: list[str] | None = Field(None, description="nodes; null: the route's")
    priority: int | None = Field(None, ge=-1000, le=1000, description="null: the route's")


class RetryRun(Command):
    """From where."""

    from_step: str | None = Field(None, description="name or number; null: the first not done")


class Priority(Command):
    """Higher comes first."""

    priority: int = Field(ge=-1000, le=1000)


@router.get("/runs", response=with_problems(PageOf[RunRow]), auth=needs(Right.VIEW))
def list_runs(request: HttpRequest, given: Query[RunFilter]) -> Any:
    """Runs, the newest first."""
    found = queries.matching_runs(Run.objects.select_related("study", "revision"), given.wanted())
    return newest_first(found, "created_at", given, rows.run_row, key=uuid.UUID)


@router.post("/runs", response=with_problems(RunRow, 201), auth=needs(Right.RUN))
def start_run(request: HttpRequest, run: StartRun) -> Any:
    """Start a run by hand on the newest revision of a study, whatever the condition says.

    What a route would not do by itself needs the right to send to its nodes.
    """
    if bool(run.route) == bool(run.pipeline):
        raise ConfigurationError("name either a route or a pipeline")
    services.require_start(
        principal_of(request),
        run.study_uid,
        route_name=run.route,
        pipeline_name=run.pipeline,
        destinations=tuple(run.destinations or ()),
    )
    started = services.start(
        run.study_uid,
        route_name=run.route,
        pipeline_name=run.pipeline,
        destinations=tuple(run.destinations or ()),
        priority=run.priority,
        actor=actor(request),
    )
    return Status(201, rows.run_row(started))


@router.get("/runs/{run_id}", response=with_problems(RunDetail), auth=needs(Right.VIEW))
def get_run(request: HttpRequest, run_id: str) -> Any:
    """One run, by its id or the beginning of it: steps, outputs, deliveries. Of de-identified
    outputs, UIDs and digests are for those who may look up pseudonyms (`reidentify`)."""
    run = queries.run(run_id)
    links = principal_of(request).may(Right.REIDENTIFY)
    return rows.run_detail(run, links=links) | {
        "reports": [place.rpartition(".")[2] for place in run.reports if "." in place]
    }


@router.get("/runs/{run_id}/log", response=with_problems(list[StepLog]), auth=needs(Right.VIEW))
def get_log(request: HttpRequest, run_id: str, step: str = Query("", max_length=64)) -> Any:
    """What the steps of a run printed; all of them, or one by name or number."""
    run = queries.run(run_id)
    chosen = [queries.step_of(run, step)] if step else list(run.steps.all())
    return [
        {"step": item.name, "index": item.index, "log": queries.log_of(item)} for item in chosen
    ]


@router.post("/runs/{run_id}/cancel", response=with_problems(RunRow), auth=needs(Right.RUN))
def cancel_run(request: HttpRequest, run_id: str) -> Any:
    """Stop a run and what it has not sent yet."""
    return rows.run_row(services.cancel_run(run_id, actor=actor(request)))


@router.post("/runs/{run_id}/retry", response=with_problems(RunRow), auth=needs(Right.RUN))
def retry_run(request: HttpRequest, run_id: str, retry: RetryRun | None = None) -> Any:
    """Do a run again. What a step made and still has is not made again."""
    from_step = retry.from_step if retry else None
    services.require_repeat(principal_of(request), queries.run(run_id))
    return rows.run_row(services.retry_run(run_id, from_step=from_step, actor=actor(request)))


@router.post("/runs/{run_id}/again", response=with_problems(RunRow, 201), auth=needs(Right.RUN))
def run_again(request: HttpRequest, run_id: str) -> Any:
    """Start the same on the newest revision: the route as it is now where it still is, else the
    pipeline with the destinations that it had."""
    services.require_again(principal_of(request), queries.run(run_id))
    return Status(201, rows.run_row(services.rerun(run_id, actor=actor(request))))


@router.post("/runs/{run_id}/priority", response=with_problems(RunRow), auth=needs(Right.RUN))
def prioritise_run(request: HttpRequest, run_id: str, priority: Priority) -> Any:
    """Set the priority of a run that is not over."""
    return rows.run_row(services.prioritise(run_id, priority.priority, actor=actor(request)))


@router.post(
    "/runs/{run_id}/deliveries/{delivery_id}/retry",
    response=with_problems(DeliveryRow),
    auth=needs(Right.RUN),
)
def retry_delivery(request: HttpRequest, run_id: str, delivery_id: str) -> Any:
    """Send again what a delivery that is over did not send."""
    run = queries.run(run_id)
    found = [row for row in queries.deliveries_of(run) if str(row.pk) == delivery_id]
    if not found:
        raise NotFound(f"run {run.pk} has no delivery {delivery_id}")
    services.require_repeat(principal_of(request), run, found[0])
    services.retry_delivery(found[0], actor=actor(request))
    found[0].refresh_from_db()
    return rows.delivery_row(found[0])
