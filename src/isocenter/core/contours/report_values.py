"""How values of a report are written, the same in the page and in the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

Cell = tuple[str, bool]
"""A value and whether it is a number (set to the right)."""

ROI_COLUMNS: Sequence[Cell] = (
    ("No.", True),
    ("ROI", False),
    ("Type", False),
    ("Contours", True),
    ("Slices", True),
    ("Voxels", True),
    ("Area cm²", True),
    ("Volume ml", True),
    ("Polygon ml", True),
    ("From mm", True),
    ("To mm", True),
)


def number(value: Any, digits: int = 0) -> str:
    """A number with thousands separated by thin groups, or a dash."""
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return "–" if value in (None, "") else str(value)
    return f"{value:,.{digits}f}".replace(",", "\u202f")


def duration(seconds: Any) -> str:
    """Seconds as ``0.84 s``, ``12.3 s`` or ``3 min 12 s``."""
    if not isinstance(seconds, (int, float)):
        return "–"
    if seconds >= 60:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


def moment(value: Any) -> str:
    """An ISO 8601 time without fractions of a second."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    try:
        return datetime.fromisoformat(str(value)).isoformat(sep=" ", timespec="seconds")
    except ValueError:
        return str(value) if value else "–"


def roi_row(roi: Mapping[str, Any]) -> list[str]:
    """An ROI's cells under `ROI_COLUMNS`."""
    return [
        number(roi.get("number")),
        str(roi.get("name") or "–"),
        str(roi.get("type") or "–"),
        number(roi.get("contours")),
        number(roi.get("planes")),
        number(roi.get("voxels")),
        number(roi.get("area_cm2"), 2),
        number(roi.get("volume_ml"), 3),
        number(roi.get("polygon_volume_ml"), 3),
        number(roi.get("min_plane_mm"), 1),
        number(roi.get("max_plane_mm"), 1),
    ]


def roi_table(rois: Sequence[Mapping[str, Any]]) -> tuple[list[Cell], list[list[str]]]:
    """Columns and rows for ROIs; columns that nobody fills are left out."""
    rows = [roi_row(roi) for roi in rois]
    filled = [i for i in range(len(ROI_COLUMNS)) if i < 2 or any(row[i] != "–" for row in rows)]
    return [ROI_COLUMNS[i] for i in filled], [[row[i] for i in filled] for row in rows]


def facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values for the head of a report, those that are there."""
    run, study, sender = (report.get(k) or {} for k in ("run", "study", "sender"))
    modalities = study.get("modalities")
    if isinstance(modalities, (list, tuple)):
        modalities = ", ".join(str(m) for m in modalities)
    sent_by = " at ".join(str(sender[k]) for k in ("ae_title", "address") if sender.get(k))
    rows = [
        ("Study", study.get("study_uid")),
        ("Modalities", modalities),
        ("Series", study.get("series")),
        ("Instances", study.get("instances")),
        ("Revision", run.get("revision")),
        ("Sender", sent_by),
        ("Route", run.get("route")),
        ("Pipeline", run.get("pipeline")),
        ("Run", run.get("id")),
        ("Started", moment(run["started_at"]) if run.get("started_at") else None),
        ("Finished", moment(run["finished_at"]) if run.get("finished_at") else None),
        ("Duration", duration(report["seconds"]) if report.get("seconds") is not None else None),
        ("Isocenter", run.get("version")),
    ]
    return [(name, str(value)) for name, value in rows if value not in (None, "", [], ())]


def skipped(pair: Mapping[str, Any]) -> list[str]:
    """ROIs that were left out, as sentences; items are texts, pairs, or name and reason."""
    sentences = []
    for item in pair.get("skipped_rois") or pair.get("skipped") or ():
        if isinstance(item, Mapping):
            sentences.append(f"{item.get('name', '')}: {item.get('reason', '')}")
        elif isinstance(item, (list, tuple)):
            sentences.append(": ".join(str(part) for part in item))
        else:
            sentences.append(str(item))
    return sentences


def sent(delivery: Mapping[str, Any]) -> str:
    """``12 of 12`` instances."""
    if delivery.get("total") is None:
        return number(delivery.get("sent"))
    return f"{number(delivery.get('sent', 0))} of {number(delivery['total'])}"
