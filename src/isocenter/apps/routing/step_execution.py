"""Doing one step of a run."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db.models.functions import Now

from isocenter.apps.archive import queries as archive
from isocenter.apps.routing import artifacts, identity, ordering
from isocenter.apps.routing.artifacts import Measured
from isocenter.apps.routing.files import move_folder, sync_folder, sync_tree
from isocenter.apps.routing.leases import Heartbeat, Lease, LeaseLost
from isocenter.apps.routing.models import Artifact, Run, RunStep
from isocenter.apps.routing.pipelines import DEIDENTIFY
from isocenter.apps.routing.steps.base import (
    RECEIVED_KIND,
    Deidentified,
    InputInstance,
    Request,
    Step,
    StepContext,
    StepParameters,
    StepRefused,
    StepResult,
)
from isocenter.apps.routing.steps.registry import step as step_of
from isocenter.apps.routing.unlinked import without_uids
from isocenter.core.errors import ChildDied, PipelineError
from isocenter.core.isolation import Limits, run_isolated

log = structlog.get_logger(__name__)
CHILD_ATTEMPTS = 2  # a child that died with no answer may have been killed by chance
MAX_INTERRUPTIONS = 5  # a step that takes its worker down each time is not tried for ever
PROGRESS_EVERY_S = 0.5
LOG_NAME = "step.log"
_KNOW_WHOSE = frozenset((DEIDENTIFY, "deliver"))  # steps that may see whose study it is


class StepExecution:
    """From pending (or interrupted) to done."""

    def __init__(self, run: Run, row: RunStep, lease: Lease, heartbeat: Heartbeat) -> None:
        self._run = run
        self._row = row
        self._lease = lease
        self._heartbeat = heartbeat
        self._step: Step = step_of(row.name)
        self._parameters: StepParameters = self._step.parameters.model_validate(row.parameters)
        self._home = Path(settings.LAYOUT.runs, str(run.pk))
        self._shown = 0.0

    def go(self) -> None:
        """Do the step.

        Raises:
            LeaseLost: somebody else has the run.
            ChildError, IsocenterError: the step failed.
        """
        for attempt in range(1, CHILD_ATTEMPTS + 1):
            folder = self._begin()
            try:
                self._attempt(folder)
            except ChildDied as error:
                if attempt == CHILD_ATTEMPTS or self._heartbeat.must_stop():
                    raise
                log.warning("step_died", run=str(self._run.pk), step=self._row.name, why=str(error))
            else:
                return

    def _attempt(self, folder: Path) -> None:
        context = self._context(folder)
        result = self._work(context, folder)
        outputs = artifacts.measure(result.made, folder)
        self._complete(context, result, outputs, folder)
        for left in self._home.glob(f"{self._row.index}-{self._row.name}.attempt-*"):
            shutil.rmtree(left, ignore_errors=True)  # what interrupted attempts left behind

    def _begin(self) -> Path:
        with self._lease.guard():
            row = RunStep.objects.select_for_update().get(pk=self._row.pk)
            interruptions = int(row.result.get("interruptions", 0))
            if row.state == RunStep.State.RUNNING:
                interruptions += 1
            if interruptions > MAX_INTERRUPTIONS:
                raise PipelineError(
                    f"step {row.name} was interrupted {interruptions} times",
                    hint="each time the worker itself ended; see its log",
                )
            row.state = RunStep.State.RUNNING
            row.version = self._step.version
            row.attempt += 1
            row.progress, row.message, row.reason = 0.0, "", ""
            row.started_at, row.finished_at = Now(), None
            row.result = {"interruptions": interruptions} if interruptions else {}
            row.save()
            row.refresh_from_db()
        self._row = row
        folder = self._home / f"{row.index}-{row.name}.attempt-{row.attempt}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        return folder

    def _context(self, folder: Path) -> StepContext:
        before = list(self._run.steps.filter(index__lt=self._row.index))
        named = _named_series(self._run)
        received = [_as_input(item, named) for item in archive.inputs(self._run.revision)]
        if len(received) != self._run.revision.instance_count:
            # Under the policy "replace" a newer copy takes an instance's place in the archive.
            raise StepRefused(
                f"{self._run.revision.instance_count - len(received)} instance(s) of revision "
                f"{self._run.revision.number} were replaced by newer ones; the next one has them"
            )
        found = identity.deidentified(self._run, before, received)
        domain = found.domain if found else ""
        own = artifacts.outputs_of(self._run).filter(domain=domain).exclude(uses__step=self._row)
        replaced = Artifact.objects.filter(
            uses__consumed_by=self._row, uses__step__run=self._run, domain=domain
        )
        known = artifacts.known_determinants(
            self._run, self._row, domain=None if self._row.name == DEIDENTIFY else domain
        )
        return StepContext(
            study_uid=found.study_uid if found else self._run.study.study_uid,
            instances=self._instances(before, received, found),
            artifacts=artifacts.as_inputs(
                item for item in (*own, *replaced) if item.kind != RECEIVED_KIND
            ),
            known=frozenset(known),
            made_at=found.made_at if found else self._run.created_at,
            work_dir=folder,
            earlier=[(step.name, step.parameters) for step in before],
            received=[item.path for item in received if self._row.name in _KNOW_WHOSE],
            deidentified=found,
        )

    def _instances(
        self,
        before: Sequence[RunStep],
        received: list[InputInstance],
        found: Deidentified | None,
    ) -> list[InputInstance]:
        """What the steps before leave of the study, and what ``deidentify`` puts in its place."""
        instances = received
        for step in before:
            if step.name == DEIDENTIFY and found is not None:
                instances = identity.instances(self._run, step, found)
            kept = step.result.get("series_uids")
            if kept is not None:
                instances = [item for item in instances if item.series_uid in set(kept)]
        return instances

    def _work(self, context: StepContext, folder: Path) -> StepResult:
        request = self._step.prepare(context, self._parameters)
        if isinstance(request, StepResult):
            return request
        asked = request if isinstance(request, Request) else Request(request, None)
        workers = settings.ISOCENTER.workers
        limits = Limits(memory_bytes=workers.step_memory_mb << 20, timeout_s=workers.step_timeout_s)
        answer = run_isolated(
            self._step.target,
            dict(asked.values),
            work_dir=folder,
            limits=limits,
            on_progress=self._progress,
            cancelled=self._heartbeat.must_stop,
            private=asked.private,
        )
        try:
            return self._step.finish(context, self._parameters, answer)
        except StepRefused as error:
            if not context.domain:
                raise
            raise StepRefused(without_uids(str(error))) from None

    def _progress(self, fraction: float, message: str) -> None:
        if time.monotonic() - self._shown < PROGRESS_EVERY_S:
            return
        self._shown = time.monotonic()
        RunStep.objects.filter(
            pk=self._row.pk, state=RunStep.State.RUNNING, run__lease_token=self._lease.token
        ).update(progress=min(max(fraction, 0.0), 1.0), message=message[:500])

    def _complete(
        self, context: StepContext, result: StepResult, outputs: list[Measured], folder: Path
    ) -> None:
        if self._heartbeat.is_lost:
            raise LeaseLost(str(self._lease.key))
        sync_tree(folder)
        sync_folder(self._home.parent)
        with self._lease.guard() as run:
            target = self._place()
            move_folder(folder, target)
            relative = str(target.relative_to(settings.LAYOUT.runs))
            domain = result.domain or context.domain
            artifacts.register(run, self._row, result, outputs, relative, domain=domain)
            message = result.message
            if result.order is not None:
                said = (message, ordering.order(run, result.order))
                message = "; ".join(text for text in said if text)
            self._write(result, context, message, relative)
            if result.is_last:
                run.steps.filter(index__gt=self._row.index).update(
                    state=RunStep.State.SKIPPED, message=f"skipped: {result.message}"[:500]
                )

    def _write(self, result: StepResult, context: StepContext, message: str, folder: str) -> None:
        row = self._row
        row.state = RunStep.State.DONE
        row.progress = 1.0
        row.message = without_uids(message) if context.domain else message
        row.finished_at = Now()
        row.inputs = _inputs(context)
        data = without_uids(result.data) if context.domain else result.data
        row.result = {"folder": folder, "data": data}
        if result.series_uids is not None:
            row.result["series_uids"] = list(result.series_uids)
        row.save()

    def _place(self) -> Path:
        """The step's final folder: one that no artifact lives in, so that none is overwritten."""
        name = f"{self._row.index}-{self._row.name}"
        prefix = f"{self._run.pk}/{name}/"
        if Artifact.objects.filter(run=self._run, path__startswith=prefix).exists():
            name = f"{name}.{self._row.attempt}"
        return self._home / name


