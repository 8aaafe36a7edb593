"""``isocenter contours``: draw RT structure sets of a folder; no server, no database."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import typer

from isocenter import __version__
from isocenter.cli.contours_options import (
    AllowOtherFrameOfReferenceOption,
    BurnInOption,
    ExcludeOption,
    FormatsOption,
    IgnoreOption,
    IncludeOption,
    InterpolateOption,
    MadeAtOption,
    NestingOption,
    NiftiCompressionOption,
    OutOption,
    PathArgument,
    PerRoiOption,
    ReportOption,
    TypesOption,
)
from isocenter.cli.contours_text import print_drawn
from isocenter.cli.late_progress import LateProgress
from isocenter.cli.platform import FAILED, USAGE, JsonOption, fail
from isocenter.core.contours.options import DISCLAIMER, FORMATS, BurnIn, ContourOptions, RoiChoice
from isocenter.core.errors import ConfigurationError

if TYPE_CHECKING:
    from isocenter.core.contours.convert import Summary

REPORT_STEM = "report"


def register(root: typer.Typer) -> None:
    """Add the command to the root."""
    root.command("contours")(contours_command)


def contours_command(
    path: PathArgument,
    *,
    out: OutOption,
    formats: FormatsOption = "overlay,json",
    ignore: IgnoreOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    types: TypesOption = None,
    per_roi: PerRoiOption = False,
    nesting: NestingOption = "depth",
    interpolate: InterpolateOption = False,
    burn_in: BurnInOption = None,
    allow_other_frame_of_reference: AllowOtherFrameOfReferenceOption = False,
    nifti_compression: NiftiCompressionOption = 1,
    report: ReportOption = False,
    made_at: MadeAtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw RT structure sets: overlays, SEG, masks, meshes, pictures.

    Every structure set is drawn on the series that it belongs to; each pair gets a folder, and
    summary.json tells what was drawn. Exit code 1: nothing could be drawn.
    """
    try:
        options = ContourOptions(
            formats=_formats(formats),
            choice=RoiChoice(
                ignore=_ignored(ignore),
                include=tuple(include or ()),
                exclude=tuple(exclude or ()),
                types=tuple(types or ()),
            ),
            overlay_mode="per-roi" if per_roi else "merged",
            nesting=nesting,
            interpolate=interpolate,
            allow_other_frame_of_reference=allow_other_frame_of_reference,
            burn_in=BurnIn(text=burn_in) if burn_in is not None else None,
            nifti_compression=nifti_compression,
        )
    except ConfigurationError as error:
        fail(str(error), USAGE)
    moment = (made_at or datetime.now(UTC)).astimezone(UTC)
    started = monotonic()
    summary = _draw(path, out, options, moment)
    seconds = monotonic() - started
    if report:
        _write_report(summary, out, moment, seconds)
    _tell(summary, out, seconds, as_json=as_json)


def _tell(summary: Summary, out: Path, seconds: float, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(summary.to_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        print_drawn(summary.pairs, _groups(summary, out), out, len(summary.outputs), seconds)
    for problem in summary.problems:
        typer.secho(problem, fg=typer.colors.YELLOW, err=True)
    if not summary.has_rois:
        fail("nothing was drawn", FAILED)


def _formats(text: str) -> tuple[str, ...]:
    """Names without repetition; summary.json is always written."""
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if "all" in names:
        names = list(FORMATS)
    return tuple(dict.fromkeys([*names, "json"]))


def _ignored(given: list[str] | None) -> tuple[str, ...]:
    if given is None:
        return RoiChoice().ignore
    return tuple(part.strip() for text in given for part in text.split(",") if part.strip())


def _draw(path: Path, out: Path, options: ContourOptions, made_at: datetime) -> Summary:
    # Imported here, so that help and a wrong option need not wait for it.
    from isocenter.core.contours.convert import convert

    with LateProgress() as progress:
        return convert(
            path, options, out, made_at=made_at, on_progress=progress, with_determinants=False
        )


def _write_report(summary: Summary, out: Path, made_at: datetime, seconds: float) -> None:
    from isocenter.core.contours.report import write_report

    studies = {pair["study_uid"] for pair in summary.pairs}
    content = {
        "title": "RT contours",
        "state": "done" if summary.has_rois else "failed",
        "run": {"started_at": made_at.isoformat(timespec="seconds"), "version": __version__},
        "study": {
            "study_uid": ", ".join(sorted(studies)),
            "modalities": sorted({pair["modality"] for pair in summary.pairs}),
            "instances": sum(pair["images"] for pair in summary.pairs),
        },
        "seconds": round(seconds, 3),
        "pairs": list(summary.pairs),
        "outputs": [{**group, "path": str(group["path"])} for group in _groups(summary, out)],
        "warnings": list(summary.problems),
        "disclaimer": DISCLAIMER,
    }
    write_report(content, out, REPORT_STEM)


def _groups(summary: Summary, out: Path) -> list[dict[str, Any]]:
    """Outputs of one kind in one folder as one row; a single file keeps its name."""
    groups: dict[tuple[str, Path], dict[str, Any]] = {}
    for output in summary.outputs:
        folder = output.path.parent
        row = groups.setdefault(
            (output.kind, folder),
            {"kind": output.kind, "role": output.role, "count": 0, "path": output.path},
        )
        row["count"] += 1
        if row["count"] > 1:
            row["role"], row["path"] = "", folder
    return [
        {**row, "path": row["path"].relative_to(out)} if row["path"].is_relative_to(out) else row
        for row in groups.values()
    ]
