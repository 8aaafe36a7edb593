"""Options of ``isocenter contours``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from isocenter.core.contours.options import DISCLAIMER, FORMATS

PathArgument = Annotated[
    Path,
    typer.Argument(
        exists=True, help="Folder (or file) that holds image series and RT structure sets."
    ),
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder for what is made.", file_okay=False)]
FormatsOption = Annotated[
    str,
    typer.Option("--formats", help=f"What to make, with commas: {', '.join(FORMATS)}, or all."),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        help="Leave out ROIs whose name contains this, in any case; several times, or with "
        "commas. An empty text ignores none.  [default: skull]",
        show_default=False,
    ),
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option("--include", help="Only ROIs whose name matches this regular expression."),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option("--exclude", help="No ROI whose name matches this regular expression."),
]
TypesOption = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only ROIs of this interpreted type: PTV, ORGAN, …"),
]
PerRoiOption = Annotated[
    bool,
    typer.Option("--per-roi/--merged", help="An overlay plane per ROI, or one for all."),
]
NestingOption = Annotated[
    str, typer.Option("--nesting", help="How contours of an ROI combine: depth, union, xor.")
]
InterpolateOption = Annotated[
    bool, typer.Option("--interpolate", help="Fill slices between contour planes.")
]
BurnInOption = Annotated[
    str | None,
    typer.Option("--burn-in", help=f'Text for the overlay images, such as "{DISCLAIMER}".'),
]
AllowOtherFrameOfReferenceOption = Annotated[
    bool,
    typer.Option(
        "--allow-other-frame-of-reference",
        help="Draw also where the frames of reference differ.",
    ),
]
NiftiCompressionOption = Annotated[
    int,
    typer.Option(
        "--nifti-compression",
        min=0,
        max=3,
        help="NIfTI masks: 1 (fast) to 3 (small) for .nii.gz, 0 for plain .nii.",
    ),
]
ReportOption = Annotated[
    bool, typer.Option("--report", help="Write report.html, report.json and report.txt.")
]
MadeAtOption = Annotated[
    datetime | None,
    typer.Option(
        "--made-at",
        help="Time in what is written (default: now); the same time, the same bytes.",
        show_default=False,
    ),
]
