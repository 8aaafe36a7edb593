"""Options of ``isocenter deidentify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

InArgument = Annotated[
    Path | None,
    typer.Argument(metavar="IN", exists=True, help="Folder (or file) with DICOM objects."),
]
OutArgument = Annotated[
    Path | None, typer.Argument(metavar="OUT", help="Folder for what leaves.", file_okay=False)
]
ProjectOption = Annotated[
    str | None,
    typer.Option(
        "--project",
        help="Project whose secret makes the UIDs, shifts and pseudonyms; a new one gets one.",
    ),
]
ProjectsDirOption = Annotated[
    Path,
    typer.Option(
        "--projects-dir",
        envvar="ISOCENTER_DEID_PROJECTS",
        help="Where projects have their secrets.",
    ),
]
SecretFileOption = Annotated[
    Path | None,
    typer.Option("--secret-file", help="File with the secret, in place of a project."),
]
CreateSecretOption = Annotated[
    bool, typer.Option("--create-secret", help="Make the secret file where there is none.")
]
ProfileOption = Annotated[
    str, typer.Option("--profile", help="basic: PS3.15 Basic Application Level Profile.")
]
OptionsOption = Annotated[
    list[str] | None,
    typer.Option("--option", help="Option of the profile; several times, or with commas."),
]
RulesOption = Annotated[
    list[Path] | None,
    typer.Option("--rules", exists=True, dir_okay=False, help="A site's own rules, YAML."),
]
PresetOption = Annotated[
    list[str] | None, typer.Option("--preset", help="Rules that come with Isocenter.")
]
PixelsOption = Annotated[
    str, typer.Option("--pixels", help="Burned-in text: off, templates or ocr.")
]
DatesOption = Annotated[str, typer.Option("--dates", help="remove, shift or keep.")]
WholeWeeksOption = Annotated[
    bool, typer.Option("--whole-weeks", help="Shift dates by whole weeks.")
]
KeepAgesOption = Annotated[
    bool, typer.Option("--keep-ages", help="Shift birth dates too, in place of emptying them.")
]
PseudonymsOption = Annotated[
    Path | None,
    typer.Option("--pseudonyms", exists=True, dir_okay=False, help="CSV: who is called what."),
]
PatternOption = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        help="Pseudonyms that are counted up, such as {site}_{counter:04}; who has which is kept "
        "in a CSV file beside the secret.",
    ),
]
SiteOption = Annotated[str, typer.Option("--site", help="What {site} in the pattern is.")]
FacesOption = Annotated[
    str, typer.Option("--faces", help="Head CT and MR: ignore, refuse or deface.")
]
DocumentsOption = Annotated[
    str, typer.Option("--documents", help="Encapsulated documents: refuse or drop.")
]
WordsOption = Annotated[
    Path | None,
    typer.Option("--words", exists=True, dir_okay=False, help="Words that texts may keep."),
]
QuarantineOption = Annotated[
    Path | None,
    typer.Option("--quarantine", help="Folder for what does not leave. [default: OUT.quarantine]"),
]
WholeStudiesOption = Annotated[
    bool,
    typer.Option("--whole-studies", help="Hold a study back if one of its objects is refused."),
]
ProcessesOption = Annotated[
    int, typer.Option("--processes", min=0, help="0: as many as there are processors.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Do and verify everything, release nothing.")
]
ExplainOption = Annotated[
    str | None,
    typer.Option("--explain", help="Tell what becomes of an attribute (keyword or tag), and why."),
]
