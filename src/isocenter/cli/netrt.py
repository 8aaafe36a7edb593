"""``isocenter config import-netrt``: a NETRT (CORRECT) configuration in our words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from isocenter.cli.platform import JsonOption, emit
from isocenter.core.errors import ConfigurationError


def register(config_app: typer.Typer) -> None:
    """Put the command into the group ``config``."""
    config_app.command("import-netrt")(import_netrt)


def import_netrt(
    file: Annotated[Path, typer.Argument(help="NETRT's config.yaml.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(
            help="A folder for isocenter.yaml and routes.yaml, or a file NAME.yaml for the "
            "routes; default: print.",
            show_default=False,
        ),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="NETRT was run with --debug: previews are wanted.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Translate NETRT's config.yaml; every key is accounted for, nothing is dropped silently.

    Settings go into isocenter.yaml of the data directory, the rest through isocenter routes apply.
    """
    from isocenter.apps.routing.documents import read_yaml, write_yaml
    from isocenter.apps.routing.netrt import translate

    result = translate(read_yaml(file.read_text("utf-8"), where=str(file)), with_previews=debug)
    settings, routes = write_yaml(result.settings), write_yaml(result.routes)
    notes = [f"{line.key}: {line.fate}" for line in result.lines]
    if as_json:
        lines = [{"key": x.key, "value": x.value, "fate": x.fate, "taken": x.is_taken}
                 for x in result.lines]  # fmt: skip
        emit({"settings": result.settings, "routes": result.routes, "keys": lines}, True)
        return
    together = _commented("isocenter.yaml:", settings) + _commented("keys:", "\n".join(notes))
    if out is None:
        typer.echo(together + routes, nl=False)
        return
    if out.suffix in (".yaml", ".yml"):
        _write({out: together + routes})
    else:
        routes = _commented("keys:", "\n".join(notes)) + routes
        _write({out / "isocenter.yaml": settings, out / "routes.yaml": routes})
    for line in result.lines:
        if not line.is_taken:
            typer.secho(f"note: {line.key}: {line.fate}", err=True)


def _write(texts: Mapping[Path, str]) -> None:
    """
    Raises:
        ConfigurationError: one of the files is there already; none was written.
    """
    for path in texts:
        if path.exists():
            raise ConfigurationError(f"{path} exists already", hint="name another --out")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        typer.echo(f"written: {path}")


def _commented(title: str, text: str) -> str:
    lines = [title, *(f"  {line}" for line in text.rstrip().splitlines())]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines) + "#\n"
