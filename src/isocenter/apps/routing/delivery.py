"""Sending what a delivery still has to send, and deciding what comes next."""

from __future__ import annotations

import random
import socket
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from isocenter.apps.audit import services as audit
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.routing import committing, leaving, quarantining, run_report, superseding
from isocenter.apps.routing.leases import Heartbeat, Lease, LeaseLost, expiry
from isocenter.apps.routing.models import Delivery, DeliveryItem
from isocenter.apps.routing.schedule import schedule_delivery
from isocenter.apps.routing.slots import Slots, slots
from isocenter.apps.transfers import queries as transfers
from isocenter.apps.transfers.models import Node
from isocenter.apps.transfers.services import Parcel, Receipt, send_parcels
from isocenter.core.errors import IsocenterError, NotFound
from isocenter.core.network.requestor import useful_associations

log = structlog.get_logger(__name__)
NO_SLOT_WAIT_S = 0.5
FLUSH_EVERY_S = 1.0
FLUSH_ITEMS = 64
JITTER = 0.2
_DUE = Q(state=Delivery.State.QUEUED) | Q(state=Delivery.State.SENDING, lease_until__lt=Now())


def send(delivery_id: int) -> None:
    """Do one attempt at a delivery. Does nothing when it is over, not due, or somebody's."""
    delivery = Delivery.objects.filter(pk=delivery_id).select_related("run").first()
    if delivery is None:
        return
    name = delivery.target.get("node", delivery.node_name)
    try:
        node = transfers.node(name)
    except NotFound as error:
        _without_node(delivery, str(error))
        return
    with slots(node.name, node.max_associations) as held:
        if held.take():
            _attempt(delivery, node, held)
            return
    if delivery.state in (Delivery.State.QUEUED, Delivery.State.WAITING):
        wait = NO_SLOT_WAIT_S * (1 + random.random())  # noqa: S311 -- spreads, hides nothing
        schedule_delivery(
            delivery.pk, delivery.run.priority, at=timezone.now() + timedelta(seconds=wait)
        )


