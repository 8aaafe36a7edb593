"""``isocenter config``: show and check the configuration."""

from __future__ import annotations

import os

import typer
import yaml

from isocenter.cli.platform import ConfigOption, DataDirOption, JsonOption, emit, fail
from isocenter.runtime.settings import Settings

config_app = typer.Typer(no_args_is_help=True)


@config_app.command()
def show(
    data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Print every setting as it counts here (defaults, YAML, environment). Passwords are hidden."""
    from isocenter.runtime.configuration import load_settings, public_values

    values = public_values(load_settings(config, data_dir=data_dir))
    if as_json:
        emit(values, True)
    else:
        typer.echo(yaml.safe_dump(values, sort_keys=False, allow_unicode=True).rstrip())


@config_app.command()
def check(data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Say whether the configuration can be used, and if not, why."""
    from isocenter.runtime.configuration import (
        Layer,
        config_path,
        environment_layer,
        load_settings,
        strange_variables,
    )

    settings = load_settings(config, data_dir=data_dir)
    given = Layer({"data_dir": str(data_dir)}) if data_dir else Layer()
    path = config_path(config, given, environment_layer(os.environ))
    for name in strange_variables(os.environ):
        typer.secho(f"note: environment variable {name} sets nothing", err=True)
    missing = files_not_there(settings)
    for problem in missing:
        typer.secho(problem, fg=typer.colors.RED, err=True)
    if any(problem.startswith("receiver.tls") for problem in missing):
        fail("the receiver cannot start without its TLS files")
    source = str(path) if path else "no file; defaults and environment"
    typer.echo(f"the configuration is well ({source}; data directory {settings.data_dir})")


@config_app.command(hidden=True)
def reference() -> None:
    """Print docs/reference/configuration.md."""
    from isocenter.runtime.settings_reference import reference_page

    typer.echo(reference_page(), nl=False)


@config_app.command(hidden=True)
def conformance() -> None:
    """Print docs/conformance.md."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isocenter.runtime.django")
    django.setup()
    from isocenter.runtime.conformance import conformance_page

    typer.echo(conformance_page(), nl=False)


def files_not_there(settings: Settings) -> list[str]:
    """Files and folders that the configuration names and that are not there."""
    tls = settings.receiver.tls
    named = {
        "receiver.tls.certificate": tls.certificate,
        "receiver.tls.key": tls.key,
        "receiver.tls.ca": tls.ca,
        "reports.folder": settings.reports.folder,
        **{
            f"storage.watched_folders[{n}]": p
            for n, p in enumerate(settings.storage.watched_folders)
        },
    }
    return [
        f"{key}: there is no {path}" for key, path in named.items() if path and not path.exists()
    ]


def register(root: typer.Typer) -> None:
    """`config import-netrt` belongs to routing and is put beside ours."""
    from isocenter.cli import netrt

    netrt.register(config_app)
    root.add_typer(config_app, name="config", help="Show and check the configuration.")
