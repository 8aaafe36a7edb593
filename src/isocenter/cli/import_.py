"""``isocenter import``: a folder, ZIP, DICOMDIR or file into the spool."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isocenter.cli.platform import FAILED, ConfigOption, DataDirOption, JsonOption, emit

if TYPE_CHECKING:
    from rich.progress import Progress

    from isocenter.apps.archive.importing import ImportReport
    from isocenter.runtime.layout import Layout

_SHOWN = 20


def register(root: typer.Typer) -> None:
    """Add the command to the root."""
    root.command("import")(import_paths)


def import_paths(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Folder, ZIP, DICOMDIR or file.")
    ],
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Import DICOM files. They are safe when the command ends, whether the platform runs or not.

    JSON: an object with imported, bytes, skipped (file, reason), failed (file, reason), missing
    (named by a DICOMDIR, not there), platform_running. Exit code 1 when something failed, is
    missing, or nothing was imported.
    """
    from isocenter.apps.archive.importing import spool_import
    from isocenter.apps.archive.spool import Spool
    from isocenter.core.errors import ConfigurationError
    from isocenter.runtime.boot import load_settings
    from isocenter.runtime.layout import Layout
    from isocenter.runtime.state_files import read_state

    overrides = {"data_dir": data_dir} if data_dir else {}
    settings = load_settings(config, **overrides)
    layout = Layout(settings.data_dir)
    layout.create()
    paused = read_state(layout.run / "receive-policy.json").get("paused")
    if paused and _is_running(layout):
        raise ConfigurationError(f"nothing is taken in now: {paused}")
    with (
        Spool(
            layout.spool,
            segment_bytes=settings.storage.segment_mb << 20,
            reserve_bytes=settings.storage.reserve_mb << 20,
        ) as spool,
        _progress(hidden=as_json) as progress,
    ):
        task = progress.add_task("Importing", total=None)
        total = 0

        def on_found(count: int) -> None:
            nonlocal total
            total += count
            progress.update(task, total=total)

        report = spool_import(
            paths, spool, on_found=on_found, on_file=lambda name: progress.advance(task)
        )
    _tell(report, layout, as_json)
    if not report.is_clean:
        raise typer.Exit(FAILED)


@contextmanager
def _progress(*, hidden: bool) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=hidden or not sys.stderr.isatty(),
        transient=True,
    ) as progress:
        yield progress


def _tell(report: ImportReport, layout: Layout, as_json: bool) -> None:
    running = _is_running(layout)
    if as_json:
        result: dict[str, Any] = {
            "imported": report.imported,
            "bytes": report.bytes,
            "skipped": [{"file": note.name, "reason": note.reason} for note in report.skipped],
            "failed": [{"file": note.name, "reason": note.reason} for note in report.failed],
            "missing": report.missing,
            "platform_running": running,
        }
        emit(result, True)
        return
    counts = [
        {"outcome": "imported", "files": report.imported, "bytes": report.bytes},
        {"outcome": "skipped", "files": len(report.skipped), "bytes": ""},
        {"outcome": "failed", "files": len(report.failed), "bytes": ""},
        {"outcome": "missing", "files": len(report.missing), "bytes": ""},
    ]
    emit(counts, False)
    notes = [("failed", note.name, note.reason) for note in report.failed]
    notes += [("missing", name, "named by the DICOMDIR, not there") for name in report.missing]
    notes += [("skipped", note.name, note.reason) for note in report.skipped]
    for outcome, name, reason in notes[:_SHOWN]:
        typer.echo(f"{outcome}: {name}: {reason}")
    if len(notes) > _SHOWN:
        typer.echo(f"… and {len(notes) - _SHOWN} more (--json shows all)")
    if report.imported and running:
        typer.echo("What cannot be indexed will be in `isocenter quarantine list`.")
    elif report.imported:
        typer.echo("The platform does not run; it takes them in when it starts.")


def _is_running(layout: Layout) -> bool:
    """Whether somebody listens at the spool."""
    import socket

    address = layout.spool / "wake.sock"
    if not address.exists():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(address))
        except OSError:
            return False
    return True
