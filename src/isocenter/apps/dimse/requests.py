"""Commitments that we ask of nodes for our deliveries (PS3.4 annex J as SCU)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.dimse.models import CommitmentRequest as Row
from isocenter.apps.transfers import queries as transfers
from isocenter.apps.transfers.models import Node
from isocenter.core.errors import NotFound
from isocenter.core.network.commitment_client import request_commitment
from isocenter.core.network.commitment_data import CommitmentRequest, CommitmentResult, Reference

#: PS3.3 C.14.1.1 (Failure Reason), and what PS3.4 J adds.
_REASONS = {
    0x0110: "processing failure",
    0x0112: "it has no such instance",
    0x0119: "its instance has another SOP class",
    0x0122: "it does not support the SOP class",
    0x0131: "duplicate transaction UID",
    0x0213: "resource limitation",
}


@dataclass(frozen=True)
class Verdict:
    """What a node said of an instance when it was asked last.

    Attributes:
        asked_at: an instance that was sent after this was not asked for.
        reason: why it is not kept; empty: it is.
    """

    asked_at: datetime
    reason: str = ""


@dataclass(frozen=True)
class Standing:
    """How it stands with what a delivery has sent.

    Attributes:
        verdicts: by SOP instance UID.
        result_until: until when a result of the last request is waited for; None: for none.
    """

    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    result_until: datetime | None = None


def ask(node: Node, delivery_id: int, references: Sequence[Reference]) -> None:
    """Ask a node to commit to instances of a delivery; the result may come at once or later.

    Raises:
        NetworkError: it cannot be reached, or will not.
    """
    rules = settings.ISOCENTER.delivery
    request = CommitmentRequest(f"2.25.{uuid.uuid4().int}", tuple(references))
    now = timezone.now()
    # Kept before it is asked: the result may come before the answer.
    row = Row.objects.create(
        node_name=node.name,
        transaction_uid=request.transaction_uid,
        delivery_id=delivery_id,
        references=[[each.sop_class_uid, each.sop_instance_uid] for each in references],
        asked_at=now,
        expires_at=now + timedelta(seconds=rules.commitment_timeout_s),
    )
    try:
        result = request_commitment(
            transfers.peer_of(node), request, wait_s=rules.commitment_wait_s
        )
    except BaseException:
        Row.objects.filter(pk=row.pk, state=Row.State.ASKED).update(state=Row.State.SILENT)
        raise
    if result is not None:
        take_result([node.name], result)


def take_result(node_names: Sequence[str], result: CommitmentResult) -> None:
    """Note what a node says of one of our requests, and have its delivery look.

    Args:
        node_names: what we call who says it; several nodes may be one system.

    Raises:
        NotFound: nothing of the kind was asked of this node.
    """
    # Routing is asked, not written: deliveries are its own.
    from isocenter.apps.routing.services import wake_delivery

    with transaction.atomic():
        found = Row.objects.select_for_update().filter(
            node_name__in=node_names, transaction_uid=result.transaction_uid
        )
        row = found.first()
        if row is None:
            raise NotFound("nothing was asked of this node in this transaction")
        if row.state == Row.State.ANSWERED:
            return  # told twice
        kept = {each.sop_instance_uid for each in result.committed}
        failures = {each.sop_instance_uid: code for each, code in result.failed.items()}
        asked = [str(sop_uid) for _, sop_uid in row.references]
        # What it says nothing of, it does not keep.
        row.failures = {
            sop_uid: failures.get(sop_uid, 0x0110)
            for sop_uid in asked
            if sop_uid in failures or sop_uid not in kept
        }
        row.state, row.answered_at = Row.State.ANSWERED, timezone.now()
        row.save()
        record(
            Kind.COMMITMENT,
            node=row.node_name,
            direction="asked by us",
            outcome="not all kept" if row.failures else "kept",
            transaction_uid=row.transaction_uid,
            delivery=row.delivery_id,
            instances=len(asked),
            failed=len(row.failures),
        )
        wake_delivery(row.delivery_id)


def standing(delivery_id: int) -> Standing:
    """What is known of a delivery's instances, by the last request for each."""
    verdicts: dict[str, Verdict] = {}
    until: datetime | None = None
    for row in Row.objects.filter(delivery_id=delivery_id).order_by("asked_at", "pk"):
        if row.state == Row.State.ASKED:
            until = row.expires_at
        if row.state != Row.State.ANSWERED:
            continue
        for _, sop_uid in row.references:
            code = row.failures.get(sop_uid)
            reason = "" if code is None else reason_text(code)
            verdicts[str(sop_uid)] = Verdict(row.asked_at, reason)
    return Standing(verdicts, until)


def give_up_late(delivery_id: int) -> bool:
    """Wait no more for results whose time is over; whether there were any.

    One that comes all the same still counts.
    """
    late = Row.objects.filter(delivery_id=delivery_id, state=Row.State.ASKED)
    return bool(late.filter(expires_at__lte=timezone.now()).update(state=Row.State.SILENT))


def reason_text(code: int) -> str:
    """Why a node does not keep an instance."""
    known = _REASONS.get(code)
    return f"not committed: {known}" if known else f"not committed: reason {code:04X}H"
