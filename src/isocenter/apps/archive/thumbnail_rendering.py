"""Rendering what thumbnails a study lacks: in child processes, because codecs crash."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

from isocenter.apps.archive import thumbnails
from isocenter.apps.archive.models import Study
from isocenter.apps.archive.thumbnail_files import (
    Entry,
    file_of,
    folder_of,
    read_index,
    write_index,
)
from isocenter.core.errors import ChildError, ChildMemoryExceeded, ChildTimeout
from isocenter.core.isolation import Limits, run_isolated
from isocenter.core.thumbnails.job import CURRENT, RESULTS

log = structlog.get_logger(__name__)

_TARGET = "isocenter.core.thumbnails.job:run"
_AT_ONCE = 24  # series per child
_TIMEOUT_S = 120.0  # for all of them; one takes about 0.1 s
_MEMORY_BYTES = 2 << 30


def render(study_uid: str) -> int:
    """Render what a study lacks.

    Returns:
        how many pictures were made.

    Raises:
        OSError: the disk takes no more.
    """
    study = Study.objects.filter(study_uid=study_uid).first()
    if study is None:
        return 0
    waiting = thumbnails.due(study)
    made = 0
    settings.LAYOUT.thumbnails.mkdir(mode=0o700, exist_ok=True)
    _clear_leftovers()
    while waiting:
        with tempfile.TemporaryDirectory(prefix=".work-", dir=settings.LAYOUT.thumbnails) as folder:
            results = _in_child(waiting[:_AT_ONCE], Path(folder))
            made += _keep(study, waiting, results)
        over = {result["key"] for result in results}
        waiting = [item for item in waiting if item["key"] not in over]
    if not Study.objects.filter(pk=study.pk).exists():  # it was deleted meanwhile
        thumbnails.forget(study_uid)
    return made


def _clear_leftovers() -> None:
    """Work folders of processes that were killed."""
    oldest = time.time() - 10 * _TIMEOUT_S
    for folder in settings.LAYOUT.thumbnails.glob(".work-*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder)


def _in_child(items: Sequence[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """What came of these series, or of those up to the one that ended the child."""
    for number, item in enumerate(items):
        item["out"] = str(folder / f"{number}.png")
    limits = Limits(memory_bytes=_MEMORY_BYTES, timeout_s=_TIMEOUT_S)
    series = [{key: item[key] for key in ("key", "paths", "out")} for item in items]
    try:
        run_isolated(_TARGET, {"series": series}, work_dir=folder, limits=limits)
    except ChildError as error:
        results = _results(folder)
        culprit = _culprit(folder, items, results)
        log.warning("thumbnail_failed", series_uid=culprit, reason=str(error)[:200])
        return [*results, {"key": culprit, "reason": _sentence(error), "burned_in": False}]
    return _results(folder)


def _results(folder: Path) -> list[dict[str, Any]]:
    try:
        lines = (folder / RESULTS).read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _culprit(
    folder: Path, items: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]]
) -> str:
    """The series that was at work; the first that is not over where the child did not say."""
    over = {result["key"] for result in results}
    still = [str(item["key"]) for item in items if item["key"] not in over]
    try:
        current = (folder / CURRENT).read_text(encoding="utf-8")
    except FileNotFoundError:
        current = ""
    return current if current in still else still[0]


def _sentence(error: ChildError) -> str:
    if isinstance(error, ChildTimeout):
        return "decoding it took too long"
    if isinstance(error, ChildMemoryExceeded):
        return "decoding it needs too much memory"
    return "the decoder failed on it"


def _keep(study: Study, items: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]]) -> int:
    """Move pictures to their places, then write down what came of each."""
    index = read_index(study.study_uid)
    folder_of(study.study_uid).mkdir(parents=True, exist_ok=True, mode=0o700)
    by_key = {item["key"]: item for item in items}
    made = 0
    for result in results:
        item = by_key[result["key"]]
        if not result["reason"]:
            Path(item["out"]).replace(file_of(study.study_uid, item["key"]))
            made += 1
        index[item["key"]] = Entry(
            newest=item["newest"],
            reason=str(result["reason"])[:500],
            burned_in=bool(result["burned_in"]),
        )
    write_index(study.study_uid, index)
    return made
