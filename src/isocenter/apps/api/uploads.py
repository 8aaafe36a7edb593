"""Uploads: files into the spool, as if they had been received."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from django.http import HttpRequest
from ninja import File, Router, UploadedFile
from pydantic import Field

from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import actor, needs
from isocenter.apps.api.schemas import PageOf, Row, with_problems
from isocenter.apps.archive import services

router = Router(tags=["uploads"])


class Note(Row):
    """A file in a ZIP that was not taken."""

    name: str
    reason: str


class UploadRow(Row):
    """What became of one file."""

    name: str
    outcome: str = Field(
        description="`accepted`: durable; `skipped`: nothing for us in it; `failed`"
    )
    instances: int
    study_uids: list[str] = Field(description="ingest indexes them within seconds")
    reason: str
    notes: list[Note]


@router.post("/uploads", response=with_problems(PageOf[UploadRow]), auth=needs(Right.UPLOAD))
def upload(request: HttpRequest, file: File[list[UploadedFile]]) -> Any:
    """Take DICOM files, or ZIPs of them, in. What is accepted is durable when this answers."""
    found = [
        # Django's files are streams in all but name.
        services.take_upload(cast(BinaryIO, each), each.name or "", actor=actor(request))
        for each in file
    ]
    return {"items": [item.as_json() for item in found], "next": None}
