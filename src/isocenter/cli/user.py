"""``isocenter user``: people."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from isocenter.cli.platform import ConfigOption, DataDirOption, JsonOption, connect, emit, fail

app = typer.Typer(no_args_is_help=True)
_COLUMNS = ("name", "full_name", "role", "state", "groups", "last_sign_in")

Name = Annotated[str, typer.Argument(help="Name that the person signs in with.")]
Role = Annotated[
    str | None,
    typer.Option(
        help="administrator, staff, physician, researcher, student or service.",
        show_default=False,
    ),
]
FullName = Annotated[str | None, typer.Option(show_default=False)]
Email = Annotated[str | None, typer.Option(show_default=False)]
Stdin = Annotated[
    bool, typer.Option("--stdin", help="Read the password from standard input, one line.")
]


@app.command("list")
def list_people(
    text: Annotated[str, typer.Argument(help="Part of a name.")] = "",
    role: Role = None,
    state: Annotated[str, typer.Option(help="active, disabled or waiting.")] = "",
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List people; those that wait for approval first."""
    if state not in ("", "active", "disabled", "waiting"):
        fail("--state is active, disabled or waiting", 2)
    connect(data_dir, config)
    from isocenter.apps.accounts import queries

    rows = [queries.person_row(user) for user in queries.people(text, state=state, role=role or "")]
    emit(rows, as_json, columns=_COLUMNS, empty="nobody: isocenter user create NAME --role …")


@app.command()
def show(
    name: Name,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one person."""
    connect(data_dir, config)
    _show(name, as_json)


@app.command()
def create(
    name: Name,
    role: Role = None,
    full_name: FullName = None,
    email: Email = None,
    stdin: Stdin = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a person. A first password is made up and printed once."""
    password = _password_of_stdin() if stdin else None
    connect(data_dir, config)
    from isocenter.apps.accounts import queries, services
    from isocenter.apps.accounts.rights import COMMAND_LINE

    made = services.create_user(
        name,
        by=COMMAND_LINE,
        role=role or "student",
        full_name=full_name or "",
        email=email or "",
        password=password,
    )
    row = queries.person_row(made.user)
    if made.password:
        row["password"] = made.password
    emit(row, as_json)
    if made.password and not as_json:
        typer.echo("The password is shown this once; it has to be changed at the first sign-in.")


@app.command()
def change(
    name: Name,
    role: Role = None,
    full_name: FullName = None,
    email: Email = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a person's role, full name or mail address."""
    given = {"role": role, "full_name": full_name, "email": email}
    values: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if not values:
        fail("nothing to change: give --role, --full-name or --email", 2)
    connect(data_dir, config)
    from isocenter.apps.accounts import services
    from isocenter.apps.accounts.rights import COMMAND_LINE

    services.change_user(name, by=COMMAND_LINE, **values)
    _show(name, as_json)


@app.command()
def disable(
    name: Name,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a person in no more; sessions end, tokens are refused."""
    _set_active(name, False, data_dir, config, as_json)


@app.command()
def enable(
    name: Name,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a disabled or locked person in again."""
    _set_active(name, True, data_dir, config, as_json)


@app.command()
def approve(
    name: Name,
    role: Role = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say yes to a person who registered."""
    connect(data_dir, config)
    from isocenter.apps.accounts import services
    from isocenter.apps.accounts.rights import COMMAND_LINE

    services.approve(name, by=COMMAND_LINE, role=role)
    _show(name, as_json)


@app.command()
def password(
    name: Name,
    stdin: Stdin = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a person a new password, printed once; they choose their own at the next sign-in."""
    given = _password_of_stdin() if stdin else None
    connect(data_dir, config)
    from isocenter.apps.accounts import services
    from isocenter.apps.accounts.rights import COMMAND_LINE

    made = services.set_password(name, given, by=COMMAND_LINE)
    emit({"name": name} if given else {"name": name, "password": made}, as_json)
    if not as_json:
        typer.echo("It has to be changed at the next sign-in. All sessions have ended.")


def _set_active(name: str, is_active: bool, data_dir: Any, config: Any, as_json: bool) -> None:
    connect(data_dir, config)
    from isocenter.apps.accounts import services
    from isocenter.apps.accounts.rights import COMMAND_LINE

    services.set_active(name, is_active, by=COMMAND_LINE)
    _show(name, as_json)


def _show(name: str, as_json: bool) -> None:
    from isocenter.apps.accounts import queries

    emit(queries.person_row(queries.person(name)), as_json)


def _password_of_stdin() -> str:
    """Typed unseen at a terminal, else the first line of what is piped in."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
