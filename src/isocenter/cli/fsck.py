"""``isocenter fsck``: the index compared with the files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from isocenter.cli.platform import (
    VERIFICATION_FAILED,
    ConfigOption,
    DataDirOption,
    JsonOption,
    connect,
    emit,
)

_SHOWN = 20


def register(root: typer.Typer) -> None:
    """Add the command to the root."""
    root.command("fsck")(fsck)


def fsck(
    quick: Annotated[
        bool, typer.Option("--quick", help="Sizes only; contents are not read.")
    ] = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Compare the index with the files: missing, extra, of another size, of other content.

    It changes nothing; the platform may run meanwhile. What to do: `isocenter reindex` takes extra
    files in; a missing or damaged one comes from a backup, or from who sent it.

    JSON: rows, files, bytes, digests, counts (missing, extra, size, digest, unreadable), problems
    (kind, path, study_uid, sop_uid, reason; the first thousand). Exit code 3 when something is
    wrong, 1 when it could not be checked.
    """
    connect(data_dir, config)
    from isocenter.apps.archive.services import check
    from isocenter.cli.late_progress import LateProgress

    with LateProgress() as progress:
        found = check(quick=quick, on_progress=progress)
    if as_json:
        emit(asdict(found), True)
    else:
        seen = {"rows": found.rows, "files": found.files, "digests": found.digests}
        emit({**seen, **found.counts}, False)
        for problem in found.problems[:_SHOWN]:
            typer.echo(f"{problem['kind']}: {problem['path']}: {problem['reason']}")
        if len(found.problems) > _SHOWN:
            typer.echo(f"… and {len(found.problems) - _SHOWN} more (--json shows them)")
    if not found.is_clean:
        raise typer.Exit(VERIFICATION_FAILED)
