"""``isocenter deid-project``: projects of de-identification on the platform."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from isocenter.cli.platform import (
    USAGE,
    ConfigOption,
    DataDirOption,
    JsonOption,
    connect,
    emit,
    fail,
)

app = typer.Typer(no_args_is_help=True)
_COLUMNS = ("name", "version", "summary", "patients", "changed_at", "changed_by")
_ACTOR = "cli"
_SECRET_COMMENT = "# Secret of the de-identification project {}. Keep it to yourself.\n"  # noqa: S105

Result = TypeVar("Result")
Name = Annotated[str, typer.Argument(help="Name of the project.", show_default=False)]
From = Annotated[
    Path | None,
    typer.Option("--from", help="YAML file, or - for standard input.", show_default=False),
]
Description = Annotated[str | None, typer.Option(help="What the project is for.")]
NewFile = Annotated[
    Path, typer.Argument(metavar="OUT", help="A new file, for its owner alone; - to print it.")
]


@app.command("list")
def list_projects(
    data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the projects."""
    connect(data_dir, config)
    from isocenter.apps.deid import queries

    rows = [asdict(row) for row in queries.projects()]
    emit(rows, as_json, columns=_COLUMNS, empty="no projects: isocenter deid-project create NAME")


@app.command()
def show(
    name: Name,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a project as YAML that `create` and `set` take."""
    connect(data_dir, config)
    from isocenter.apps.deid import queries, services

    document = queries.document_of(queries.project(name))
    row = asdict(queries.project_row(name))
    used = queries.pipelines_of(name)
    if as_json:
        emit(row | {"pipelines": used, "document": document.model_dump(mode="json")}, True)
        return
    told = f"version {row['version']}, {row['patients']} patients, {row['legacy']} of NETRT"
    typer.echo(f"# {name}: {told}\n# pipelines: {', '.join(used) or 'none'}")
    typer.echo(services.write_document(document, row["description"]), nl=False)


@app.command()
def create(
    name: Name,
    file: From = None,
    description: Description = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            "--secret-file", dir_okay=False, help="Take over this secret of `isocenter deidentify`."
        ),
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a project with a new secret; without a file it is the Basic Profile."""
    text = _read(file) if file else ""
    connect(data_dir, config)
    from isocenter.apps.deid import services
    from isocenter.core.deid.pseudonyms.secrets import Secret

    document, told = _named(file, lambda: services.read_file(text, str(file or name)))
    secret = Secret.from_file(secret_file) if secret_file else None
    made = _named(
        file,
        lambda: services.create_project(
            name, document, description=description or told or "", secret=secret, actor=_ACTOR
        ),
    )
    _done(name, "made", made.version, as_json)


@app.command("set")
def set_project(
    name: Name,
    file: From = None,
    description: Description = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set a project to what a file says, or its description; secret and map stay."""
    if file is None and description is None:
        fail("give --from FILE or --description TEXT", USAGE)
    text = _read(file) if file else ""
    connect(data_dir, config)
    from isocenter.apps.deid import queries, services

    before = queries.project(name)
    document, told = queries.document_of(before), None
    if file is not None:
        document, told = _named(file, lambda: services.read_file(text, str(file)))
    changed = _named(
        file,
        lambda: services.change_project(
            name,
            document,
            description=told if description is None else description,
            version=before.version,
            actor=_ACTOR,
        ),
    )
    _done(name, "set", changed.version, as_json)


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove a project that no pipeline names, with its secret and map: for good."""
    connect(data_dir, config)
    from isocenter.apps.deid import queries, services

    row = queries.project_row(name)
    if not yes:
        told = f"{name} with its secret and {row.patients} patients: nobody can say any more who"
        typer.confirm(f"{told} they were. Delete it?", abort=True)
    services.delete_project(name, actor=_ACTOR)
    typer.echo(f"{name} is deleted")


@app.command()
def lookup(
    name: Name,
    pseudonym: Annotated[
        str | None, typer.Option(help="Whose is this? A new Patient ID or Patient's Name.")
    ] = None,
    patient_id: Annotated[
        str | None,
        typer.Option(
            "--patient-id",
            help="Which pseudonym has this patient? - reads the ID from standard input, so that "
            "it is in no shell's history.",
        ),
    ] = None,
    issuer: Annotated[str, typer.Option(help="Of that Patient ID; default: any.")] = "",
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who is behind a pseudonym, or which pseudonym somebody has. The question is an event."""
    if (pseudonym is None) == (patient_id is None):
        fail("give either --pseudonym or --patient-id", USAGE)
    if patient_id == "-":
        patient_id = sys.stdin.readline().strip()
    connect(data_dir, config)
    from isocenter.apps.deid import services

    found = services.look_up(
        name, pseudonym=pseudonym, patient_id=patient_id, issuer=issuer, actor=_ACTOR
    )
    emit([asdict(one) for one in found], as_json, empty="not in this project")
    if not found:
        raise typer.Exit(1)


@app.command("import")
def import_file(
    name: Name,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV, or pid_mapping.json.")
    ],
    netrt: Annotated[
        bool, typer.Option("--netrt", help="The file is a pid_mapping.json of NETRT.")
    ] = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a list of pseudonyms into the map: all of it or nothing."""
    content = file.read_bytes()
    connect(data_dir, config)
    from isocenter.apps.deid import services

    take = services.import_netrt_map if netrt else services.import_map
    done = take(name, content, actor=_ACTOR)
    if as_json:
        emit(asdict(done), True)
    else:
        typer.echo(f"{done.added} added, {done.known} were there already")


@app.command()
def export(
    name: Name, out: NewFile, data_dir: DataDirOption = None, config: ConfigOption = None
) -> None:
    """Write the map as CSV: who each patient is. That it was taken is an event."""
    _refuse_old(out)
    connect(data_dir, config)
    from isocenter.apps.deid import services

    _write(out, services.export_map(name, actor=_ACTOR))


@app.command()
def secret(
    name: Name, out: NewFile, data_dir: DataDirOption = None, config: ConfigOption = None
) -> None:
    """Write the secret as a file for `isocenter deidentify --secret-file`. It is an event."""
    _refuse_old(out)
    connect(data_dir, config)
    from isocenter.apps.deid import services

    key = services.secret_of(name, actor=_ACTOR).key
    _write(out, f"{_SECRET_COMMENT.format(name)}{key.hex()}\n")


@app.command("rotate-key")
def rotate_key(
    data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Seal the secrets and maps of all projects with a new key."""
    connect(data_dir, config)
    from isocenter.apps.deid import services

    done = services.rotate_key(actor=_ACTOR)
    if as_json:
        emit(asdict(done), True)
        return
    typer.echo(f"sealed with a new key: projects {done.projects}, patients {done.patients}")
    if done.retired:
        typer.echo(
            f"the old one is kept in {done.retired}, for backups from before; copy the new key file"
        )


def _done(name: str, what: str, version: int, as_json: bool) -> None:
    if as_json:
        emit({"name": name, "version": version}, True)
    else:
        typer.echo(f"{name} is {what}, version {version}")


def _named(file: Path | None, make: Callable[[], Result]) -> Result:
    """Ends the command with what is wrong, key by key."""
    from isocenter.apps.deid.services import ProjectProblems

    try:
        return make()
    except ProjectProblems as error:
        lines = "\n".join(f"{key}: {text}" for key, text in error.problems.items())
        fail(f"{file}:\n{lines}" if file else lines)


def _read(file: Path) -> str:
    return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")


def _refuse_old(out: Path) -> None:
    """Before anything is opened: what is written over is lost."""
    if str(out) != "-" and out.exists():
        fail(f"{out} is there already; name another file", USAGE)


def _write(out: Path, text: str) -> None:
    """To a new file that only its owner can read; what stands in it identifies people."""
    if str(out) == "-":
        typer.echo(text, nl=False)
        return
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        fail(f"{out} is there already; name another file", USAGE)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    typer.echo(f"written: {out}", err=True)
