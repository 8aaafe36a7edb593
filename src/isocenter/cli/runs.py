"""``isocenter runs``: runs of pipelines."""

from __future__ import annotations

from typing import Annotated

import typer

from isocenter.cli.platform import ConfigOption, DataDirOption, JsonOption, connect, emit, fail

app = typer.Typer(no_args_is_help=True)
_COLUMNS = (
    "id",
    "state",
    "delivered",
    "route",
    "study_uid",
    "revision",
    "created_at",
    "seconds",
    "reason",
)

RunId = Annotated[str, typer.Argument(help="Id of the run, or its beginning.", show_default=False)]


@app.command("list")
def list_runs(
    study: Annotated[str, typer.Option(help="Only of this study (UID).")] = "",
    state: Annotated[
        list[str] | None, typer.Option(help="queued, running, done, failed, cancelled.")
    ] = None,
    route: Annotated[str, typer.Option(help="Only of this route.")] = "",
    limit: Annotated[int, typer.Option(min=1)] = 100,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, the newest first."""
    connect(data_dir, config)
    from isocenter.apps.routing import queries, rows

    found = queries.runs(study_uid=study, states=state or (), route_name=route, limit=limit)
    emit([rows.run_row(item) for item in found], as_json, columns=_COLUMNS, empty="no runs")


@app.command()
def show(
    run_id: RunId,
    log: Annotated[bool, typer.Option("--log", help="What the steps printed.")] = False,
    step: Annotated[str, typer.Option(help="With --log: only this step.")] = "",
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a run: steps, outputs, deliveries; or the log of its steps."""
    connect(data_dir, config)
    from isocenter.apps.routing import queries, rows
    from isocenter.apps.routing.step_execution import log_text

    run = queries.run(run_id)
    if not log:
        detail = rows.run_detail(run)
        if not as_json:
            detail["artifacts"] = _grouped(detail["artifacts"])
            detail["steps"] = [
                {key: value for key, value in item.items() if key != "data"}
                for item in detail["steps"]
            ]
        emit(detail, as_json)
        return
    chosen = [queries.step_of(run, step)] if step else list(run.steps.all())
    logs = [{"step": item.name, "index": item.index, "log": log_text(item)} for item in chosen]
    if as_json:
        emit(logs, as_json)
        return
    for entry in logs:
        typer.secho(f"-- {entry['index']} {entry['step']}", bold=True)
        typer.echo(entry["log"] or "(nothing)")


@app.command()
def retry(
    run_id: RunId,
    from_step: Annotated[
        str | None, typer.Option(help="Name or number; default: the first that is not done.")
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do a run again. What a step made and still has is not made again."""
    connect(data_dir, config)
    from isocenter.apps.routing import rows, services

    emit(rows.run_row(services.retry_run(run_id, from_step=from_step, actor="cli")), as_json)


@app.command()
def cancel(
    run_id: RunId,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a run and what it has not sent yet."""
    connect(data_dir, config)
    from isocenter.apps.routing import rows, services

    emit(rows.run_row(services.cancel_run(run_id, actor="cli")), as_json)


@app.command()
def prioritise(
    run_id: RunId,
    priority: Annotated[int, typer.Argument(min=-1000, max=1000, help="Higher comes first.")],
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set the priority of a run that is not over."""
    connect(data_dir, config)
    from isocenter.apps.routing import rows, services

    emit(rows.run_row(services.prioritise(run_id, priority, actor="cli")), as_json)


@app.command()
def start(
    study: Annotated[str, typer.Option(help="StudyInstanceUID.", show_default=False)],
    route: Annotated[str, typer.Option(help="Its pipeline and destinations.")] = "",
    pipeline: Annotated[str, typer.Option(help="A pipeline without a route.")] = "",
    destination: Annotated[
        list[str] | None, typer.Option(help="Nodes; default: the route's.")
    ] = None,
    priority: Annotated[int | None, typer.Option(help="Default: the route's.")] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a run by hand on the newest revision of a study, whatever the condition says."""
    if bool(route) == bool(pipeline):
        fail("name either --route or --pipeline", 2)
    connect(data_dir, config)
    from isocenter.apps.routing import rows, services

    run = services.start(
        study,
        route_name=route,
        pipeline_name=pipeline,
        destinations=tuple(destination or ()),
        priority=priority,
        actor="cli",
    )
    emit(rows.run_row(run), as_json)


def _grouped(artifacts: list[dict[str, object]]) -> list[dict[str, object]]:
    """One line per series or file, for people."""
    groups: dict[tuple[object, object], dict[str, object]] = {}
    for item in artifacts:
        key = (item["kind"], item["series_uid"] or item["path"])
        group = groups.setdefault(
            key,
            {"kind": item["kind"], "role": item["role"], "files": 0, "first": item["path"]},
        )
        group["files"] = int(str(group["files"])) + 1
    return list(groups.values())
