"""The report of a run: what was done to a study, as a page, as text, and as JSON.

A report is a plain mapping; every key may be absent::

    {
      "title": "RT overlay",
      "state": "done",                        # done, failed, cancelled, …
      "error": {"message": "…", "trace": "…"},
      "run": {"id", "route", "pipeline", "revision", "started_at", "finished_at", "version"},
      "study": {"study_uid", "modalities", "series", "instances"},
      "sender": {"ae_title", "address"},
      "seconds": 12.3,
      "steps": [{"name", "state", "started_at", "seconds", "message", "warnings": []}],
      "pairs": [{"series_uid", "rtstruct_uid", "modality", "warnings": [],
                 "skipped_rois": [{"name", "reason"}],
                 "rois": [{"number", "name", "type", "contours", "planes", "voxels", "volume_ml",
                           "polygon_volume_ml", "area_cm2", "min_plane_mm", "max_plane_mm",
                           "colour", "warnings": []}]}],
      "outputs": [{"kind", "role", "path", "count", "sop_uid"}],
      "deliveries": [{"node", "state", "sent", "total", "message"}],
      "warnings": ["…"],
      "disclaimer": "…",
    }

Times are ISO 8601. Nothing that names a patient belongs into it: keys that do are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from isocenter.core.contours.report_html import to_html
from isocenter.core.contours.report_text import to_text
from isocenter.core.errors import ConfigurationError

__all__ = ["FORMATS", "to_html", "to_json", "to_text", "write_report"]

Report = Mapping[str, Any]
#: format → ending of the file
FORMATS: Mapping[str, str] = {"html": ".html", "json": ".json", "text": ".txt"}

_IDENTIFYING = {
    "patientname",
    "patientid",
    "patientbirthdate",
    "patient",
    "accessionnumber",
    "referringphysicianname",
}


def to_json(report: Report) -> str:
    """The mapping itself, indented, in the order in which it was made."""
    return json.dumps(report, ensure_ascii=False, indent=2, default=str) + "\n"


def write_report(
    report: Report, folder: Path, stem: str, formats: Sequence[str] = tuple(FORMATS)
) -> list[Path]:
    """Write a report in several formats and return the files.

    Args:
        report: see the module.
        folder: made when it is not there.
        stem: file name without ending.
        formats: of `FORMATS`.

    Raises:
        ConfigurationError: an unknown format, or a key that names a patient.
    """
    for name in formats:
        if name not in FORMATS:
            raise ConfigurationError(
                f"no report format {name!r}", hint=f"one of {', '.join(FORMATS)}"
            )
    for key in _keys(report):
        if key.replace("_", "").casefold() in _IDENTIFYING:
            raise ConfigurationError(f"a report must not hold {key!r}")
    makers = {"html": to_html, "json": to_json, "text": to_text}
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in formats:
        path = folder / f"{stem}{FORMATS[name]}"
        path.write_text(makers[name](report), encoding="utf-8")
        written.append(path)
    return written


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _keys(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _keys(inner)
