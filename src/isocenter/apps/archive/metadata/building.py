"""Making the documents of series: in child processes, because files come from outside.

In the background in a process of its own, with low priority; for somebody who waits in a warm one.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from procrastinate.exceptions import AlreadyEnqueued

from isocenter.apps.archive.metadata import store
from isocenter.apps.archive.metadata.stamps import SeriesNow, series_now
from isocenter.apps.archive.models import Instance
from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.json_model import MARK
from isocenter.core.dicom.uids import safe_path_component
from isocenter.core.errors import (
    ChildBusy,
    ChildError,
    ChildFailed,
    ChildMemoryExceeded,
    ChildTimeout,
)
from isocenter.core.isolation import Limits, run_isolated
from isocenter.core.isolation.pool import ChildPool

log = structlog.get_logger(__name__)

_JOB = "isocenter.core.dicom.json_model.job"
_INSTANCES_AT_ONCE = 4000  # per child; about a millisecond each
_MEMORY_BYTES = 2 << 30
_TIMEOUT_S = 120.0
_INSTANCE_S = 0.25  # more time for each
_CRASHES = 4  # files of one child that may end it, before we give up
_NICE = 10
_PROCESSES = 2  # at once, of this process
_WAIT_S = 60.0
_CURRENT = "current"
_AT_ONCE = threading.BoundedSemaphore(_PROCESSES)
_LOCKS = [threading.Lock() for _ in range(64)]


def want(study_uid: str) -> None:
    """Have a study's documents made soon; called as often as one likes."""
    from isocenter.apps.archive.jobs import build_metadata

    # Not the UID as it came: with a line break in it the queue cannot tell a lock that is held.
    lock = f"metadata {safe_path_component(study_uid)}"
    job = build_metadata.configure(queueing_lock=lock, lock=lock)
    try:
        with transaction.atomic():  # a refused row must not undo what the caller does
            job.defer(study_uid=study_uid)
    except AlreadyEnqueued:
        pass


def build_study(study_uid: str) -> int:
    """Make what a study lacks, in the background.

    Returns:
        how many documents were made.

    Raises:
        OSError: the disk takes no more.
        ChildError: a file that ends every process that reads it, or no process was free in time.
    """
    lacking = [series for series in series_now(study_uid) if not store.is_there(series)]
    made = 0
    for group in _groups(lacking):
        with _lock(study_uid), _child_folder() as folder:
            made += _build(group, folder)
    return made


def made(series: SeriesNow) -> BinaryIO:
    """The document of a series, made and kept. Whoever asks at the same time waits for it.

    What changed meanwhile may be in it; then it is not kept.

    Returns:
        the open file.

    Raises:
        OSError, ChildError: as above.
    """
    with _lock(series.study_uid, series.series_uid):
        if store.is_there(series):
            with contextlib.suppress(FileNotFoundError):  # deleted since
                return store.file_of(series.study_uid, series.series_uid).open("rb", buffering=0)
        with _child_folder() as folder:
            out = folder / "0.meta"
            _in_child([_order(series, _items(series), out)], folder, is_urgent=True)
            file = out.open("rb", buffering=0)
            store.put(out, series)
            return file


@contextmanager
def single(series: SeriesNow, sop_uid: str) -> Iterator[Path]:
    """A document of one instance, which is gone afterwards.

    Raises:
        OSError, ChildError: as above.
    """
    with _child_folder() as folder:
        items = _items(series, sop_uid)
        out = folder / "0.meta"
        _in_child([_order(series, items, out)], folder, is_urgent=True)
        yield out


@contextmanager
def _lock(*names: str) -> Iterator[None]:
    lock = _LOCKS[zlib.crc32(" ".join(names).encode("utf-8", "replace")) % len(_LOCKS)]
    if not lock.acquire(timeout=_WAIT_S):
        raise ChildBusy("this metadata is being read", hint="ask again in a few seconds")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _child_folder() -> Iterator[Path]:
    root: Path = settings.LAYOUT.metadata
    root.mkdir(mode=0o700, exist_ok=True)
    _clear_leftovers(root)
    if not _AT_ONCE.acquire(timeout=_WAIT_S):
        raise ChildBusy("other metadata is being read", hint="ask again in a few seconds")
    try:
        with tempfile.TemporaryDirectory(prefix=".work-", dir=root) as folder:
            yield Path(folder)
    finally:
        _AT_ONCE.release()


