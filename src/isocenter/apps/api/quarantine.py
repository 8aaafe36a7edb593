"""Quarantine: what could not be done."""

from __future__ import annotations

import tempfile
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from django.http import FileResponse, HttpRequest
from django.utils import timezone
from ninja import Query, Router
from pydantic import Field

from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import actor, needs
from isocenter.apps.api.paging import newest_first
from isocenter.apps.api.schemas import Moment, PageOf, Paging, Row, with_problems
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.routing import queries, rows, services
from isocenter.apps.routing.models import QuarantineItem

router = Router(tags=["quarantine"])

ItemKind = Literal["instance", "run", "delivery"]
ItemState = Literal["held", "retrying", "resolved", "released", "deleted"]


class ItemRow(Row):
    """Something that is held."""

    id: str
    kind: str
    state: str
    study_uid: str
    sop_uid: str
    run: str | None
    node: str | None
    source: str = Field(description="who sent an instance")
    reason: str
    attempts: int
    size: int
    first_at: Moment
    last_at: Moment


class ItemDetail(ItemRow):
    """With what is kept for it."""

    trace: str
    files: list[str]


class ItemFilter(Paging):
    """Which items; without a state those that are held or retried."""

    kind: list[ItemKind] = Field([], description="given several times: any of them")
    state: list[ItemState] = Field([], description="given several times: any of them")
    study_uid: str = Field("", max_length=255)
    reason: str = Field("", max_length=255, description="a part of it")
    min_age_days: int = Field(0, ge=0, le=36500, description="since it was first held")
    min_attempts: int = Field(0, ge=0, le=1 << 30)

    def wanted(self) -> queries.QuarantineFilter:
        """As routing is asked."""
        age = timedelta(days=self.min_age_days)
        return queries.QuarantineFilter(
            kinds=tuple(self.kind),
            states=tuple(self.state),
            reason=self.reason,
            study_uid=self.study_uid,
            first_before=timezone.now() - age if age else None,
            attempts=self.min_attempts,
        )


@router.get("/quarantine", response=with_problems(PageOf[ItemRow]), auth=needs(Right.VIEW))
def list_items(request: HttpRequest, given: Query[ItemFilter]) -> Any:
    """What is in quarantine, the newest first."""
    items = QuarantineItem.objects.select_related("delivery")
    found = queries.matching_items(items, given.wanted())
    return newest_first(found, "last_at", given, rows.quarantine_row, key=uuid.UUID)


@router.get("/quarantine/{item_id}", response=with_problems(ItemDetail), auth=needs(Right.VIEW))
def get_item(request: HttpRequest, item_id: str) -> Any:
    """One item, by its id or the beginning of it, with its trace and its files' names."""
    item = queries.quarantine_item(item_id)
    return rows.quarantine_row(item) | {
        "trace": item.trace,
        "files": queries.quarantined_files(item),
    }


@router.get(
    "/quarantine/{item_id}/export",
    response=with_problems(bytes),
    auth=needs(Right.QUARANTINE, Right.VIEW_IDENTIFIED),
    openapi_extra={"responses": {200: {"content": {"application/zip": {}}}}},
)
def export_item(request: HttpRequest, item_id: str) -> Any:
    """What is kept for an item, as a ZIP. It names the patient: `view-identified` is needed."""
    item = queries.quarantine_item(item_id)
    with tempfile.TemporaryDirectory(prefix="export-", dir=settings.LAYOUT.quarantine) as folder:
        target = Path(folder, "item.zip")
        services.export_quarantined(item.pk, target)
        stream = target.open("rb")  # lives on without its name
    record(
        Kind.STUDY_DOWNLOADED,
        study_uid=item.study_uid,
        actor=actor(request),
        quarantine=str(item.pk),
    )
    return FileResponse(
        stream,
        content_type="application/zip",
        as_attachment=True,
        filename=f"quarantine-{item.pk}.zip",
    )


@router.post(
    "/quarantine/{item_id}/retry", response=with_problems(ItemRow), auth=needs(Right.QUARANTINE)
)
def retry_item(request: HttpRequest, item_id: str) -> Any:
    """Try again: the run from where it failed, the delivery with what is left, the instance."""
    return rows.quarantine_row(services.retry_quarantined(item_id, actor=actor(request)))


@router.post(
    "/quarantine/{item_id}/release", response=with_problems(ItemRow), auth=needs(Right.QUARANTINE)
)
def release_item(request: HttpRequest, item_id: str) -> Any:
    """Let a run or a delivery go: nothing more is done, its copies here are removed."""
    return rows.quarantine_row(services.release_quarantined(item_id, actor=actor(request)))


@router.delete("/quarantine/{item_id}", response=with_problems(ItemRow), auth=needs(Right.DELETE))
def delete_item(request: HttpRequest, item_id: str) -> Any:
    """Remove an item and what is kept for it. For an instance that is its only copy."""
    return rows.quarantine_row(services.delete_quarantined(item_id, actor=actor(request)))
