"""Deliveries to nodes that are asked for Storage Commitment: sent is what they say they keep."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from isocenter.apps.routing.models import Delivery, DeliveryItem
from isocenter.apps.routing.schedule import schedule_delivery
from isocenter.apps.transfers.models import Node
from isocenter.core.dicom.reading import header_of
from isocenter.core.errors import DicomError, IsocenterError
from isocenter.core.network.commitment_data import MAX_REFERENCES, Reference


@dataclass(frozen=True)
class Step:
    """What comes next; all empty: everything is kept.

    Attributes:
        problem: why this attempt failed; the delivery's ordinary rules say when to try again.
        wait_until: nothing failed, and a result may come until then.
    """

    problem: str = ""
    wait_until: datetime | None = None


def next_step(row: Delivery, node: Node) -> Step:
    """Ask a node for what is not settled yet, and judge what it said.

    Instances that it does not keep are to be sent again: they are pending when this returns.
    """
    from isocenter.apps.dimse import services as dimse

    if node.kind != Node.Kind.DIMSE or not node.wants_commitment:
        return Step()
    if dimse.give_up_late(row.pk):
        limit = settings.ISOCENTER.delivery.commitment_timeout_s
        return Step(problem=f"no result of Storage Commitment within {limit:g} s")
    open_items = _judged(row)
    standing = dimse.standing(row.pk)
    if open_items and standing.result_until is None:
        problem = _ask(row, node, open_items)
        if problem:
            return Step(problem=problem)
        open_items = _judged(row)
        standing = dimse.standing(row.pk)
    if row.items.filter(state=DeliveryItem.State.PENDING).exists():
        return Step(problem=_why(row))
    if open_items and standing.result_until is not None:
        return Step(wait_until=standing.result_until)
    if open_items:
        return Step(problem="the node said nothing of some instances")
    return Step()


def commitment_of(row: Delivery) -> dict[str, Any]:
    """What the node said about keeping what it got; for people and the API.

    Returns:
        ``state``: empty where it was not asked, else ``asked``, ``committed``, ``refused`` (not
        all) or ``silent`` (no result in time); ``transactions``: their UIDs, the last one first.
    """
    asked = sorted(row.commitments.all(), key=lambda each: -each.pk)
    if not asked:
        return {"state": "", "transactions": []}
    state = {"asked": "asked", "silent": "silent"}.get(asked[0].state, "committed")
    if state == "committed" and asked[0].failures:
        state = "refused"
    return {"state": state, "transactions": [each.transaction_uid for each in asked]}


def wake(delivery_id: int) -> None:
    """A result is here: have the delivery look at it now. In the caller's transaction."""
    rows = Delivery.objects.select_for_update(of=("self",)).select_related("run")
    row = rows.filter(pk=delivery_id, state=Delivery.State.WAITING).first()
    if row is None:  # it is at work, and looks before it waits
        return
    row.next_attempt_at = timezone.now()
    row.save(update_fields=["next_attempt_at"])
    schedule_delivery(row.pk, row.run.priority)


def is_answered(row: Delivery) -> bool:
    """Whether no result is waited for any more; asked under the delivery's lock."""
    from isocenter.apps.dimse import services as dimse

    return dimse.standing(row.pk).result_until is None


def _judged(row: Delivery) -> list[DeliveryItem]:
    """Put back what is not kept; what the node has said nothing of since it was sent."""
    from isocenter.apps.dimse import services as dimse

    verdicts = dimse.standing(row.pk).verdicts
    sent = row.items.filter(state=DeliveryItem.State.SENT).exclude(sop_uid="")
    still_open, back = [], []
    for item in sent.order_by("pk"):
        verdict = verdicts.get(item.sop_uid)
        if verdict is None or (item.sent_at is not None and verdict.asked_at < item.sent_at):
            still_open.append(item)
        elif verdict.reason:
            item.state, item.note = DeliveryItem.State.PENDING, verdict.reason
            back.append(item)
    DeliveryItem.objects.bulk_update(back, ["state", "note"], batch_size=500)
    return still_open


def _ask(row: Delivery, node: Node, items: list[DeliveryItem]) -> str:
    """Ask for all of them; why that failed, or empty."""
    from isocenter.apps.dimse import services as dimse

    if not node.enabled:
        return f"the node {node.name} is switched off"
    references = list(dict.fromkeys(filter(None, map(_reference, items))))
    try:
        for start in range(0, len(references), MAX_REFERENCES):
            dimse.ask(node, row.pk, references[start : start + MAX_REFERENCES])
    except (IsocenterError, OSError) as error:
        return str(error)
    return "" if references else "the files that were sent are gone, so nothing can be asked"


def _reference(item: DeliveryItem) -> Reference | None:
    try:
        _, header = header_of(Path(settings.LAYOUT.root) / item.path)
    except (DicomError, OSError):
        return None
    return Reference(header.sop_class_uid, item.sop_uid)


def _why(row: Delivery) -> str:
    pending = row.items.filter(state=DeliveryItem.State.PENDING)
    notes = pending.exclude(note="").values_list("note", flat=True)[:1000]
    return "; ".join(dict.fromkeys(notes)) or "not committed"


def wait(row: Delivery, until: datetime) -> None:
    """Have a delivery wait for a result, under its lock and in the caller's transaction."""
    at = timezone.now() if is_answered(row) else until
    row.state, row.next_attempt_at = Delivery.State.WAITING, at
    row.reason = "sent; waits for the result of Storage Commitment"
    row.lease_token = row.lease_until = None
    row.save()
    schedule_delivery(row.pk, row.run.priority, at=at)