def _clear_leftovers(root: Path) -> None:
    """Work folders of processes that were killed."""
    oldest = time.time() - 24 * 3600
    for folder in root.glob(".work-*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder)


def _groups(lacking: Sequence[SeriesNow]) -> Iterator[list[SeriesNow]]:
    group: list[SeriesNow] = []
    for series in lacking:
        if group and sum(each.instances for each in [*group, series]) > _INSTANCES_AT_ONCE:
            yield group
            group = []
        group.append(series)
    if group:
        yield group


def _build(group: Sequence[SeriesNow], folder: Path) -> int:
    outs = [folder / f"{number}.meta" for number in range(len(group))]
    orders = [_order(series, _items(series), out) for series, out in zip(group, outs, strict=True)]
    _in_child(orders, folder, is_urgent=False)
    return sum(store.put(out, series) for series, out in zip(group, outs, strict=True))


def _order(series: SeriesNow, items: list[dict[str, Any]], out: Path) -> dict[str, Any]:
    return {"out": str(out), "stamp": series.stamp, "instances": items}


def _items(series: SeriesNow, sop_uid: str = "") -> list[dict[str, Any]]:
    archive: Path = settings.LAYOUT.archive
    found = Instance.objects.filter(series_id=series.key)
    if sop_uid:
        found = found.filter(sop_uid=sop_uid)
    found = found.order_by(F("instance_number").asc(nulls_last=True), "sop_uid")
    above = f"{MARK}/studies/{_written(series.study_uid)}/series/{_written(series.series_uid)}"
    return [
        {
            "path": str(archive / path),
            "sop_uid": uid,
            "bulk_uri": f"{above}/instances/{_written(uid)}/bulkdata/",
            "known": {
                str(0x00080016): ("UI", sop_class),
                str(0x00080018): ("UI", uid),
                str(0x0020000D): ("UI", series.study_uid),
                str(0x0020000E): ("UI", series.series_uid),
            },
            "refuse": "",
        }
        for uid, sop_class, path in found.values_list("sop_uid", "sop_class_uid", "path")
    ]


def _written(uid: str) -> str:
    """In a URI; what came as a UID may be none."""
    return quote(uid, safe="")


def _in_child(orders: Sequence[dict[str, Any]], folder: Path, *, is_urgent: bool) -> None:
    """Make the files, without the instances that end the process."""
    limits = settings.ISOCENTER.limits
    bounds = Bounds(
        max_depth=limits.max_depth,
        max_elements=limits.max_elements,
        max_instance_bytes=limits.max_instance_mb << 20,
    )
    request = {
        "series": list(orders),
        "bounds": asdict(bounds),
        "nice": 0 if is_urgent else _NICE,
        "current": str(folder / _CURRENT),
    }
    timeout_s = _TIMEOUT_S + _INSTANCE_S * sum(len(order["instances"]) for order in orders)
    for attempt in range(_CRASHES):
        try:
            result = _called(request, folder, timeout_s, is_urgent)
        except ChildError as error:
            _raise_if_disk(error)
            culprit = _culprit(orders, folder)
            if culprit is None or culprit["refuse"] or attempt == _CRASHES - 1:
                raise
            culprit["refuse"] = _sentence(error)
            log.warning("metadata_refused", sop_uid=culprit["sop_uid"], reason=str(error)[:200])
            continue
        _tell(result)
        return


def _called(
    request: Mapping[str, Any], folder: Path, timeout_s: float, is_urgent: bool
) -> Mapping[str, Any]:
    if is_urgent:
        return _pool().call(f"{_JOB}:called", request, timeout_s=timeout_s).result
    limits = Limits(memory_bytes=_MEMORY_BYTES, timeout_s=timeout_s)
    return run_isolated(f"{_JOB}:run", request, work_dir=folder, limits=limits)


@cache
def _pool() -> ChildPool:
    limits = Limits(memory_bytes=_MEMORY_BYTES, timeout_s=_TIMEOUT_S)
    return ChildPool(_PROCESSES, limits, preload=(_JOB, "pydicom.datadict"), wait_s=_WAIT_S)


def _tell(result: Mapping[str, Any]) -> None:
    for damage in result["damaged"][:20]:
        log.warning("metadata_incomplete", sop_uid=damage["sop_uid"], reason=damage["reason"])


def _raise_if_disk(error: ChildError) -> None:
    """No file is to blame where the document cannot be written."""
    if isinstance(error, ChildFailed) and error.kind == "OSError":
        raise OSError(errno.ENOSPC, "the metadata cannot be written") from error


def _culprit(orders: Sequence[dict[str, Any]], folder: Path) -> dict[str, Any] | None:
    """The instance that was at work."""
    try:
        series, instance = map(int, (folder / _CURRENT).read_bytes().split())
        culprit: dict[str, Any] = orders[series]["instances"][instance]
    except (OSError, ValueError, IndexError):
        return None
    return culprit


def _sentence(error: ChildError) -> str:
    if isinstance(error, ChildTimeout):
        return "reading it takes too long"
    if isinstance(error, ChildMemoryExceeded):
        return "reading it needs too much memory"
    return "the reader failed on it"
