"""``isocenter token``: what programs sign in with."""

from __future__ import annotations

from typing import Annotated

import typer

from isocenter.cli.platform import ConfigOption, DataDirOption, JsonOption, connect, emit, fail

app = typer.Typer(no_args_is_help=True)
_COLUMNS = ("prefix", "user", "name", "scopes", "state", "expires_at", "last_used_at")


@app.command()
def create(
    user: Annotated[str, typer.Option(help="Whose token it is.", show_default=False)],
    scope: Annotated[
        list[str],
        typer.Option(help="all, read, or a right; again for more.", show_default=False),
    ],
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    days: Annotated[
        int | None,
        typer.Option(min=1, help="Ends after so many days; default: accounts.token_days."),
    ] = None,
    forever: Annotated[bool, typer.Option("--forever", help="Never ends.")] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token, printed once. Programs send it as ``Authorization: Bearer TOKEN``."""
    if forever and days:
        fail("--days and --forever exclude each other", 2)
    connect(data_dir, config)
    from isocenter.apps.accounts import queries, services
    from isocenter.apps.accounts.rights import COMMAND_LINE

    ends = services.expiry_after(days) if days else services.default_expiry()
    made = services.create_token(
        queries.person(user),
        scope,
        name=name,
        expires_at=None if forever else ends,
        by=COMMAND_LINE,
    )
    row = queries.token_row(made.row)
    shown = {key: row[key] for key in ("prefix", "user", "name", "scopes", "expires_at")}
    emit({"token": made.text, **shown}, as_json)
    if not as_json:
        typer.echo("The token is shown this once.")


@app.command("list")
def list_tokens(
    user: Annotated[str, typer.Option(help="Only of this person.")] = "",
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List tokens, the newest first; never their text."""
    connect(data_dir, config)
    from isocenter.apps.accounts import queries

    found = queries.tokens(queries.person(user) if user else None)
    rows = [queries.token_row(token) for token in found]
    emit(rows, as_json, columns=_COLUMNS, empty="no tokens: isocenter token create …")


@app.command()
def revoke(
    prefix: Annotated[str, typer.Argument(help="How the token begins (12 characters).")],
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a token at once."""
    connect(data_dir, config)
    from isocenter.apps.accounts import queries, services
    from isocenter.apps.accounts.rights import COMMAND_LINE

    emit(queries.token_row(services.revoke_token(prefix, by=COMMAND_LINE)), as_json)
