"""Documents of series in a child process: JSON in, JSON out (see ``core.isolation``).

A file names the instance at work, so that whoever started the process knows at what it ended.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.json_model.document import Document, dataset_json, minimal_json
from isocenter.core.dicom.json_model.series_file import SeriesWriter
from isocenter.core.errors import BoundsError, DicomError
from isocenter.core.isolation.limits import Progress

_INSTANCE_S: float = 20  # one of a thousand bytes takes a millisecond, the largest some seconds
_TOO_LONG = "reading it takes too long"


def run(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Writes a file for each series.

    Request: ``series``: objects with ``out`` (the file), ``stamp``, and ``instances``: objects
    with ``path``, ``sop_uid``, ``bulk_uri``, ``known`` (tag → [VR, text], tags as decimal text)
    and ``refuse`` (why it is not to be opened at all; empty); ``bounds``: fields of
    :class:`Bounds`; ``nice``: how much lower the priority is; ``current``: the file that names
    the instance at work, by the numbers of series and instance.

    Result: ``damaged``: objects with ``sop_uid`` and ``reason``.
    """
    os.nice(int(request.get("nice", 0)))
    bounds = Bounds(**request["bounds"]) if request.get("bounds") else DEFAULT_BOUNDS
    damaged = []
    with _current(request["current"]) as tell:
        for number, series in enumerate(request["series"]):
            progress(number / len(request["series"]), "")
            writer = SeriesWriter()
            for position, item in enumerate(series["instances"]):
                tell(number, position)
                document = _document(item, bounds)
                writer.add(item["sop_uid"], document)
                if document.damage:
                    damaged.append({"sop_uid": item["sop_uid"], "reason": document.damage})
            writer.write(Path(series["out"]), series["stamp"])
    return {"damaged": damaged}


def called(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The same in a process that is warm (see ``core.isolation.pool``)."""
    return run(request, _unheard), b""


def _unheard(_fraction: float, _message: str) -> None:
    """Nobody asks how far it is."""


class _Teller:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, series: int, instance: int) -> None:
        os.pwrite(self._descriptor, b"%10d %10d\n" % (series, instance), 0)


@contextmanager
def _current(path: str) -> Iterator[_Teller]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        yield _Teller(descriptor)
    finally:
        os.close(descriptor)


def _document(item: dict[str, Any], bounds: Bounds) -> Document:
    known = {int(tag): (vr, text) for tag, (vr, text) in item["known"].items()}
    if item["refuse"]:
        return minimal_json(known, item["refuse"])
    try:
        with _time_limit():
            return dataset_json(
                Path(item["path"]), bulk_uri=item["bulk_uri"], known=known, bounds=bounds
            )
    except DicomError as error:
        return minimal_json(known, str(error))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return minimal_json(known, f"the file cannot be read: {reason}")
    except MemoryError:
        return minimal_json(known, "reading it needs too much memory")


@contextmanager
def _time_limit() -> Iterator[None]:
    """Python code that takes longer is interrupted."""
    before = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, _INSTANCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise BoundsError(_TOO_LONG)
