"""From a deliver step to deliveries: one per node, one item per file that is to go there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from isocenter.apps.archive import queries as archive
from isocenter.apps.archive.models import Study
from isocenter.apps.routing import artifacts, leaving
from isocenter.apps.routing.models import Artifact, Delivery, DeliveryItem, Run
from isocenter.apps.routing.pipelines import RETURN_TO_SENDER
from isocenter.apps.routing.schedule import schedule_delivery
from isocenter.apps.routing.steps.base import Order, StepRefused
from isocenter.apps.transfers import queries as transfers
from isocenter.apps.transfers.models import Node
from isocenter.core.errors import IsocenterError


@dataclass(frozen=True)
class _File:
    path: str  # relative to the data directory
    sop_uid: str
    digest: str


def order(run: Run, wanted: Order) -> str:
    """Make the deliveries of a run, in the caller's transaction.

    Returns:
        a sentence that says what goes where.

    Raises:
        StepRefused: no such node, one that is switched off, or a sender that is no node; nothing
            identified may leave by the route; a file is not the one that was searched.
    """
    if wanted.verified is None and leaving.is_strict(run):
        raise StepRefused(f"nothing identified may leave by the route {run.route_name}")
    names = wanted.nodes or tuple(run.definition.get("destinations", ()))
    if not names:
        return "no destination: nothing is sent"
    sentences = []
    for name in dict.fromkeys(names):
        node = resolve(name, run.study)
        files = _files(run, wanted, only_dicom=node.kind == Node.Kind.DIMSE)
        if not files:
            sentences.append(f"nothing to send to {name}")
            continue
        new, before = _deliver(run, name, node, files)
        if wanted.verified is not None:
            new += _give_back(run, name, files)
        text = f"{new} files to {name}"
        sentences.append(f"{text} ({before} are there already)" if before else text)
    return "; ".join(sentences)


def resolve(name: str, study: Study) -> Node:
    """The node of a name, or the one that sent the study.

    Raises:
        StepRefused: there is none, or it is switched off.
    """
    try:
        node = _sender(study) if name == RETURN_TO_SENDER else transfers.node(name)
    except IsocenterError as error:
        raise StepRefused(str(error)) from error
    if not node.enabled:
        raise StepRefused(f"the node {node.name} is switched off")
    return node


def _sender(study: Study) -> Node:
    source = study.source
    if source is None or source.kind != "dimse" or not source.calling_ae_title:
        raise StepRefused("return-to-sender: the study was not sent by a DICOM system")
    node = transfers.node_for_source(source)
    if node is None:
        raise StepRefused(
            f"return-to-sender: not exactly one node has the AE title {source.calling_ae_title} "
            f"(sender at {source.address}), so the port is not known",
            hint=f"isocenter nodes add NAME --ae-title {source.calling_ae_title} --host … --port …",
        )
    return node


def _files(run: Run, wanted: Order, *, only_dicom: bool) -> list[_File]:
    if wanted.verified is not None:
        return _searched(run, wanted.verified, only_dicom=only_dicom)
    files: list[_File] = []
    if wanted.what in ("derived", "all"):
        made = artifacts.outputs_of(run)
        if wanted.kinds:
            made = made.filter(kind__in=wanted.kinds)
        if only_dicom:
            made = made.exclude(sop_uid="")
        files += [_artifact_file(item) for item in made]
    if wanted.what in ("originals", "all"):
        root = settings.LAYOUT.root
        files += [
            _File(str(item.path.relative_to(root)), item.sop_uid, item.digest)
            for item in archive.inputs(run.revision)
        ]
    return files


def _searched(run: Run, verified: Mapping[int, str], *, only_dicom: bool) -> list[_File]:
    """After ``deidentify``: what was searched and nothing else."""
    made = {item.pk: item for item in artifacts.outputs_of(run).exclude(domain="")}
    for key, digest in verified.items():
        if key not in made or made[key].digest != digest:
            raise StepRefused("an artifact is not the one that was searched")
    found = [made[key] for key in sorted(verified)]
    return [_artifact_file(item) for item in found if item.sop_uid or not only_dicom]


def _artifact_file(item: Artifact) -> _File:
    path = artifacts.absolute(item).relative_to(settings.LAYOUT.root)
    return _File(str(path), item.sop_uid, item.digest)


def _deliver(run: Run, name: str, node: Node, files: Sequence[_File]) -> tuple[int, int]:
    """Make a delivery, or add to it; how many items are to be sent, how many are there already."""
    target = {"node": node.name}
    delivery, _ = Delivery.objects.select_for_update().get_or_create(
        run=run, node_name=name, defaults={"study": run.study, "target": target}
    )
    present = set(delivery.items.values_list("path", flat=True))
    sent = _sent_before(run, node.name, [item.digest for item in files])
    items = [
        DeliveryItem(
            delivery=delivery,
            sop_uid=item.sop_uid,
            path=item.path,
            digest=item.digest,
            **sent.get((item.sop_uid, item.digest), {}),
        )
        for item in files
        if item.path not in present
    ]
    DeliveryItem.objects.bulk_create(items)
    delivery.target = target
    waiting = delivery.items.filter(state=DeliveryItem.State.PENDING).count()
    if delivery.state != Delivery.State.SENDING:
        delivery.state = Delivery.State.QUEUED
        delivery.attempts, delivery.reason = 0, ""
        delivery.next_attempt_at = delivery.finished_at = None
    delivery.cancel_requested = False
    delivery.save()
    schedule_delivery(delivery.pk, run.priority)
    return waiting, len(files) - waiting


def _give_back(run: Run, name: str, files: Sequence[_File]) -> int:
    """Files that were refused before they were searched anew are to be sent after all."""
    refused = DeliveryItem.objects.filter(
        delivery__run=run,
        delivery__node_name=name,
        path__in=[item.path for item in files],
        state=DeliveryItem.State.REFUSED,
    )
    return refused.update(state=DeliveryItem.State.PENDING, status=None, note="")


def _sent_before(
    run: Run, node: str, digests: Sequence[str]
) -> dict[tuple[str, str], dict[str, object]]:
    """What earlier runs of the study have sent there: the same bytes are not sent again."""
    rows = (
        DeliveryItem.objects.filter(
            delivery__study=run.study,
            delivery__target__node=node,
            digest__in=set(digests),
            state=DeliveryItem.State.SENT,
        )
        .exclude(delivery__run=run)
        .select_related("delivery")
        .order_by("sent_at")
    )
    return {
        (row.sop_uid, row.digest): {
            "state": DeliveryItem.State.SENT,
            "status": row.status,
            "sent_at": row.sent_at,
            "note": f"sent before, by run {row.delivery.run_id}",
        }
        for row in rows
    }
