"""Doing a run: claim it, do its steps in order, publish and hand over what they made.

Every state is in the database before the next thing begins. A run that was interrupted goes on at
its first step that is not done; a step's outputs become visible in the transaction in which it
becomes done, in a folder that was renamed as one.
"""

from __future__ import annotations

import os
import socket
import traceback
import uuid
from datetime import timedelta
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from isocenter.apps.audit import services as audit
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.routing import artifacts, publishing, quarantining, run_report, superseding
from isocenter.apps.routing.leases import Heartbeat, Lease, LeaseLost, expiry
from isocenter.apps.routing.models import Run, RunStep
from isocenter.apps.routing.run_control import cancel_deliveries
from isocenter.apps.routing.schedule import schedule_run
from isocenter.apps.routing.step_execution import StepExecution
from isocenter.apps.routing.steps.base import StepRefused
from isocenter.core.errors import ChildCancelled, ChildError, IsocenterError

log = structlog.get_logger(__name__)
_FINISHED = (RunStep.State.DONE, RunStep.State.SKIPPED)


class RunCancelled(Exception):
    """Somebody wants the run to stop."""


def execute(run_id: uuid.UUID) -> None:
    """Do a run as far as it goes. Does nothing when it is not there, not due, or somebody's."""
    lease = claim(run_id)
    if lease is None:
        return
    try:
        with Heartbeat(lease) as heartbeat:
            _Execution(lease, heartbeat).go()
    except LeaseLost:
        log.warning("lease_lost", run=str(run_id))


def claim(run_id: uuid.UUID) -> Lease | None:
    """Take a run that is queued, or whose worker is dead.

    A run that has to wait for another one of its study and pipeline stays queued: the one that
    ends puts it into the queue again. One whose worker may be alive is looked at again when its
    lease is over.
    """
    lease = Lease(Run, run_id, uuid.uuid4())
    free = Q(state=Run.State.QUEUED) | Q(state=Run.State.RUNNING, lease_until__lt=Now())
    try:
        with transaction.atomic():
            taken = Run.objects.filter(free, pk=run_id).update(
                state=Run.State.RUNNING,
                lease_token=lease.token,
                lease_until=expiry(),
                worker=f"{socket.gethostname()}:{os.getpid()}"[:255],
                started_at=Coalesce(F("started_at"), Now()),
            )
    except IntegrityError:  # one_run_at_once
        return None
    if taken:
        return lease
    held = Run.objects.filter(pk=run_id, state=Run.State.RUNNING).first()
    if held is not None and held.lease_until is not None:
        schedule_run(run_id, held.priority, at=held.lease_until + timedelta(seconds=1))
    return None


class _Execution:
    def __init__(self, lease: Lease, heartbeat: Heartbeat) -> None:
        self._lease = lease
        self._heartbeat = heartbeat
        self._run = Run.objects.select_related("study", "revision", "route").get(pk=lease.key)

    def go(self) -> None:
        try:
            self._start()
            for index in self._run.steps.values_list("index", flat=True):
                self._check()
                step = self._run.steps.get(index=index)
                if step.state in _FINISHED:
                    continue
                if step.name == "deliver":
                    publishing.publish(self._run, self._lease)
                StepExecution(self._run, step, self._lease, self._heartbeat).go()
            publishing.publish(self._run, self._lease)
            self._finish()
        except (RunCancelled, ChildCancelled):
            if self._heartbeat.is_lost:
                raise LeaseLost(str(self._lease.key)) from None
            self._cancel()
        except LeaseLost:
            raise
        except StepRefused as error:
            self._fail(str(error), "")
        except ChildError as error:
            self._fail(str(error), error.trace)
        except IsocenterError as error:
            self._fail(str(error), traceback.format_exc())
        except Exception as error:
            log.exception("run_failed", run=str(self._run.pk))
            self._fail(f"internal error: {type(error).__name__}: {error}", traceback.format_exc())

    def _check(self) -> None:
        if self._heartbeat.is_lost:
            raise LeaseLost(str(self._lease.key))
        if self._heartbeat.is_cancelled or self._lease.is_cancel_requested():
            raise RunCancelled

    def _start(self) -> None:
        with self._lease.guard():
            if not self._run.steps.exclude(state=RunStep.State.PENDING).exists():
                self._record(Kind.PROCESSING_START)

    def _finish(self) -> None:
        with self._lease.guard() as run:
            if run.cancel_requested:  # in the very last step
                raise RunCancelled
            superseding.drop_unsent(artifacts.settle(run), artifacts.newer_run(run) or run)
            self._end(run, Run.State.DONE, reason=self._summary())
            self._record(Kind.PROCESSING_SUCCESS, duration_s=_duration(run))
            quarantining.resolve_run(run)
            self._wake_next(run)
        self._report()

    def _fail(self, reason: str, trace: str) -> None:
        with self._lease.guard() as run:
            run.steps.filter(state=RunStep.State.RUNNING).update(
                state=RunStep.State.FAILED, reason=reason, finished_at=Now()
            )
            self._end(run, Run.State.FAILED, reason=reason, trace=trace)
            self._record(Kind.PROCESSING_FAILED, duration_s=_duration(run), reason=reason)
            self._wake_next(run)
        self._report()
        # Links to many files take time: outside the transaction, and made good by the sweep.
        quarantining.quarantine_run(run)

    def _cancel(self) -> None:
        with self._lease.guard() as run:
            run.steps.exclude(state__in=_FINISHED).update(
                state=RunStep.State.CANCELLED, finished_at=Now()
            )
            self._end(run, Run.State.CANCELLED, reason="cancelled")
            cancel_deliveries(run)  # what was ordered after the request
            self._record(Kind.PROCESSING_CANCELLED)
            self._wake_next(run)

    def _end(self, run: Run, state: Run.State, *, reason: str, trace: str = "") -> None:
        run.state = state
        run.reason, run.trace = reason, trace
        run.finished_at = timezone.now()
        run.lease_token = run.lease_until = None
        run.cancel_requested = False
        run.save()

    def _wake_next(self, run: Run) -> None:
        waiting = Run.objects.filter(
            study=run.study, pipeline_name=run.pipeline_name, state=Run.State.QUEUED
        )
        for other in waiting:
            schedule_run(other.pk, other.priority)

    def _summary(self) -> str:
        messages = self._run.steps.exclude(message="").values_list("name", "message")
        return "; ".join(f"{name}: {message}" for name, message in messages)

    def _record(self, kind: Kind, **detail: Any) -> None:
        audit.record(
            kind,
            study_uid=self._run.study.study_uid,
            run=str(self._run.pk),
            pipeline=self._run.pipeline_name,
            route=self._run.route_name,
            revision=self._run.revision.number,
            **detail,
        )

    def _report(self) -> None:
        try:
            run_report.write(self._run.pk)
        except OSError as error:  # a report that cannot be written undoes no run
            where = error.filename or "the reports folder"
            log.error(
                "report_not_written", run=str(self._run.pk), reason=f"{error.strerror}: {where}"
            )
        except Exception:
            log.exception("report_failed", run=str(self._run.pk))


def _duration(run: Run) -> float:
    started = run.started_at or run.created_at
    return round((timezone.now() - started).total_seconds(), 3)
