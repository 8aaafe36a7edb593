"""Quarantine: what could not be done is kept with its reason until a person decides.

Files are kept under ``quarantine/<id>/`` as links where the file system has them, so that they
stay whatever happens to the archive. Nothing is ever evicted; the quota stops reception instead.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from isocenter.apps.archive import queries as archive
from isocenter.apps.archive import services as archive_services
from isocenter.apps.archive.models import Study
from isocenter.apps.audit import services as audit
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.routing import artifacts
from isocenter.apps.routing.files import file_digest, link_or_copy, sync_folder, sync_tree
from isocenter.apps.routing.models import Delivery, DeliveryItem, QuarantineItem, Run
from isocenter.core.dicom.uids import safe_path_component

log = structlog.get_logger(__name__)
OPEN = (QuarantineItem.State.HELD, QuarantineItem.State.RETRYING)
_ORPHAN_AGE_S = 3600.0


def folder_of(item: QuarantineItem) -> Path:
    """Where an item's files are."""
    return Path(settings.LAYOUT.quarantine, str(item.pk))


def quarantine_instance(
    path: Path,
    reason: str,
    *,
    study_uid: str = "",
    sop_uid: str = "",
    source: str = "",
    was_archived: bool = False,
) -> QuarantineItem:
    """Keep a copy of an instance that cannot be taken in, or that leaves the archive. The same
    bytes again count on.

    May be called in a transaction; the file is durable when this returns.
    """
    digest = file_digest(path)
    item = QuarantineItem.objects.filter(
        kind=QuarantineItem.Kind.INSTANCE, digest=digest, sop_uid=sop_uid, state__in=OPEN
    ).first()
    if item is None:
        item = QuarantineItem(
            kind=QuarantineItem.Kind.INSTANCE,
            study_uid=study_uid[:255],
            sop_uid=sop_uid[:255],
            source=source[:255],
            digest=digest,
        )
    else:
        item.attempts += 1
    item.was_archived = was_archived
    pairs = [(path, Path(f"{safe_path_component(sop_uid) if sop_uid else 'instance'}.dcm"))]
    return _keep(item, pairs, reason, "")


def quarantine_run(run: Run) -> QuarantineItem:
    """Keep inputs and outputs of a run that failed."""
    item = QuarantineItem.objects.filter(run=run, state__in=OPEN).first()
    if item is None:
        item = QuarantineItem(kind=QuarantineItem.Kind.RUN, run=run, study_uid=run.study.study_uid)
    else:
        item.attempts += 1
    return _keep(item, _files_of_run(run), run.reason, run.trace)


def quarantine_delivery(delivery: Delivery) -> QuarantineItem:
    """Keep what a delivery that was given up could not send."""
    item = QuarantineItem.objects.filter(delivery=delivery, state__in=OPEN).first()
    if item is None:
        item = QuarantineItem(
            kind=QuarantineItem.Kind.DELIVERY,
            delivery=delivery,
            run=delivery.run,
            study_uid=delivery.study.study_uid,
        )
    else:
        item.attempts += 1
    root = Path(settings.LAYOUT.root)
    unsent = delivery.items.exclude(state=DeliveryItem.State.SENT).order_by("pk")
    pairs = [
        (root / row.path, Path("unsent", f"{number:06d}-{_file_name(row)}"))
        for number, row in enumerate(unsent, start=1)
    ]
    return _keep(item, pairs, delivery.reason, "")


def resolve_run(run: Run) -> None:
    """A run is done: it, and runs on older revisions that it replaces, need nobody any more."""
    for item in QuarantineItem.objects.filter(
        kind=QuarantineItem.Kind.RUN,
        run__study=run.study,
        run__pipeline_name=run.pipeline_name,
        run__route_name=run.route_name,  # another route sends to other places
        run__revision__number__lte=run.revision.number,
        state__in=OPEN,
    ):
        close(item, QuarantineItem.State.RESOLVED, Kind.RELEASED)


def resolve_delivery(delivery: Delivery) -> None:
    """A delivery that was in quarantine is done."""
    for item in QuarantineItem.objects.filter(delivery=delivery, state__in=OPEN):
        close(item, QuarantineItem.State.RESOLVED, Kind.RELEASED)


