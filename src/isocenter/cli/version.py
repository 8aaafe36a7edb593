"""``isocenter version``."""

from __future__ import annotations

import platform as machine
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

import typer

from isocenter import __version__
from isocenter.cli.platform import JsonOption, emit

_SHOWN = ("Django", "procrastinate", "psycopg", "pydicom", "pynetdicom", "highdicom", "numpy")


def register(root: typer.Typer) -> None:
    root.command("version")(version)


def version(as_json: JsonOption = False) -> None:
    """Print the version."""
    if not as_json:
        typer.echo(f"isocenter {__version__}")
        return
    emit(
        {
            "version": __version__,
            "python": machine.python_version(),
            "platform": machine.platform(),
            "libraries": {name: _library(name) for name in _SHOWN},
        },
        as_json,
    )


def _library(name: str) -> str | None:
    try:
        return version_of(name)
    except PackageNotFoundError:
        return None
