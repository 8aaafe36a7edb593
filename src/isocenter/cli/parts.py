"""``isocenter receiver|ingest|worker|web``: one part alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from isocenter.cli.platform import ConfigOption, DataDirOption
from isocenter.runtime.settings import Settings

PortOption = Annotated[
    int | None, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")
]


def register(root: typer.Typer) -> None:
    for command in (receiver, ingest, worker, web):
        root.command()(command)


def receiver(
    data_dir: DataDirOption = None, config: ConfigOption = None, port: PortOption = None
) -> None:
    """Run the DICOM receiver alone. It needs no database."""
    from isocenter.runtime.receiver import run_receiver

    settings = _prepare("receiver", data_dir, config, receiver={"port": port})
    raise typer.Exit(run_receiver(settings))


def ingest(data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Run the ingest alone: takes what was received into the archive."""
    settings = _with_database(_prepare("ingest", data_dir, config))
    from isocenter.runtime.ingest import run_ingest

    raise typer.Exit(run_ingest(settings))


def worker(data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Run one worker alone. As many as wanted, on as many hosts as wanted."""
    settings = _with_database(_prepare("worker", data_dir, config))
    from isocenter.runtime.worker import run_worker

    raise typer.Exit(run_worker(settings))


def web(
    data_dir: DataDirOption = None, config: ConfigOption = None, port: PortOption = None
) -> None:
    """Run the web server alone."""
    settings = _with_database(_prepare("web", data_dir, config, web={"port": port}))
    from isocenter.runtime.web.server import run_web

    run_web(settings)


def _prepare(part: str, data_dir: Path | None, config: Path | None, **overrides: Any) -> Settings:
    from isocenter.runtime.configuration import load_settings
    from isocenter.runtime.layout import Layout
    from isocenter.runtime.logs import configure_logs

    settings = load_settings(config, data_dir=data_dir, **overrides)
    Layout(settings.data_dir).create()
    configure_logs(settings, part)
    return settings


def _with_database(settings: Settings) -> Settings:
    from isocenter.runtime.boot import boot_with, wait_for_database

    return boot_with(settings, wait_for_database(settings))
