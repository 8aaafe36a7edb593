"""What people do with quarantine: retry, release, export, delete."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import zipfile
from pathlib import Path

from django.db import transaction

from isocenter.apps.audit import services as audit
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.routing import queries, run_control
from isocenter.apps.routing.models import QuarantineItem
from isocenter.apps.routing.quarantining import OPEN, close, folder_of
from isocenter.core.errors import ConfigurationError, RoutingError

_State = QuarantineItem.State
_Kind = QuarantineItem.Kind


def retry(item_id: uuid.UUID | str, *, actor: str = "") -> QuarantineItem:
    """Try again: the run from where it failed, the delivery with what is left, the instance anew.

    Raises:
        NotFound: no such item.
        RoutingError: it is not held, or cannot be tried again.
    """
    item = _held(item_id)
    with transaction.atomic():
        item.state = _State.RETRYING
        item.save(update_fields=["state", "last_at"])
        audit.record(
            Kind.QUARANTINE_RETRIED,
            study_uid=item.study_uid,
            actor=actor,
            quarantine=str(item.pk),
        )
        if item.kind == _Kind.RUN and item.run is not None:
            run_control.retry_run(item.run.pk, actor=actor)
        elif item.kind == _Kind.DELIVERY and item.delivery is not None:
            run_control.retry_delivery(item.delivery)
    if item.kind == _Kind.INSTANCE:
        _take_in(item)
    item.refresh_from_db()
    return item


def release(item_id: uuid.UUID | str, *, actor: str = "") -> QuarantineItem:
    """Let a run or a delivery go: nothing more is done about it, its kept copies are removed.

    The received instances stay in the archive and the outputs with their run. An instance cannot
    be released, because the quarantine has its only copy: retry or delete it.

    Raises:
        NotFound: no such item.
        RoutingError: it is over, or an instance.
    """
    item = _open(item_id)
    if item.kind == _Kind.INSTANCE:
        raise RoutingError(
            "the quarantine has the only copy of this instance, so it cannot be let go",
            hint="retry it, or export and delete it",
        )
    close(item, _State.RELEASED, Kind.RELEASED, actor=actor)
    return item


def delete(item_id: uuid.UUID | str, *, actor: str = "") -> QuarantineItem:
    """Remove an item and what is kept for it. For an instance that is its only copy.

    Raises:
        NotFound: no such item.
        RoutingError: it is over already.
    """
    item = _open(item_id)
    close(item, _State.DELETED, Kind.QUARANTINE_DELETED, actor=actor)
    return item


def export(item_id: uuid.UUID | str, target: Path) -> int:
    """Copy what is kept for an item into a new folder, or a ZIP file when the name ends so.

    Returns:
        how many files.

    Raises:
        NotFound: no such item.
        ConfigurationError: something is at the target already.
        RoutingError: nothing is kept for it any more.
    """
    item = queries.quarantine_item(item_id)
    folder = folder_of(item)
    if not folder.is_dir():
        raise RoutingError(f"nothing is kept for {item.pk}: it is {item.state}")
    if target.exists():
        raise ConfigurationError(f"{target} exists already", hint="name a new folder or file")
    target.parent.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    # Under a passing name until it is whole, so that half an export is never taken for one.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as passing:
        draft = Path(passing, "content")
        if target.suffix.lower() == ".zip":
            with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for path in files:
                    archive.write(path, path.relative_to(folder))
        else:
            shutil.copytree(folder, draft)
        draft.rename(target)
    return len(files)


def _take_in(item: QuarantineItem) -> None:
    """Put an instance through the ingest again; held again with its reason if that fails."""
    # Archive and routing know each other; this one call goes against the stream of imports.
    from isocenter.apps.archive import services as archive

    files = list(folder_of(item).glob("*.dcm"))
    if not files:
        _hold_again(item)
        raise RoutingError(f"the file of {item.pk} is gone", hint="delete the item")
    try:
        verdict = archive.take_in(files[0], source=item.source, sop_uid=item.sop_uid)
    except BaseException:
        _hold_again(item)
        raise
    # What is refused again has been put back into this very item by the ingest.
    if not verdict.is_in_quarantine:
        close(item, _State.RESOLVED, Kind.RELEASED)


def _hold_again(item: QuarantineItem) -> None:
    QuarantineItem.objects.filter(pk=item.pk).update(state=_State.HELD)


def _held(item_id: uuid.UUID | str) -> QuarantineItem:
    item = queries.quarantine_item(item_id)
    if item.state != _State.HELD:
        raise RoutingError(f"{item.pk} is {item.state}, not held")
    return item


def _open(item_id: uuid.UUID | str) -> QuarantineItem:
    item = queries.quarantine_item(item_id)
    if item.state not in OPEN:
        raise RoutingError(f"{item.pk} is {item.state} already")
    return item
