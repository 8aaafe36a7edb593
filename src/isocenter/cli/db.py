"""``isocenter db``: the embedded PostgreSQL by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isocenter.cli.platform import ConfigOption, DataDirOption, JsonOption, connect, emit, fail
from isocenter.core.errors import ConfigurationError
from isocenter.runtime.settings import Settings

app = typer.Typer(no_args_is_help=True)


@app.command()
def start(data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Start the embedded database in the background and bring its tables up to date."""
    from isocenter.runtime.boot import boot_with
    from isocenter.runtime.first_administrator import administrator_lines, first_administrator
    from isocenter.runtime.layout import Layout
    from isocenter.runtime.migrate import migrate as bring_up_to_date
    from isocenter.runtime.postgres import EmbeddedPostgres
    from isocenter.runtime.supervisor import supervisor_lock

    settings = _embedded(data_dir, config)
    layout = Layout(settings.data_dir)
    with supervisor_lock(layout):
        server = EmbeddedPostgres(layout, dies_with_us=False)
        address = server.start()
        boot_with(settings, address.url)
        bring_up_to_date()
        made = first_administrator()
    typer.echo(f"PostgreSQL runs on {address.host} port {address.port}, data in {server.data}")
    typer.echo("address with password: isocenter db url; stop it: isocenter db stop")
    for line in administrator_lines(made):
        typer.echo(line)


@app.command()
def stop(data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Stop the database that `isocenter db start` started."""
    from isocenter.runtime.layout import Layout
    from isocenter.runtime.postgres import EmbeddedPostgres
    from isocenter.runtime.supervisor import supervisor_lock

    settings = _embedded(data_dir, config)
    layout = Layout(settings.data_dir)
    with supervisor_lock(layout):
        stopped = EmbeddedPostgres(layout).stop_leftover()
    typer.echo("stopped" if stopped else "it did not run")


@app.command()
def url(data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Print the address of the running database, password included."""
    from isocenter.runtime.boot import database_url
    from isocenter.runtime.configuration import load_settings

    typer.echo(database_url(load_settings(config, data_dir=data_dir)))


@app.command()
def migrate(
    data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Bring the tables of the running database up to date; a new one gets its administrator."""
    from isocenter.runtime.first_administrator import administrator_lines, first_administrator
    from isocenter.runtime.migrate import migrate as bring_up_to_date

    connect(data_dir, config)
    applied = bring_up_to_date()
    made = first_administrator()
    if as_json:
        emit({"applied": applied, "administrator": made}, as_json)
        return
    typer.echo(f"{applied} migrations applied" if applied else "up to date")
    for line in administrator_lines(made):
        typer.echo(line)


@app.command(hidden=True, context_settings={"ignore_unknown_options": True})
def manage(
    arguments: Annotated[list[str], typer.Argument()],
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Django's own commands on the running database, for developers."""
    from django.core.management import CommandError, call_command

    connect(data_dir, config)
    try:
        call_command(*arguments)
    except CommandError as error:
        fail(str(error))


def _embedded(data_dir: Path | None, config: Path | None) -> Settings:
    from isocenter.runtime.configuration import load_settings

    settings = load_settings(config, data_dir=data_dir)
    if settings.database_url:
        raise ConfigurationError(
            "database_url is set, so there is no embedded database",
            hint="unset ISOCENTER_DATABASE_URL to use one",
        )
    return settings