def close(
    item: QuarantineItem, state: QuarantineItem.State, kind: Kind, *, actor: str = ""
) -> None:
    """End an item: its kept files go when the transaction is committed."""
    with transaction.atomic():
        item.state = state
        item.save()
        audit.record(
            kind,
            study_uid=item.study_uid,
            actor=actor,
            quarantine=str(item.pk),
            state=str(item.state),
        )
        transaction.on_commit(partial(_remove, folder_of(item)))
        transaction.on_commit(archive_services.write_receive_policy)


def delete_expired() -> int:
    """Delete what is older than the retention time, where one is set, and folders of no item."""
    days = settings.ISOCENTER.quarantine_days
    deleted = 0
    if days is not None:
        expired = QuarantineItem.objects.filter(
            ~Exists(Study.objects.filter(study_uid=OuterRef("study_uid"), protected=True)),
            state=QuarantineItem.State.HELD,
            last_at__lt=Now() - timedelta(days=days),
        )
        for item in expired[:100]:
            close(
                item,
                QuarantineItem.State.DELETED,
                Kind.QUARANTINE_DELETED,
                actor=f"retention of {days} days",
            )
            deleted += 1
    _remove_orphans()
    return deleted


def _keep(
    item: QuarantineItem, pairs: Iterable[tuple[Path, Path]], reason: str, trace: str
) -> QuarantineItem:
    folder = folder_of(item)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for source, name in pairs:
        try:
            link_or_copy(source, folder / name)
        except FileNotFoundError:
            log.warning("quarantine_file_gone", item=str(item.pk), path=str(source))
    item.reason, item.trace = reason, trace
    item.state = QuarantineItem.State.HELD
    item.path = folder.name
    _describe(item, folder)
    sync_tree(folder)
    sync_folder(folder.parent)  # its name too
    item.size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    with transaction.atomic():
        item.save()
        audit.record(
            Kind.QUARANTINED,
            study_uid=item.study_uid,
            quarantine=str(item.pk),
            kind_of=str(item.kind),
            reason=reason,
            attempts=item.attempts,
        )
        transaction.on_commit(archive_services.write_receive_policy)
    return item


def _describe(item: QuarantineItem, folder: Path) -> None:
    """The reason beside the files, for whoever finds them without the platform."""
    description = {
        "id": str(item.pk),
        "kind": str(item.kind),
        "reason": item.reason,
        "trace": item.trace,
        "study_uid": item.study_uid,
        "sop_uid": item.sop_uid,
        "source": item.source,
        "run": str(item.run_id) if item.run_id else None,
        "attempts": item.attempts,
    }
    draft = folder / ".item.json"
    draft.write_text(json.dumps(description, indent=2), encoding="utf-8")
    draft.replace(folder / "item.json")


def _files_of_run(run: Run) -> Iterator[tuple[Path, Path]]:
    for info in archive.inputs(run.revision):
        series = safe_path_component(info.series_uid)
        yield info.path, Path("originals", series, f"{safe_path_component(info.sop_uid)}.dcm")
    for made in artifacts.outputs_of(run):
        # Below runs/: <run>/<step>/<file>; the run is known here.
        yield artifacts.absolute(made), Path("outputs", *Path(made.path).parts[1:])


def _file_name(row: DeliveryItem) -> str:
    return f"{safe_path_component(row.sop_uid)}.dcm" if row.sop_uid else Path(row.path).name


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _remove_orphans() -> None:
    """Folders of a transaction that was rolled back: what is in them is in the spool or archive."""
    now = time.time()
    try:
        entries = list(os.scandir(settings.LAYOUT.quarantine))
    except FileNotFoundError:
        return
    old = {
        name: Path(entry.path)
        for entry in entries
        if (name := _as_uuid(entry.name)) and now - entry.stat().st_mtime > _ORPHAN_AGE_S
    }
    known = set(QuarantineItem.objects.filter(pk__in=list(old)).values_list("pk", flat=True))
    for key, folder in old.items():
        if key not in known:
            _remove(folder)


def _as_uuid(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(name)
    except ValueError:
        return None
