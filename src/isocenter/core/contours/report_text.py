"""A report as plain text, 100 characters wide or as wide as its longest cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isocenter.core.contours.report_values import (
    Cell,
    duration,
    facts,
    number,
    roi_table,
    sent,
    skipped,
)


def to_text(report: Mapping[str, Any]) -> str:
    """The report for a mail, a terminal, or a printer."""
    title = str(report.get("title") or "Run report")
    lines = [title, "=" * len(title), ""]
    if report.get("state"):
        lines.append(f"{'State':<12} {str(report['state']).upper()}")
    lines += [f"{name:<12} {value}" for name, value in facts(report)]
    lines += _error(report.get("error")) + _section("Warnings", report.get("warnings"))
    lines += _steps(report.get("steps") or ())
    for pair in report.get("pairs") or ():
        lines += _pair(pair)
    lines += _outputs(report.get("outputs") or ()) + _deliveries(report.get("deliveries") or ())
    if report.get("disclaimer"):
        lines += ["", str(report["disclaimer"])]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _section(title: str, items: Sequence[Any] | None) -> list[str]:
    if not items:
        return []
    return ["", title, "-" * len(title), *(f"- {item}" for item in items)]


def _error(error: Mapping[str, Any] | None) -> list[str]:
    if not error:
        return []
    lines = ["", "Error", "-----", str(error.get("message", ""))]
    return lines + [f"    {line}" for line in str(error.get("trace") or "").splitlines()]


def _steps(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    if not steps:
        return []
    rows = [
        [
            str(step.get("name", "")),
            str(step.get("state", "")),
            duration(step.get("seconds")),
            str(step.get("message") or ""),
        ]
        for step in steps
    ]
    table = _table([("Step", False), ("State", False), ("Time", True), ("", False)], rows)
    notes = [f"- {s.get('name', '')}: {w}" for s in steps for w in s.get("warnings") or ()]
    return ["", "Steps", "-----", *table, *notes]


def _pair(pair: Mapping[str, Any]) -> list[str]:
    rois = pair.get("rois") or ()
    title = f"Contours on {pair.get('modality') or 'image'} series"
    lines = ["", title, "-" * len(title)]
    lines += [f"Series       {pair.get('series_uid', '–')}"]
    lines += [f"RTSTRUCT     {pair.get('rtstruct_uid', '–')}"]
    lines += _table(*roi_table(rois)) if rois else ["no ROI was drawn"]
    lines += [f"- {roi.get('name', '')}: {w}" for roi in rois for w in roi.get("warnings") or ()]
    lines += [f"- {warning}" for warning in pair.get("warnings") or ()]
    return lines + [f"- left out: {sentence}" for sentence in skipped(pair)]


def _outputs(outputs: Sequence[Mapping[str, Any]]) -> list[str]:
    if not outputs:
        return []
    rows = [
        [
            str(item.get("kind", "")),
            str(item.get("role") or ""),
            number(item.get("count", 1)),
            str(item.get("path") or item.get("sop_uid") or ""),
        ]
        for item in outputs
    ]
    columns = [("Kind", False), ("What", False), ("Files", True), ("Where", False)]
    return ["", "Outputs", "-------", *_table(columns, rows)]


def _deliveries(deliveries: Sequence[Mapping[str, Any]]) -> list[str]:
    if not deliveries:
        return []
    rows = [
        [
            str(item.get("node", "")),
            str(item.get("state", "")),
            sent(item),
            str(item.get("message") or ""),
        ]
        for item in deliveries
    ]
    columns = [("Node", False), ("State", False), ("Instances", True), ("", False)]
    return ["", "Deliveries", "----------", *_table(columns, rows)]


def _table(columns: Sequence[Cell], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [
        max([len(title), *(len(row[place]) for row in rows)])
        for place, (title, _) in enumerate(columns)
    ]

    def line(cells: Sequence[str]) -> str:
        parts = (
            f"{cell:>{width}}" if right else f"{cell:<{width}}"
            for cell, width, (_, right) in zip(cells, widths, columns, strict=True)
        )
        return "  ".join(parts)

    return [line([title for title, _ in columns]), *(line(row) for row in rows)]
