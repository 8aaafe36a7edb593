"""What the study page hands out of a run: outputs, pictures, reports; and sending them again."""

from __future__ import annotations

import mimetypes
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils.http import content_disposition_header

from isocenter.apps.accounts.rights import Principal, Right
from isocenter.core.errors import NotFound

_CHUNK = 1 << 20
_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
_REPORTS = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class OutputFile:
    """A file that a run made, and what one has to be allowed to get it."""

    path: Path
    kind: str
    size: int
    tag: str
    content_type: str
    rights: tuple[Right, ...]

    @property
    def is_picture(self) -> bool:
        return self.content_type.startswith("image/")


def output(study_uid: str, output_id: int) -> OutputFile:
    """An output of a study.

    Raises:
        NotFound: the study has no such output, or its file is gone.
    """
    from isocenter.apps.routing.models import Artifact

    made = Artifact.objects.filter(study__study_uid=study_uid, pk=output_id).first()
    path = Path(settings.LAYOUT.runs, made.path) if made else None
    if made is None or path is None or not path.is_file():
        raise NotFound(f"study {study_uid} has no output {output_id}")
    content_type = _PICTURES.get(path.suffix.lower(), "") if made.kind == "preview" else ""
    rights: tuple[Right, ...] = ()
    if not content_type:
        content_type = "application/dicom" if made.sop_uid else _guess(path)
        # DICOM objects carry the patient module of their source; the other formats do not.
        rights = (Right.DOWNLOAD, *((Right.VIEW_IDENTIFIED,) if made.sop_uid else ()))
    if made.domain and not content_type.startswith("image/"):
        # Beside the study here, what left of it says who a pseudonym is.
        rights = (Right.DOWNLOAD, Right.REIDENTIFY)
    tag = f'"{made.digest[:32]}"'
    return OutputFile(path, made.kind, path.stat().st_size, tag, content_type, rights)


def pieces(path: Path) -> Iterator[bytes]:
    """A file, a megabyte at a time."""
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            yield piece


def report(study_uid: str, run_id: uuid.UUID, suffix: str) -> tuple[bytes, str]:
    """A run's report and its content type.

    Raises:
        NotFound: there is none.
    """
    from isocenter.apps.routing.models import Run

    run = Run.objects.filter(study__study_uid=study_uid, pk=run_id).first()
    for place in run.reports if run else ():
        path = Path(place)
        if path.suffix == f".{suffix}" and suffix in _REPORTS:
            try:
                return path.read_bytes(), _REPORTS[suffix]
            except OSError:
                break
    raise NotFound(f"run {run_id} has no report as {suffix}")


def retry(study_uid: str, delivery_id: int, principal: Principal) -> str:
    """Send a study's delivery again; returns the node's name.

    Raises:
        NotAllowed: it was begun by hand, and its node is not open to who asks.
        NotFound: the study has no such delivery.
        RoutingError: it is at work already.
    """
    from isocenter.apps.audit.kinds import Kind
    from isocenter.apps.audit.services import record
    from isocenter.apps.routing.models import Delivery
    from isocenter.apps.routing.services import require_repeat, retry_delivery

    row = Delivery.objects.filter(study__study_uid=study_uid, pk=delivery_id).first()
    if row is None:
        raise NotFound(f"study {study_uid} has no delivery {delivery_id}")
    require_repeat(principal, row.run, row)
    with transaction.atomic():
        retry_delivery(row)
        record(
            Kind.SENDING_RETRY,
            study_uid=study_uid,
            actor=principal.name,
            run=str(row.run_id),
            node=row.node_name,
            by_hand=True,
        )
    return row.node_name


def disposition(name: str) -> str:
    """For a file that is saved, not shown."""
    return content_disposition_header(True, name) or "attachment"


def _guess(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"
