"""``isocenter quarantine``: what could not be done, and what to do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isocenter.cli.platform import ConfigOption, DataDirOption, JsonOption, connect, emit, fail

app = typer.Typer(no_args_is_help=True)
_COLUMNS = ("id", "kind", "state", "study_uid", "attempts", "last_at", "reason")

ItemId = Annotated[
    str, typer.Argument(help="Id of the item, or its beginning.", show_default=False)
]


@app.command("list")
def list_items(
    kind: Annotated[list[str] | None, typer.Option(help="instance, run, delivery.")] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="held, retrying, resolved, released, deleted.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="What is over, too.")] = False,
    study: Annotated[str, typer.Option(help="Only of this study (UID).")] = "",
    limit: Annotated[int, typer.Option(min=1)] = 100,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is in quarantine, the newest first."""
    connect(data_dir, config)
    from isocenter.apps.routing import queries, rows

    states = () if everything else tuple(state or ("held", "retrying"))
    found = queries.quarantine_items(kinds=kind or (), states=states, study_uid=study, limit=limit)
    emit(
        [rows.quarantine_row(item) for item in found],
        as_json,
        columns=_COLUMNS,
        empty="the quarantine is empty",
    )


@app.command()
def show(
    item_id: ItemId,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an item with its trace and its files."""
    connect(data_dir, config)
    from isocenter.apps.routing import queries, rows
    from isocenter.apps.routing.quarantining import folder_of

    item = queries.quarantine_item(item_id)
    folder = folder_of(item)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    emit(
        rows.quarantine_row(item) | {"trace": item.trace, "folder": str(folder), "files": files},
        as_json,
    )


@app.command()
def retry(
    item_ids: Annotated[
        list[str] | None, typer.Argument(help="Ids, or beginnings.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that is held.")] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try again."""
    connect(data_dir, config)
    from isocenter.apps.routing import queries, rows, services
    from isocenter.core.errors import IsocenterError

    if everything:
        held = queries.quarantine_items(states=("held",), limit=100_000)
        item_ids = [str(item.pk) for item in held]
    elif not item_ids:
        fail("name items, or --all", 2)
    done, problems = [], []
    for item_id in item_ids or ():
        try:
            done.append(rows.quarantine_row(services.retry_quarantined(item_id, actor="cli")))
        except IsocenterError as error:
            problems.append(f"{item_id}: {error}")
    emit(done, as_json, columns=_COLUMNS, empty="nothing was tried again")
    if problems:
        fail("\n".join(problems))


@app.command()
def release(
    item_id: ItemId,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a run or a delivery go: nothing more is done, its copies here are removed."""
    connect(data_dir, config)
    from isocenter.apps.routing import rows, services

    emit(rows.quarantine_row(services.release_quarantined(item_id, actor="cli")), as_json)


@app.command()
def export(
    item_id: ItemId,
    target: Annotated[Path, typer.Argument(help="A new folder, or a new file NAME.zip.")],
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy what is kept for an item."""
    target = target.expanduser().absolute()
    connect(data_dir, config)
    from isocenter.apps.routing import services

    count = services.export_quarantined(item_id, target)
    emit({"target": str(target), "files": count}, as_json)


@app.command()
def delete(
    item_id: ItemId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove an item and what is kept for it. For an instance that is its only copy."""
    connect(data_dir, config)
    from isocenter.apps.routing import queries, rows, services

    item = queries.quarantine_item(item_id)
    if not yes:
        typer.confirm(f"Delete {item.kind} {item.pk} ({item.reason})?", abort=True)
    emit(rows.quarantine_row(services.delete_quarantined(item.pk, actor="cli")), as_json)
