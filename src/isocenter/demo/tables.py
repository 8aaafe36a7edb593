"""The tables at the end of the demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


def print_rois(console: Console, rois: Sequence[dict[str, Any]]) -> None:
    """ROI volumes: counted in voxels, and by the polygons."""
    table = _table(
        "Structures", "ROI", "Type", "Contours", "Voxels", "mL", "mL by polygons", "Notes"
    )
    for roi in rois:
        table.add_row(
            roi["name"],
            roi["type"],
            str(roi["contours"]),
            str(roi["voxels"]),
            f"{roi['volume_ml']:.2f}",
            f"{roi['polygon_volume_ml']:.2f}",
            "; ".join(roi["warnings"]),
        )
    console.print(table)


def print_stages(console: Console, stages: Sequence[Any], steps: Sequence[dict[str, Any]]) -> None:
    """What happened, with times; the pipeline's steps are set in under it."""
    table = _table("What happened", "Step", "Time", "Result")
    for stage in stages:
        table.add_row(stage.name, f"{stage.seconds:.1f} s", stage.result)
        if stage.name == "Pipeline":
            for step in steps:
                table.add_row(f"  {step['name']}", f"{step['seconds']:.1f} s", step["message"])
    console.print(table)


def print_deliveries(
    console: Console,
    deliveries: Sequence[dict[str, Any]],
    artifacts: Sequence[dict[str, Any]],
    workspace: Path,
) -> None:
    """What was made, and where it is."""
    table = _table("Made by the pipeline", "Kind", "State", "Files")
    for item in artifacts:
        table.add_row(item["kind"], item["state"], str(item["count"]))
    console.print(table)
    table = _table("Where it is", "What", "Files", "Path")
    sent = {row["node"]: row for row in deliveries}
    places = (
        ("second DICOM node", "demo-node", workspace / "node"),
        ("folder", "demo-folder", workspace / "folder"),
    )
    for what, node, path in places:
        row = sent.get(node, {"state": "nothing sent", "reason": ""})
        ended = "" if row["state"] == "done" else f" ({row['state']}: {row['reason']})"
        table.add_row(what + ended, str(_files(path)), str(path))
    for what, path in (
        ("archive", workspace / "platform" / "archive"),
        ("run reports", workspace / "platform" / "reports"),
    ):
        table.add_row(what, str(_files(path)), str(path))
    console.print(table)
    for what, found in (
        ("Look at", sorted((workspace / "folder").rglob("montage.png"))),
        ("Read", sorted((workspace / "platform" / "reports").glob("*.html"))),
    ):
        for path in found[:3]:
            console.print(f"{what} [bold]{path}[/]", soft_wrap=True, highlight=False)


def _files(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for column in columns:
        is_number = column in ("Contours", "Voxels", "mL", "mL by polygons", "Files", "Time")
        table.add_column(
            column,
            justify="right" if is_number else "left",
            overflow="fold",
        )
    return table
