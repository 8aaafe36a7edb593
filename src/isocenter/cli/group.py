"""``isocenter group``: groups of people, their rights and nodes."""

from __future__ import annotations

from typing import Annotated

import typer

from isocenter.cli.platform import ConfigOption, DataDirOption, JsonOption, connect, emit, fail

app = typer.Typer(no_args_is_help=True)
_COLUMNS = ("name", "description", "members", "rights", "nodes")

Name = Annotated[str, typer.Argument(help="Name of the group.")]
Rights = Annotated[
    list[str] | None,
    typer.Option("--right", help="A right that members get; again for more.", show_default=False),
]
Description = Annotated[str | None, typer.Option(show_default=False)]
Person = Annotated[str, typer.Argument(help="Name of the person.")]


@app.command("list")
def list_groups(
    data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List groups."""
    connect(data_dir, config)
    from isocenter.apps.accounts import queries

    rows = [queries.group_row(item) for item in queries.groups()]
    emit(rows, as_json, columns=_COLUMNS, empty="no groups: isocenter group create NAME")


@app.command()
def create(
    name: Name,
    description: Description = None,
    right: Rights = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a group."""
    connect(data_dir, config)
    from isocenter.apps.accounts import services
    from isocenter.apps.accounts.rights import COMMAND_LINE

    services.create_group(name, by=COMMAND_LINE, description=description or "", rights=right or [])
    _show(name, as_json)


@app.command()
def change(
    name: Name,
    new_name: Annotated[str | None, typer.Option(show_default=False)] = None,
    description: Description = None,
    right: Rights = None,
    no_rights: Annotated[bool, typer.Option("--no-rights", help="Take all rights away.")] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a group; ``--right`` names all rights that it has from now on."""
    rights = [] if no_rights else right
    if rights is None and new_name is None and description is None:
        fail("nothing to change: give --new-name, --description, --right or --no-rights", 2)
    connect(data_dir, config)
    from isocenter.apps.accounts import services
    from isocenter.apps.accounts.rights import COMMAND_LINE

    group = services.change_group(
        name, by=COMMAND_LINE, new_name=new_name, description=description, rights=rights
    )
    _show(group.name, as_json)


@app.command()
def add(
    name: Name,
    person: Person,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a person into a group."""
    connect(data_dir, config)
    from isocenter.apps.accounts import services
    from isocenter.apps.accounts.rights import COMMAND_LINE

    services.add_member(name, person, by=COMMAND_LINE)
    _show(name, as_json)


@app.command()
def remove(
    name: Name,
    person: Person,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a person out of a group."""
    connect(data_dir, config)
    from isocenter.apps.accounts import services
    from isocenter.apps.accounts.rights import COMMAND_LINE

    services.remove_member(name, person, by=COMMAND_LINE)
    _show(name, as_json)


@app.command()
def grant(
    name: Name,
    node: Annotated[str, typer.Argument(help="Name of the node.")],
    source: Annotated[bool, typer.Option("--source", help="Members fetch from it.")] = False,
    destination: Annotated[bool, typer.Option("--destination", help="Members send to it.")] = False,
    none: Annotated[bool, typer.Option("--none", help="Take the node away.")] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what members may do with a node."""
    if none == (source or destination):
        fail("give --source, --destination or both; or --none", 2)
    connect(data_dir, config)
    from isocenter.apps.accounts import services
    from isocenter.apps.accounts.rights import COMMAND_LINE

    services.grant_node(name, node, by=COMMAND_LINE, source=source, destination=destination)
    _show(name, as_json)


@app.command()
def delete(name: Name, data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Remove a group; its members stay."""
    connect(data_dir, config)
    from isocenter.apps.accounts import services
    from isocenter.apps.accounts.rights import COMMAND_LINE

    services.remove_group(name, by=COMMAND_LINE)
    typer.echo(f"{name} is removed")


def _show(name: str, as_json: bool) -> None:
    from isocenter.apps.accounts import queries

    emit(queries.group_row(queries.group(name)), as_json)
