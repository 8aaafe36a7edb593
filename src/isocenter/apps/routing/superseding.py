"""What a newer run made anew is not sent any more where it still waits to be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from isocenter.apps.audit import services as audit
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.routing import artifacts, quarantining
from isocenter.apps.routing.models import Artifact, Delivery, DeliveryItem, Run

_WAITING = (Delivery.State.QUEUED, Delivery.State.WAITING)
_UNFINISHED = (*_WAITING, Delivery.State.SENDING, Delivery.State.FAILED)


def drop_unsent(superseded: Sequence[Artifact], newer: Run) -> None:
    """Take superseded artifacts out of deliveries, in the caller's transaction.

    A delivery that is at work ends by itself and finds them dropped; one that waits with nothing
    left to send ends here, and one in quarantine needs nobody any more.
    """
    root = Path(settings.LAYOUT.root)
    paths = {str(artifacts.absolute(item).relative_to(root)) for item in superseded}
    if not paths:
        return
    deliveries = Delivery.objects.select_for_update().filter(
        study=newer.study, state__in=_UNFINISHED
    )
    for delivery in deliveries.order_by("pk"):
        unsent = (DeliveryItem.State.PENDING, DeliveryItem.State.REFUSED)
        dropped = delivery.items.filter(path__in=paths, state__in=unsent).update(
            state=DeliveryItem.State.SUPERSEDED, note=f"made anew by run {newer.pk}"
        )
        if dropped and not delivery.items.filter(state__in=unsent).exists():
            _end(delivery)


def reason(delivery: Delivery) -> str:
    """Why a delivery ended with less than it was to send; empty where nothing was dropped."""
    count = delivery.items.filter(state=DeliveryItem.State.SUPERSEDED).count()
    if not count:
        return ""
    files = "1 file" if count == 1 else f"{count} files"
    return f"{files} not sent: a newer run of the study made them anew"


def outcome(delivery: Delivery) -> Delivery.State:
    """Done where something was sent, cancelled where all was dropped before."""
    was_sent = delivery.items.filter(state=DeliveryItem.State.SENT).exists()
    return Delivery.State.DONE if was_sent else Delivery.State.CANCELLED


def _end(delivery: Delivery) -> None:
    if delivery.state == Delivery.State.SENDING:
        return
    was_failed = delivery.state == Delivery.State.FAILED
    delivery.state, delivery.reason = outcome(delivery), reason(delivery)
    delivery.finished_at, delivery.next_attempt_at = timezone.now(), None
    delivery.save()
    audit.record(
        Kind.SENDING_SUCCESS if delivery.state == Delivery.State.DONE else Kind.SENDING_FAILED,
        study_uid=delivery.study.study_uid,
        run=str(delivery.run_id),
        delivery=delivery.pk,
        node=delivery.node_name,
        reason=delivery.reason,
    )
    if was_failed:
        quarantining.resolve_delivery(delivery)
