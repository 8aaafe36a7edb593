"""``isocenter studies``: what is here, what it waits for, completing by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from isocenter.cli.platform import ConfigOption, DataDirOption, JsonOption, connect, emit

app = typer.Typer(no_args_is_help=True)

_COLUMNS = (
    "study_uid",
    "patient_id",
    "study_description",
    "modalities",
    "instances",
    "state",
    "revision",
    "waiting_for",
    "flags",
    "last_received_at",
)

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY_UID", show_default=False)]


@app.command("list")
def list_studies(
    *,
    state: Annotated[
        list[str] | None,
        typer.Option(help="Only these: receiving, waiting, complete, held.", show_default=False),
    ] = None,
    search: Annotated[str, typer.Option(help="Part of a UID, identifier, name or text.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """List studies, the last received first.

    JSON: a list of objects with study_uid, state, instances, series (counts of what was received),
    modalities, revision, waiting_for (sentences), flags (codes), warnings, patient_id,
    patient_name, study_date, study_description, accession_number, source (kind, calling_ae_title,
    called_ae_title, address), received_at, last_received_at, complete_at, due_at.
    """
    connect(data_dir, config)
    from isocenter.apps.archive.queries import studies, study_row

    rows = [study_row(study) for study in studies(states=state or (), search=search, limit=limit)]
    emit(rows, as_json, columns=_COLUMNS, empty="no studies")


@app.command("show")
def show_study(
    study_uid: StudyArgument,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Show one study: its state, flags, series and revisions.

    JSON: the object of ``list`` with flags as objects (code, text), series_list (series_uid,
    modality, series_number, series_description, instances, derived) and revisions (number, reason,
    missing, instances, digest, created_at).
    """
    connect(data_dir, config)
    from isocenter.apps.archive.queries import study_detail

    emit(study_detail(study_uid), as_json)


@app.command("complete")
def complete_study(
    study_uid: StudyArgument,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Complete a study by hand, whatever it waits for, and evaluate every enabled route.

    JSON: an object with study_uid, revision, reason, instances, missing.
    """
    connect(data_dir, config)
    from isocenter.apps.archive.services import force_complete

    revision = force_complete(study_uid, actor="cli")
    emit(
        {
            "study_uid": study_uid,
            "revision": revision.number,
            "reason": str(revision.reason),
            "instances": revision.instance_count,
            "missing": list(revision.missing),
        },
        as_json,
    )
