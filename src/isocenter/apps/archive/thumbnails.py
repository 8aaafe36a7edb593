"""Small pictures of series: asked for when a study is quiet, rendered once, in the background.

``thumbnails/<study>/`` holds a PNG per series and ``index.json``: per Series Instance UID what
came of it. A series is rendered again only when instances came since; a failure is kept with its
reason and not tried again before that.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q
from procrastinate.exceptions import AlreadyEnqueued

from isocenter.apps.archive.models import Instance, Series, Study
from isocenter.apps.archive.picture_rules import (
    NO_PICTURE,
    SECONDARY_CAPTURE,
    may_name_patient,
)
from isocenter.apps.archive.thumbnail_files import Index, file_of, folder_of, read_index
from isocenter.core.dicom.uids import safe_path_component
from isocenter.core.errors import NotFound


@dataclass(frozen=True)
class Thumbnail:
    """What there is to show of a series.

    Attributes:
        state: ``ready``; ``pending``: comes later; ``failed``; ``none``: the series has no image;
            ``hidden``: it may name the patient, and the viewer may not know who that is.
        reason: why it failed; a sentence.
        path: the PNG; set if and only if it is ready.
        version: changes with the picture.
    """

    state: str
    reason: str = ""
    path: Path | None = None
    version: str = ""


def thumbnails(
    study: Study, *, identified: bool, series_uids: Collection[str] = ()
) -> dict[str, Thumbnail]:
    """The thumbnails of a study's series, by Series Instance UID.

    Args:
        identified: whether the viewer may know whose study it is.
        series_uids: only these; empty: all.
    """
    index = read_index(study.study_uid)
    rows = _series(study)
    if series_uids:
        rows = rows.filter(series_uid__in=series_uids)
    found = {}
    for row in rows:
        thumbnail = _thumbnail(study, row, index)
        if not identified and _may_name_patient(row, index):
            thumbnail = replace(thumbnail, path=None, state="hidden", version="")
        found[row.series_uid] = thumbnail
    return found


def thumbnail(study_uid: str, series_uid: str, *, identified: bool) -> Thumbnail:
    """The thumbnail of one series.

    Raises:
        NotFound: no such study or series is here.
    """
    study = Study.objects.filter(study_uid=study_uid).first()
    found = thumbnails(study, identified=identified, series_uids=[series_uid]) if study else {}
    if series_uid not in found:
        raise NotFound(f"no series {series_uid} is in study {study_uid}")
    return found[series_uid]


def want(study_uid: str) -> None:
    """Have a study's thumbnails rendered soon; called as often as one likes."""
    from isocenter.apps.archive.jobs import render_thumbnails

    # Not the UID as it came: with a line break in it the queue cannot tell a lock that is held.
    lock = f"thumbnails {safe_path_component(study_uid)}"
    job = render_thumbnails.configure(queueing_lock=lock, lock=lock)
    try:
        with transaction.atomic():  # a refused row must not undo what the caller does
            job.defer(study_uid=study_uid)
    except AlreadyEnqueued:
        pass


def is_lacking(study: Study) -> bool:
    """Whether a picture is missing or old, in a study that is not coming in any more."""
    if study.state == Study.State.RECEIVING:
        return False
    index = read_index(study.study_uid)
    return any(_is_due(row, index) for row in _series(study))


def forget(study_uid: str) -> None:
    """Remove a study's thumbnails."""
    shutil.rmtree(folder_of(study_uid), ignore_errors=True)


def due(study: Study) -> list[dict[str, Any]]:
    """The series to be rendered, as `core.thumbnails.job` wants them, with what the index keeps."""
    index = read_index(study.study_uid)
    return [
        {
            "key": row.series_uid,
            "paths": [str(settings.LAYOUT.archive / path) for path in _candidates(row)],
            "newest": row.newest.isoformat(),
        }
        for row in _series(study)
        if _is_due(row, index)
    ]


def _series(study: Study) -> Any:
    """Series with what is asked of them: newest receipt, images, Secondary Capture."""
    is_capture = Q(instances__sop_class_uid__startswith=SECONDARY_CAPTURE)
    return Series.objects.filter(study=study).annotate(
        newest=Max("instances__received_at"),
        height=Max("instances__rows"),
        capture=Max("instances__sop_class_uid", filter=is_capture),
    )


def _thumbnail(study: Study, row: Any, index: Index) -> Thumbnail:
    if not _has_image(row):
        return Thumbnail("none")
    entry = index.get(row.series_uid)
    if entry is None:
        return Thumbnail("pending")
    if entry["reason"]:
        return Thumbnail("failed", reason=entry["reason"])
    path = file_of(study.study_uid, row.series_uid)
    return Thumbnail("ready", path=path, version=_version(entry))


def _version(entry: Mapping[str, Any]) -> str:
    digits = "".join(filter(str.isdigit, str(entry["newest"])))
    return digits[:20]


def _has_image(row: Any) -> bool:
    return bool(row.height) and row.modality not in NO_PICTURE


def _is_due(row: Any, index: Index) -> bool:
    if not _has_image(row) or row.newest is None:
        return False
    entry = index.get(row.series_uid)
    return entry is None or datetime.fromisoformat(entry["newest"]) < row.newest


def _may_name_patient(row: Any, index: Index) -> bool:
    entry = index.get(row.series_uid)
    by_kind = may_name_patient(row.modality, row.capture or "")
    return by_kind or bool(entry is not None and entry["burned_in"])


def _candidates(row: Series) -> list[str]:
    """Paths of the instance in the middle, then of the first and the last."""
    images = Instance.objects.filter(series=row, rows__gt=0).order_by("instance_number", "sop_uid")
    paths = list(images.values_list("path", flat=True))
    if not paths:
        return []
    wanted = (paths[len(paths) // 2], paths[0], paths[-1])
    return list(dict.fromkeys(wanted))
