"""``isocenter up``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from isocenter.cli.platform import ConfigOption, DataDirOption


def register(root: typer.Typer) -> None:
    root.command("up")(up)


def up(
    *,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    http_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="HTTP port; 0 takes a free one.")
    ] = None,
    dicom_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="DICOM port; 0 takes a free one.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, max=64, help="Worker processes.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Logs of the parts too.")] = False,
) -> None:
    """Start everything on this machine: database, receiver, ingest, workers, web.

    Stays in the foreground; Ctrl-C or SIGTERM stops it.
    """
    from isocenter.runtime.configuration import load_settings
    from isocenter.runtime.logs import CONSOLE_LEVEL_VARIABLE, configure_logs
    from isocenter.runtime.supervisor import Supervisor

    settings = load_settings(
        config,
        data_dir=data_dir,
        web={"port": http_port},
        receiver={"port": dicom_port},
        workers={"processes": workers},
    )
    os.environ.setdefault(CONSOLE_LEVEL_VARIABLE, settings.logs.level if verbose else "ERROR")
    configure_logs(settings, "supervisor")
    overrides = {
        "ISOCENTER_WEB__PORT": http_port,
        "ISOCENTER_RECEIVER__PORT": dicom_port,
        "ISOCENTER_WORKERS__PROCESSES": workers,
    }
    environment = {name: str(value) for name, value in overrides.items() if value is not None}
    supervisor = Supervisor(settings, part_arguments(settings.data_dir, config), environment, _say)
    raise typer.Exit(supervisor.run())


def part_arguments(data_dir: Path, config: Path | None) -> tuple[str, ...]:
    """How the parts are told where they belong."""
    named = ("--config", str(config.absolute())) if config else ()
    return ("--data-dir", str(data_dir), *named)


def _say(line: str) -> None:
    """A line for the person who started us; nobody may be there any more."""
    try:
        typer.echo(line)
    except OSError:
        return
