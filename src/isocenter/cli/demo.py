"""``isocenter demo``: the main job once, end to end, in a place of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def register(root: typer.Typer) -> None:
    """Add the command to the root."""
    root.command("demo")(demo)


def demo(
    study: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder with a study of yours."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Empty folder for what comes out; default: a new one.")
    ] = None,
) -> None:
    """Send a study through a platform that is started for it, and show what comes out."""
    from isocenter.demo.story import tell

    raise typer.Exit(tell(study, Console(), out))
