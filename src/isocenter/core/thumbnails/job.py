"""Thumbnails in a child process: JSON in, JSON out (see ``core.isolation``).

What is done is written down at once, so that nothing is lost when a decoder ends the process:
``results.jsonl`` has a line per series that is over, ``current`` names the one at work. Both are
in the child's working directory.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from isocenter.core.errors import DicomError
from isocenter.core.isolation.limits import Progress
from isocenter.core.thumbnails.picture import SIZE, render

RESULTS = "results.jsonl"
CURRENT = "current"
_NICE = 10


def run(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Renders one picture for each series.

    Request: ``series``: objects with ``key``, ``paths`` (instances, the most wanted first; the
    next is tried where one cannot be read) and ``out`` (a PNG file to be made); ``size``: longest
    side in pixels.

    Result: ``results``: objects with ``key``, ``reason`` (empty where the picture was made) and
    ``burned_in``.
    """
    os.nice(_NICE)  # reception and runs go first
    size = int(request.get("size", SIZE))
    results = []
    with Path(RESULTS).open("a", encoding="utf-8") as lines:
        for number, item in enumerate(request["series"]):
            Path(CURRENT).write_text(item["key"], encoding="utf-8")
            progress(number / len(request["series"]), "")
            results.append(_one(item, size))
            lines.write(json.dumps(results[-1]) + "\n")
            lines.flush()
    Path(CURRENT).unlink(missing_ok=True)
    return {"results": results}


def _one(item: dict[str, Any], size: int) -> dict[str, Any]:
    reason = "the series has no image"
    for number, path in enumerate(item["paths"]):
        try:
            rendered = render(Path(path), size=size)
            rendered.image.save(item["out"], format="PNG", optimize=True)
        except (DicomError, OSError) as error:
            # The first instance was wanted most: what it says is what a person wants to know.
            reason = reason if number else _sentence(error)
            continue
        return {"key": item["key"], "reason": "", "burned_in": rendered.burned_in}
    return {"key": item["key"], "reason": reason, "burned_in": False}


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"the file cannot be read: {error.strerror or type(error).__name__}"
    return str(error)