def _inputs(context: StepContext) -> list[dict[str, Any]]:
    """What went in; after ``deidentify`` nothing that tells the new names of the study."""
    if context.domain:
        instances = (item.artifact for item in context.instances)
        return [{"artifact": key} for key in (*instances, *(a.id for a in context.artifacts))]
    return [
        *({"uid": item.sop_uid, "digest": item.digest} for item in context.instances),
        *({"artifact": item.id, "digest": item.digest} for item in context.artifacts),
    ]


def log_text(row: RunStep) -> str:
    """What the step's child process printed in its newest attempt; empty when there is nothing."""
    path = _log_path(row)
    try:
        return path.read_text("utf-8", "replace") if path else ""
    except OSError:
        return ""


def log_tail(row: RunStep, limit: int = 64 << 10) -> tuple[str, int]:
    """The end of what a step printed, and how many bytes before it are left out."""
    path = _log_path(row)
    try:
        if path is None:
            return "", 0
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            start = max(0, size - limit)
            stream.seek(start)
            text = stream.read(limit).decode("utf-8", "replace")
    except OSError:
        return "", 0
    if start:
        text = text.partition("\n")[2]  # a line that was cut is no line
    return text, start


def _log_path(row: RunStep) -> Path | None:
    home = Path(settings.LAYOUT.runs, str(row.run_id))
    kept = row.result.get("folder")
    places = [home / f"{row.index}-{row.name}.attempt-{row.attempt}"]
    if kept:
        places.insert(0, Path(settings.LAYOUT.runs, kept))
    found = (place / LOG_NAME for place in places)
    return next((path for path in found if path.is_file()), None)


def _named_series(run: Run) -> dict[str, tuple[str, ...]]:
    """Series that structure sets and the like name, by the SOP Instance UID of who names them."""
    naming = run.study.instances.filter(is_derived=False).exclude(references={})
    return {
        uid: tuple(references.get("series", ()))
        for uid, references in naming.values_list("sop_uid", "references")
    }


def _as_input(item: archive.InstanceInfo, named: Mapping[str, tuple[str, ...]]) -> InputInstance:
    return InputInstance(
        path=item.path,
        sop_uid=item.sop_uid,
        series_uid=item.series_uid,
        sop_class_uid=item.sop_class_uid,
        modality=item.modality,
        digest=item.digest,
        references=named.get(item.sop_uid, ()),
    )
