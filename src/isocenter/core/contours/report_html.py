"""A report as one HTML page that needs nothing else: no script, no file, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
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

_GOOD = {"done", "success", "succeeded", "delivered", "complete", "completed"}
_BAD = {"failed", "error", "gave_up", "quarantined", "refused"}


def to_html(report: Mapping[str, Any]) -> str:
    """The report for a browser; light and dark, and for paper."""
    template = Template((files(__package__) / "report_page.html").read_text(encoding="utf-8"))
    title = str(report.get("title") or "Run report")
    body = [
        _facts(report),
        _error(report.get("error")),
        _notes("Warnings", [str(w) for w in report.get("warnings") or ()]),
        _steps(report.get("steps") or ()),
        *(_pair(pair) for pair in report.get("pairs") or ()),
        _outputs(report.get("outputs") or ()),
        _deliveries(report.get("deliveries") or ()),
    ]
    return template.substitute(
        title=escape(title),
        state=_badge(report.get("state")),
        body="\n".join(part for part in body if part),
        disclaimer=escape(str(report.get("disclaimer") or "")),
    )


def _badge(state: Any) -> str:
    if not state:
        return ""
    word = str(state)
    kind = "good" if word.casefold() in _GOOD else "bad" if word.casefold() in _BAD else "plain"
    return f'<span class="badge {kind}">{escape(word)}</span>'


def _facts(report: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts(report)
    )
    return f'<dl class="facts card">{rows}</dl>' if rows else ""


def _error(error: Mapping[str, Any] | None) -> str:
    if not error:
        return ""
    trace = str(error.get("trace") or "")
    details = (
        f"<details><summary>Trace</summary><pre>{escape(trace)}</pre></details>" if trace else ""
    )
    message = escape(str(error.get("message", "")))
    return f'<section class="card failure"><h2>Error</h2><p>{message}</p>{details}</section>'


def _notes(title: str, notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    return f'<div class="notes">{heading}<ul>{items}</ul></div>'


def _section(title: str, content: str, aside: str = "") -> str:
    return f'<section class="card"><h2>{escape(title)}{aside}</h2>{content}</section>'


def _table(columns: Sequence[Cell], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already."""
    head = "".join(
        f'<th class="number">{escape(name)}</th>' if right else f"<th>{escape(name)}</th>"
        for name, right in columns
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="number">{cell}</td>' if right else f"<td>{cell}</td>"
            for cell, (_, right) in zip(row, columns, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _steps(steps: Sequence[Mapping[str, Any]]) -> str:
    if not steps:
        return ""
    longest = max((float(s.get("seconds") or 0) for s in steps), default=0.0) or 1.0
    rows = []
    for step in steps:
        share = 100 * float(step.get("seconds") or 0) / longest
        bar = f'<span class="bar"><i style="width:{share:.1f}%"></i></span>'
        rows.append(
            [
                escape(str(step.get("name", ""))),
                _badge(step.get("state")),
                escape(duration(step.get("seconds"))),
                bar,
                escape(str(step.get("message") or "")),
            ]
        )
    columns = [("Step", False), ("State", False), ("Time", True), ("", False), ("", False)]
    notes = [f"{s.get('name', '')}: {w}" for s in steps for w in s.get("warnings") or ()]
    return _section("Steps", _table(columns, rows) + _notes("", notes))


def _pair(pair: Mapping[str, Any]) -> str:
    rois = pair.get("rois") or ()
    aside = f"<small>{len(rois)} ROI{'' if len(rois) == 1 else 's'}</small>"
    uids = (
        f'<p class="uids">Series <code>{escape(str(pair.get("series_uid", "–")))}</code><br>'
        f"RTSTRUCT <code>{escape(str(pair.get('rtstruct_uid', '–')))}</code></p>"
    )
    columns, rows = roi_table(rois)
    table = _table(columns, [_roi_cells(roi, row) for roi, row in zip(rois, rows, strict=True)])
    notes = [f"{roi.get('name', '')}: {w}" for roi in rois for w in roi.get("warnings") or ()]
    notes += [str(warning) for warning in pair.get("warnings") or ()]
    content = uids + (table if rois else '<p class="muted">No ROI was drawn.</p>')
    content += _notes("Warnings", notes) + _notes("Left out", skipped(pair))
    return _section(f"Contours on {pair.get('modality') or 'image'} series", content, aside)


def _roi_cells(roi: Mapping[str, Any], row: Sequence[str]) -> list[str]:
    """The row with the ROI's colour before its name."""
    cells = [escape(cell) for cell in row]
    colour = roi.get("colour")
    if isinstance(colour, (list, tuple)) and len(colour) == 3:
        red, green, blue = (max(0, min(255, int(c))) for c in colour)
        cells[1] = f'<i class="swatch" style="background:rgb({red},{green},{blue})"></i>{cells[1]}'
    return cells


def _outputs(outputs: Sequence[Mapping[str, Any]]) -> str:
    if not outputs:
        return ""
    rows = [
        [
            escape(str(item.get("kind", ""))),
            escape(str(item.get("role") or "")),
            escape(number(item.get("count", 1))),
            f"<code>{escape(str(item.get('path') or item.get('sop_uid') or ''))}</code>",
        ]
        for item in outputs
    ]
    columns = [("Kind", False), ("What", False), ("Files", True), ("Where", False)]
    return _section("Outputs", _table(columns, rows))


def _deliveries(deliveries: Sequence[Mapping[str, Any]]) -> str:
    if not deliveries:
        return ""
    rows = [
        [
            escape(str(item.get("node", ""))),
            _badge(item.get("state")),
            escape(sent(item)),
            escape(str(item.get("message") or "")),
        ]
        for item in deliveries
    ]
    columns = [("Node", False), ("State", False), ("Instances", True), ("", False)]
    return _section("Deliveries", _table(columns, rows))