def wait_before(attempt: int) -> timedelta:
    """How long to wait after a failed attempt (1, 2, …): doubling, with jitter, bounded."""
    rules = settings.ISOCENTER.delivery
    base = min(rules.first_wait_s * 2.0 ** min(attempt - 1, 60), rules.max_wait_s)
    return timedelta(seconds=base * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311


def _claim(delivery_id: int) -> Lease | None:
    lease = Lease(Delivery, delivery_id, uuid.uuid4())
    waited = Q(state=Delivery.State.WAITING, next_attempt_at__lte=Now() + timedelta(seconds=1))
    taken = Delivery.objects.filter(_DUE | waited, pk=delivery_id).update(
        state=Delivery.State.SENDING, lease_token=lease.token, lease_until=expiry()
    )
    return lease if taken else None


def _attempt(delivery: Delivery, node: Node, held: Slots) -> None:
    lease = _claim(delivery.pk)
    if lease is None:
        return
    try:
        with Heartbeat(lease) as heartbeat:
            _Sending(lease, heartbeat, node, held).go()
    except LeaseLost:
        log.warning("lease_lost", delivery=delivery.pk)


def _without_node(delivery: Delivery, reason: str) -> None:
    lease = _claim(delivery.pk)
    if lease is not None:
        _give_up(lease, reason)


class _Sending:
    """One attempt; ``held`` has one slot of the node already."""

    def __init__(self, lease: Lease, heartbeat: Heartbeat, node: Node, held: Slots) -> None:
        self._lease = lease
        self._heartbeat = heartbeat
        self._node = node
        self._held = held
        self._row = Delivery.objects.select_related("run", "study").get(pk=lease.key)
        self._receipts: list[tuple[DeliveryItem, Receipt]] = []
        self._flushed = time.monotonic()
        self._items: dict[Path, DeliveryItem] = {}

    def go(self) -> None:
        why = leaving.forbidden(self._row.run)
        if why:
            _give_up(self._lease, f"{self._row.node_name}: {why}")
            return
        items = list(self._row.items.filter(state=DeliveryItem.State.PENDING).order_by("pk"))
        problem = self._send(items) if items else ""
        if self._heartbeat.is_lost:
            raise LeaseLost(str(self._lease.key))
        self._conclude(problem)

    def _send(self, items: Sequence[DeliveryItem]) -> str:
        """Send; why not everything went, or empty."""
        if not self._node.enabled:
            return f"the node {self._node.name} is switched off"
        items = self._without_refused(items)
        if not items:
            return ""
        root = Path(settings.LAYOUT.root)
        self._items = {root / item.path: item for item in items}
        parcels = [Parcel(path, item.sop_uid) for path, item in self._items.items()]
        _record(self._row, Kind.SENDING_START, files=len(items), attempt=self._row.attempts + 1)
        problem = ""
        try:
            send_parcels(
                self._node,
                parcels,
                self._receive,
                must_stop=self._heartbeat.must_stop,
                associations=self._associations(),
            )
        except IsocenterError as error:
            problem = str(error)
        except OSError as error:
            problem = f"{error.strerror or error} ({error.filename or self._node.name})"
        if not self._heartbeat.is_lost:
            self._flush()
        return problem

    def _without_refused(self, items: Sequence[DeliveryItem]) -> Sequence[DeliveryItem]:
        """What may be sent; the rest is refused for good."""
        refused = leaving.not_as_searched(self._row.run, items)
        self._receipts += [
            (item, Receipt(False, True, None, refused[item.pk]))
            for item in items
            if item.pk in refused
        ]
        self._flush()
        return [item for item in items if item.pk not in refused]

    def _associations(self) -> int:
        """How many to use: as many as these files are worth and nobody else has, or waits for."""
        if self._node.kind != Node.Kind.DIMSE:
            return 1
        useful = useful_associations(list(self._items), self._node.max_associations)
        # They are held to the end (none is released before all is answered), so they are not
        # taken from deliveries that could begin now.
        others = Delivery.objects.filter(
            Q(target__node=self._node.name)
            | Q(target__node__isnull=True, node_name=self._node.name),
            state=Delivery.State.QUEUED,
        ).exclude(pk=self._row.pk)
        if useful == 1 or others.exists():
            return 1
        return 1 + self._held.take(useful - 1)

    def _receive(self, parcel: Parcel, receipt: Receipt) -> None:
        self._receipts.append((self._items[parcel.path], receipt))
        if len(self._receipts) >= FLUSH_ITEMS or time.monotonic() - self._flushed >= FLUSH_EVERY_S:
            self._flush()

    def _flush(self) -> None:
        receipts, self._receipts = self._receipts, []
        self._flushed = time.monotonic()
        if not receipts:
            return
        now = timezone.now()
        for item, receipt in receipts:
            item.status, item.note = receipt.status, receipt.note
            if receipt.is_sent:
                item.state, item.sent_at = DeliveryItem.State.SENT, now
            elif receipt.is_permanent:
                item.state = DeliveryItem.State.REFUSED
        with self._lease.guard():
            DeliveryItem.objects.bulk_update(
                [item for item, _ in receipts], ["state", "status", "note", "sent_at"]
            )

    def _conclude(self, problem: str) -> None:
        if self._heartbeat.is_cancelled:
            _end(self._lease, Delivery.State.CANCELLED, "cancelled")
            return
        states = list(self._row.items.values_list("state", flat=True))
        pending = states.count(DeliveryItem.State.PENDING)
        refused = states.count(DeliveryItem.State.REFUSED)
        if pending:
            self._try_again(problem or self._why(DeliveryItem.State.PENDING), pending)
        elif refused:
            why = self._why(DeliveryItem.State.REFUSED)
            _give_up(
                self._lease,
                f"{self._row.node_name}: {refused} of {len(states)} refused for good: {why}",
            )
        else:
            self._commit()

    def _commit(self) -> None:
        """Everything is sent; done is what the node keeps, where it is asked for that."""
        step = committing.next_step(self._row, self._node)
        if self._heartbeat.is_lost:
            raise LeaseLost(str(self._lease.key))
        if step.problem:
            left = self._row.items.filter(state=DeliveryItem.State.PENDING).count()
            self._try_again(step.problem, left)
        elif step.wait_until is not None:
            with self._lease.guard() as row:
                committing.wait(row, step.wait_until)
        else:
            left_out = superseding.reason(self._row)
            state = superseding.outcome(self._row) if left_out else Delivery.State.DONE
            _end(self._lease, state, left_out)

    def _why(self, state: DeliveryItem.State) -> str:
        notes = self._row.items.filter(state=state).exclude(note="").values_list("note", flat=True)
        return "; ".join(dict.fromkeys(notes[:1000])) or "the peer did not answer"

    def _try_again(self, problem: str, pending: int) -> None:
        attempts = self._row.attempts + 1
        if attempts >= settings.ISOCENTER.delivery.attempts:
            _give_up(
                self._lease,
                f"{self._row.node_name}: given up after {attempts} attempts, "
                f"{pending} files left: {problem}",
            )
            return
        at = timezone.now() + wait_before(attempts)
        with self._lease.guard() as row:
            row.state = Delivery.State.WAITING
            row.attempts = attempts
            row.next_attempt_at = at
            row.reason = problem
            row.lease_token = row.lease_until = None
            row.save()
            _record(row, Kind.SENDING_RETRY, attempt=attempts, reason=problem, left=pending)
            schedule_delivery(row.pk, row.run.priority, at=at)


def _give_up(lease: Lease, reason: str) -> None:
    # Together, so that a crash between the two cannot leave a failure that nobody sees.
    with transaction.atomic():
        _end(lease, Delivery.State.FAILED, reason)
        quarantining.quarantine_delivery(Delivery.objects.get(pk=lease.key))


def _end(lease: Lease, state: Delivery.State, reason: str) -> None:
    with lease.guard() as row:
        row.state, row.reason = state, reason
        if state != Delivery.State.CANCELLED:
            row.attempts += 1
        row.finished_at = timezone.now()
        row.next_attempt_at = row.lease_token = row.lease_until = None
        row.cancel_requested = False
        row.save()
        if state == Delivery.State.DONE:
            quarantining.resolve_delivery(row)
            _record(row, Kind.SENDING_SUCCESS, files=row.items.count())
        else:
            _record(row, Kind.SENDING_FAILED, reason=reason)
        transaction.on_commit(partial(_report, row.run_id))


def _report(run_id: uuid.UUID) -> None:
    """Write the run's report anew once its last delivery is over."""
    if Delivery.objects.filter(run=run_id, finished_at__isnull=True).exists():
        return
    try:
        run_report.write(run_id)
    except OSError as error:
        log.warning("report_not_written", run=str(run_id), error=str(error))


def _record(row: Delivery, kind: Kind, **detail: Any) -> None:
    audit.record(
        kind,
        study_uid=row.study.study_uid,
        run=str(row.run_id),
        delivery=row.pk,
        node=row.node_name,
        host=socket.gethostname(),
        **detail,
    )
