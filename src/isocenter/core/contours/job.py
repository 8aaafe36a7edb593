"""Drawing contours in a child process: JSON in, JSON out (see ``core.isolation``)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from isocenter.core.contours.convert import convert
from isocenter.core.contours.options import ContourOptions
from isocenter.core.contours.outputs.writer import Progress


def run(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Runs `convert`.

    Request: ``instances`` (or ``images`` and ``structure_sets``): paths, or objects with
    ``path`` and ``digest`` (SHA-256); ``options`` (`ContourOptions.to_json`); ``made_at``
    (ISO 8601); ``out_dir``; ``known``: determinants that exist already; ``version``: of the step.

    Result: ``summary`` (as ``summary.json``), and its ``pairs`` and ``problems``; ``outputs``:
    kind, role, path, sop_uid, series_uid, sop_class_uid, determinant, digest; ``reused``:
    determinants of `known` that still hold.

    Raises:
        IsocenterError: what `convert` raises.
    """
    paths, digests = inputs_of(request, ("instances", "images", "structure_sets"))
    summary = convert(
        paths,
        ContourOptions.from_json(request.get("options", {})),
        Path(request["out_dir"]),
        made_at=moment(request["made_at"]),
        known=frozenset(request.get("known", ())),
        digests=digests,
        version=str(request.get("version", "")),
        on_progress=progress,
    )
    said = summary.to_json()
    return {
        "summary": said,
        "pairs": said["pairs"],
        "problems": said["problems"],
        "outputs": [made.to_json() for made in summary.made],
        "reused": list(summary.reused),
    }


def inputs_of(request: dict[str, Any], keys: tuple[str, ...]) -> tuple[list[Path], dict[Path, str]]:
    """Paths of the inputs, and the digests that came with them."""
    paths: list[Path] = []
    digests: dict[Path, str] = {}
    for key in keys:
        for item in request.get(key, ()):
            path = Path(item if isinstance(item, str) else item["path"])
            paths.append(path)
            if not isinstance(item, str) and item.get("digest"):
                digests[path] = item["digest"]
    return paths, digests


def moment(text: str) -> datetime:
    """An aware time from ISO 8601; without a zone it is UTC's."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
