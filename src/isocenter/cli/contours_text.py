"""What ``isocenter contours`` tells people: tables, in colour on a terminal, plain in a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

Row = Sequence[str]
ROI_COLUMNS = ("ROI", "type", "contours", "planes", "voxels", "volume ml", "polygon ml")
OUTPUT_COLUMNS = ("output", "files", "where")


def print_drawn(
    pairs: Iterable[Mapping[str, Any]],
    groups: Iterable[Mapping[str, Any]],
    out: Path,
    count: int,
    seconds: float,
) -> None:
    """Print what was drawn.

    Args:
        pairs: as in ``summary.json``.
        groups: outputs: kind, count, and path below `out`.
        out: the output folder.
        count: of the files.
        seconds: how long it took.
    """
    paper = _rich_paper() if _is_terminal() else _Plain()
    for pair in pairs:
        paper.line(
            f"{pair['modality']} series, {pair['images']} images, {len(pair['rois'])} ROIs", "bold"
        )
        paper.line(f"  series   {pair['series_uid']}")
        paper.line(f"  RTSTRUCT {pair['rtstruct_uid']}")
        paper.table(ROI_COLUMNS, [_roi_row(roi) for roi in pair["rois"]], right_from=2)
        for remark in _remarks(pair):
            paper.line(f"  {remark}", "yellow")
    rows = [(g["kind"], str(g["count"]), str(out / g["path"])) for g in groups]
    if rows:
        paper.table(OUTPUT_COLUMNS, rows, right_from=len(OUTPUT_COLUMNS))
    paper.line(f"{count} files in {seconds:.1f} s")


def _is_terminal() -> bool:
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))


class _Plain:
    """For pipes and files, where nobody wants folded columns; rich takes long to import."""

    def line(self, text: str, style: str = "") -> None:
        sys.stdout.write(_shown(text) + "\n")

    def table(self, columns: Row, rows: Sequence[Row], *, right_from: int) -> None:
        cells = [[_shown(cell) for cell in row] for row in (columns, *rows)]
        widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
        lines = []
        for row in cells:
            padding = [" " * (w - _width(cell)) for w, cell in zip(widths, row, strict=True)]
            shown = (
                pad + cell if number >= right_from else cell + pad
                for number, (pad, cell) in enumerate(zip(padding, row, strict=True))
            )
            lines.append(f" {'   '.join(shown).rstrip()}")
        rule = "─" if _shown("─") == "─" else "-"
        lines.insert(1, f" {rule * (sum(widths) + 3 * (len(widths) - 1))}")
        sys.stdout.write("\n" + "\n".join(lines) + "\n\n")


def _shown(text: str) -> str:
    """Without characters that do something to a terminal, or that stdout cannot say."""
    encoding = sys.stdout.encoding or "ascii"
    kept = "".join(letter if letter.isprintable() else "?" for letter in text)
    return kept.encode(encoding, "replace").decode(encoding)


def _width(text: str) -> int:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _rich_paper() -> Any:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()

    class Rich:
        def line(self, text: str, style: str = "") -> None:
            console.print(Text(_shown(text), style=style))

        def table(self, columns: Row, rows: Sequence[Row], *, right_from: int) -> None:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            for number, name in enumerate(columns):
                is_right = number >= right_from
                table.add_column(name, overflow="fold", justify="right" if is_right else "left")
            for row in rows:
                table.add_row(*(Text(_shown(cell)) for cell in row))
            console.print(table)

    return Rich()


def _roi_row(roi: Mapping[str, Any]) -> Row:
    return (
        str(roi["name"]),
        str(roi["type"] or "-"),
        str(roi["contours"]),
        str(roi["planes"]),
        str(roi["voxels"]),
        f"{roi['volume_ml']:.3f}",
        f"{roi['polygon_volume_ml']:.3f}",
    )


def _remarks(pair: Mapping[str, Any]) -> list[str]:
    lines = [str(warning) for warning in pair.get("warnings", ())]
    lines += [f"{roi['name']}: {text}" for roi in pair["rois"] for text in roi["warnings"]]
    skipped = pair.get("skipped_rois", ())
    return lines + [f"left out {roi['name']}: {roi['reason']}" for roi in skipped]
