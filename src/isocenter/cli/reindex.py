"""``isocenter reindex``: the index rebuilt from the files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from isocenter.cli.platform import FAILED, ConfigOption, DataDirOption, JsonOption, connect, emit

_SHOWN = 20


def register(root: typer.Typer) -> None:
    """Add the command to the root."""
    root.command("reindex")(reindex)


def reindex(
    restart: Annotated[
        bool, typer.Option("--restart", help="From the beginning, not from where it was stopped.")
    ] = False,
    forget_missing: Annotated[
        bool, typer.Option("--forget-missing", help="Delete rows whose file is gone.")
    ] = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Rebuild the index from the files of the archive.

    The platform may run meanwhile; without it start the database alone: `isocenter db start`.
    Stopped in the middle, it goes on from there the next time. Studies that are new to the index
    are taken as complete; no route runs on them by itself.

    JSON: studies, files, added, refreshed, unreadable, doubled, missing, forgotten, resumed,
    problems (kind, path, reason; the first thousand). Exit code 1 when a file could not be indexed
    or a row has no file.
    """
    connect(data_dir, config)
    from isocenter.apps.archive.services import reindex as rebuild
    from isocenter.cli.late_progress import LateProgress

    with LateProgress() as progress:
        done = rebuild(
            on_progress=progress,
            restart=restart,
            forget_missing=forget_missing,
            actor="isocenter reindex",
        )
    values = asdict(done)
    if as_json:
        emit(values, True)
    else:
        problems = values.pop("problems")
        emit(values, False)
        for problem in problems[:_SHOWN]:
            typer.echo(f"{problem['kind']}: {problem['path']}: {problem['reason']}")
        if len(problems) > _SHOWN:
            typer.echo(f"… and {len(problems) - _SHOWN} more (--json shows them)")
    if not done.is_clean:
        raise typer.Exit(FAILED)
