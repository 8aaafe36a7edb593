"""``isocenter routes``: which studies go through which pipeline, and where to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from isocenter.cli.platform import ConfigOption, DataDirOption, JsonOption, connect, emit, fail

app = typer.Typer(no_args_is_help=True)
_COLUMNS = ("name", "enabled", "priority", "condition", "pipeline", "destinations")

Name = Annotated[str, typer.Argument(help="Name of the route.", show_default=False)]
Names = Annotated[
    list[str] | None, typer.Argument(help="Names of routes; default: all.", show_default=False)
]
File = Annotated[Path, typer.Argument(help="YAML file, or - for standard input.")]


@app.command("list")
def list_routes(
    data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the routes in the order in which they are asked."""
    connect(data_dir, config)
    from isocenter.apps.routing import queries, rows

    found = [rows.route_row(item) for item in queries.routes()]
    emit(found, as_json, columns=_COLUMNS, empty="no routes")


@app.command()
def show(
    name: Name,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a route with its pipeline."""
    connect(data_dir, config)
    from isocenter.apps.routing import queries, rows
    from isocenter.apps.routing.services import export_yaml

    found = queries.route(name)
    if not as_json:
        typer.echo(export_yaml([name]), nl=False)
        return
    detail: dict[str, Any] = rows.route_row(found) | {
        "description": found.description,
        "deidentified_only": found.deidentified_only,
        "completion": dict(found.completion),
        "steps": list(found.pipeline.steps),
    }
    emit(detail, as_json)


@app.command()
def export(
    names: Names = None, data_dir: DataDirOption = None, config: ConfigOption = None
) -> None:
    """Print routes with their pipelines as YAML that `apply` takes."""
    connect(data_dir, config)
    from isocenter.apps.routing.services import export_yaml

    typer.echo(export_yaml(names or None), nl=False)


@app.command()
def apply(
    file: File,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make and change the nodes, pipelines and routes of a file: all of it or nothing."""
    text = _read(file)
    connect(data_dir, config)
    from isocenter.apps.routing.services import apply_yaml

    changes = apply_yaml(text, where=str(file), actor="cli")
    rows = [{"kind": item.kind, "name": item.name, "change": item.change} for item in changes]
    emit(rows, as_json, empty="the file names nothing")


@app.command()
def check(
    file: File,
    offline: Annotated[
        bool, typer.Option("--offline", help="Check the file by itself, without a platform.")
    ] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say everything that is wrong with a file; nothing is changed."""
    text = _read(file)
    from isocenter.apps.routing.documents import PipelineErrors, read_yaml
    from isocenter.apps.routing.pipelines import check_file

    try:
        if offline:
            check_file(read_yaml(text, where=str(file)))
        else:
            connect(data_dir, config)
            from isocenter.apps.routing.services import check_yaml

            check_yaml(text, where=str(file))
    except PipelineErrors as problems:
        if not as_json:
            fail(str(problems))
        emit([{"path": item.path, "problem": str(item)} for item in problems.errors], as_json)
        raise typer.Exit(1) from None
    if as_json:
        emit([], as_json)
    else:
        typer.echo(f"{file} is fine")


@app.command()
def enable(name: Name, data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Switch a route on; refused with the reason when it cannot work as it is."""
    connect(data_dir, config)
    from isocenter.apps.routing.services import set_enabled

    set_enabled(name, True, actor="cli")
    typer.echo(f"{name} is on")


@app.command()
def disable(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why, for whoever sees it.")] = "",
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Switch a route off. Runs that it started go on."""
    connect(data_dir, config)
    from isocenter.apps.routing.services import set_enabled

    set_enabled(name, False, reason=reason, actor="cli")
    typer.echo(f"{name} is off")


@app.command("test")
def dry_run(
    names: Names = None,
    study: Annotated[
        list[str] | None, typer.Option(help="StudyInstanceUID; default: the newest studies.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many studies.")] = 20,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which stored studies routes would match, and why or why not. Nothing is started."""
    connect(data_dir, config)
    from isocenter.apps.archive import queries as archive
    from isocenter.apps.routing import queries

    studies = [archive.study(uid) for uid in study] if study else archive.studies(limit=limit)
    emit(queries.test_routes(names or (), studies), as_json, empty="no studies, or no routes")


def _read(file: Path) -> str:
    return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
