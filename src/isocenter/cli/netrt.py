"""``isocenter config import-netrt``: a NETRT (CORRECT) configuration in our words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from isocenter.cli.platform import JsonOption, emit
from isocenter.core.errors import ConfigurationError

PROJECT_FILE = "project.yaml"


def register(config_app: typer.Typer) -> None:
    """Put the command into the group ``config``."""
    config_app.command("import-netrt")(import_netrt)


def import_netrt(
    file: Annotated[Path, typer.Argument(help="NETRT's config.yaml.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(
            help="A folder for isocenter.yaml, routes.yaml and, where NETRT anonymises, "
            "project.yaml, or a file NAME.yaml for the routes; default: print.",
            show_default=False,
        ),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="NETRT was run with --debug: previews are wanted.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Translate NETRT's config.yaml; every key is accounted for, nothing is dropped silently.

    Settings go into isocenter.yaml of the data directory, the project through isocenter
    deid-project create, the rest through isocenter routes apply.
    """
    from isocenter.apps.routing.documents import read_yaml, write_yaml
    from isocenter.apps.routing.netrt import translate

    text = file.read_text("utf-8")
    result = translate(read_yaml(text, where=str(file)), text=text, with_previews=debug)
    settings, routes = write_yaml(result.settings), write_yaml(result.routes)
    project = write_yaml(result.project) if result.project else ""
    notes = [f"{line.key}: {line.fate}" for line in result.lines]
    if as_json:
        lines = [{"key": x.key, "value": x.value, "fate": x.fate, "taken": x.is_taken}
                 for x in result.lines]  # fmt: skip
        emit({"settings": result.settings, "routes": result.routes, "project": result.project,
              "keys": lines}, True)  # fmt: skip
        return
    keys = _commented("keys:", "\n".join(notes))
    together = _commented("isocenter.yaml:", settings)
    if project:
        together += _commented(f"{PROJECT_FILE}:", project)
    if out is None:
        typer.echo(together + keys + routes, nl=False)
        return
    if out.suffix in (".yaml", ".yml"):
        files, project_file = {out: together + keys + routes}, out.with_suffix(f".{PROJECT_FILE}")
    else:
        files = {out / "isocenter.yaml": settings, out / "routes.yaml": keys + routes}
        project_file = out / PROJECT_FILE
    _write(files | ({project_file: project} if project else {}))
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
