"""Requests to commit that nodes make to us (PS3.4 annex J as SCP).

A request is in the database before it is answered, with a job that reports its outcome over an
association of ours; where the node hears it on its own association before, that job finds nothing
to do. An instance that is not indexed yet may be on its way through the spool: nothing is
refused before that had its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.utils import timezone

from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.dimse.database import borrowed
from isocenter.apps.dimse.keeping import Kept, kept
from isocenter.apps.dimse.models import CommitmentPromise
from isocenter.apps.transfers import queries as transfers
from isocenter.core.errors import IsocenterError, NetworkError, NotFound
from isocenter.core.network.commitment_client import report_result
from isocenter.core.network.commitment_data import CommitmentRequest, CommitmentResult, Reference
from isocenter.runtime.queue import DELIVERIES, app

log = structlog.get_logger("dimse")
REPORT_TASK = "dimse.report_commitment"
PATIENCE_S = 60.0  # for what was sent just before, and is not indexed yet
_LOOK_AGAIN_S = 3.0
_HERE_FIRST_S = 10.0  # for the node's own association
_MAX_ATTEMPTS = 12
_EARLY = timedelta(seconds=1)  # clocks of hosts differ
_LEASE = timedelta(minutes=5)  # longer than a report takes
_OVERDUE = timedelta(minutes=2)


class OwedPromise:
    """A request of a node that we took on; see `core.network.commitment.Promise`."""

    def __init__(self, row: CommitmentPromise) -> None:
        self._row = row
        self._result: CommitmentResult | None = None

    def outcome(self) -> CommitmentResult | None:
        """What is kept, as soon as nothing is missing; None also without a database."""
        with _database_may_go():
            found = kept(_references(self._row))
            if not found.missing:
                self._result = _result(self._row, found)
        return self._result

    def reported(self) -> None:
        """The node has it."""
        if self._result is not None:
            with _database_may_go():
                _settle(self._row.pk, self._result)

    def leave(self) -> None:
        """Have the job look at once."""
        with _database_may_go():
            _put_off(self._row.pk, 0)


@contextmanager
def _database_may_go() -> Iterator[None]:
    """The request is kept with a job: whatever is lost here, the node hears of it."""
    try:
        with borrowed():
            yield
    except DatabaseError as error:
        log.warning("database does not answer", error=type(error).__name__)


def promise(node_name: str, request: CommitmentRequest) -> OwedPromise:
    """Take a request on, durably. The same one again is reported again."""
    references = [[each.sop_class_uid, each.sop_instance_uid] for each in request.references]
    with transaction.atomic():
        row, _ = CommitmentPromise.objects.update_or_create(
            node_name=node_name,
            transaction_uid=request.transaction_uid,
            defaults={
                "references": references,
                "state": CommitmentPromise.State.OWED,
                "attempts": 0,
                "committed": None,
                "failed": None,
                "reason": "",
                "asked_at": timezone.now(),
                "next_at": timezone.now(),
                "ended_at": None,
            },
        )
        _put_off(row.pk, _HERE_FIRST_S)
    return OwedPromise(row)


def report(promise_id: int) -> None:
    """Tell a node what became of its request, over an association of ours, where it is time."""
    now = timezone.now()
    due = CommitmentPromise.objects.filter(
        pk=promise_id, state=CommitmentPromise.State.OWED, next_at__lte=now + _EARLY
    )
    if not due.update(next_at=now + _LEASE):  # it is over, not due, or somebody's
        return
    row = CommitmentPromise.objects.get(pk=promise_id)
    found = kept(_references(row))
    age = (timezone.now() - row.asked_at).total_seconds()
    if found.missing and age < PATIENCE_S:
        _put_off(row.pk, _LOOK_AGAIN_S)
        return
    result = _result(row, found)
    try:
        node = transfers.node(row.node_name)
        if not node.enabled:
            raise NetworkError(f"the node {node.name} is switched off")
        report_result(transfers.peer_of(node), result)
    except NotFound as error:
        _give_up(row, str(error))
    except IsocenterError as error:
        _try_again(row, str(error))
    else:
        _settle(row.pk, result)


def sweep() -> int:
    """Have due reports looked at whose job was lost; how many."""
    due = CommitmentPromise.objects.filter(
        state=CommitmentPromise.State.OWED, next_at__lte=timezone.now() - _OVERDUE
    )
    found = list(due.values_list("pk", flat=True)[:1000])
    for promise_id in found:
        _defer(promise_id, timezone.now())
    return len(found)


def _put_off(promise_id: int, seconds: float) -> None:
    """The next look, in so many seconds."""
    at = timezone.now() + timedelta(seconds=seconds)
    with transaction.atomic():
        CommitmentPromise.objects.filter(pk=promise_id).update(next_at=at)
        _defer(promise_id, at)


def _defer(promise_id: int, at: datetime) -> None:
    app.configure_task(REPORT_TASK, queue=DELIVERIES, schedule_at=at).defer(promise_id=promise_id)


def _try_again(row: CommitmentPromise, reason: str) -> None:
    rules = settings.ISOCENTER.delivery
    attempts = row.attempts + 1
    if attempts >= _MAX_ATTEMPTS:
        _give_up(row, reason)
        return
    with transaction.atomic():
        CommitmentPromise.objects.filter(pk=row.pk, state=CommitmentPromise.State.OWED).update(
            attempts=attempts, reason=reason
        )
        _put_off(row.pk, min(rules.first_wait_s * 2.0 ** (attempts - 1), rules.max_wait_s))


def _give_up(row: CommitmentPromise, reason: str) -> None:
    _end(row.pk, CommitmentPromise.State.GIVEN_UP, "not reported", reason=reason)


def _settle(promise_id: int, result: CommitmentResult) -> None:
    _end(
        promise_id,
        CommitmentPromise.State.REPORTED,
        "reported",
        committed=len(result.committed),
        failed=len(result.failed),
    )


def _end(promise_id: int, state: CommitmentPromise.State, outcome: str, **values: Any) -> None:
    """Only one of two that report at once ends it, and is an event."""
    with transaction.atomic():
        row = (
            CommitmentPromise.objects.select_for_update()
            .filter(pk=promise_id, state=CommitmentPromise.State.OWED)
            .first()
        )
        if row is None:
            return
        for name, value in values.items():
            setattr(row, name, value)
        row.state, row.ended_at = state, timezone.now()
        row.save()
        record(
            Kind.COMMITMENT,
            node=row.node_name,
            direction="asked of us",
            outcome=outcome,
            transaction_uid=row.transaction_uid,
            instances=len(row.references),
            **values,
        )


def _references(row: CommitmentPromise) -> list[Reference]:
    return [Reference(str(sop_class), str(sop_uid)) for sop_class, sop_uid in row.references]


def _result(row: CommitmentPromise, found: Kept) -> CommitmentResult:
    return CommitmentResult(row.transaction_uid, found.committed, found.all_failed)
