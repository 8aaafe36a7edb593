"""The metadata job with a reader that ends the process on some files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from isocenter.core.dicom.json_model import job
from isocenter.core.dicom.json_model.document import Document

job._INSTANCE_S = 6  # type: ignore[attr-defined]
_READ = job.dataset_json


def _full(self: Any, path: Path, stamp: str) -> None:
    raise OSError(28, "No space left on device")


def _ending(path: Path, **more: Any) -> Document:
    data = path.read_bytes()
    if b"crash" in data:
        os._exit(139)
    while b"slow" in data:
        pass
    if b"disk" in data:
        job.SeriesWriter.write = _full  # type: ignore[method-assign]
    if b"memory" in data:
        raise MemoryError
    return _READ(path, **more)


def run(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    job.dataset_json = _ending  # type: ignore[attr-defined]
    return job.run(request, progress)


def called(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    job.dataset_json = _ending  # type: ignore[attr-defined]
    return job.called(request)
