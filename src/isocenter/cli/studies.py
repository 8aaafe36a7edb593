"""``isocenter studies``: what is here, what it waits for, completing, protecting, deleting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isocenter.cli.late_progress import LateProgress
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
    called_ae_title, address), received_at, last_received_at, complete_at, due_at, protected.
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


@app.command("protect")
def protect_study(
    study_uid: StudyArgument,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Keep a study from being deleted, by anybody and by retention.

    JSON: an object with study_uid, protected, by, at.
    """
    _protect(study_uid, True, as_json, data_dir, config)


@app.command("unprotect")
def unprotect_study(
    study_uid: StudyArgument,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Let a study be deleted again.

    JSON: as that of ``protect``.
    """
    _protect(study_uid, False, as_json, data_dir, config)


def _protect(
    study_uid: str, on: bool, as_json: bool, data_dir: Path | None, config: Path | None
) -> None:
    connect(data_dir, config)
    from isocenter.apps.archive.services import protect

    study = protect(study_uid, on, actor="cli")
    emit(
        {
            "study_uid": study_uid,
            "protected": study.protected,
            "by": study.protected_by,
            "at": study.protected_at,
        },
        as_json,
    )


@app.command("delete")
def delete_study(
    study_uid: StudyArgument,
    series: Annotated[str, typer.Option(help="Only this series (UID).")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Delete a study: instances, runs, outputs, reports, and what of it is in quarantine.

    Refused while it is protected, or a run or a delivery of it is at work. Its events stay.

    JSON: an object with study_uid, instances, bytes and, for a whole study, runs, deliveries,
    quarantined.
    """
    connect(data_dir, config)
    from isocenter.apps.archive import services
    from isocenter.apps.archive.queries import study

    row = study(study_uid)
    what = f"series {series} of study {study_uid}" if series else f"study {study_uid}"
    if not yes:
        typer.confirm(f"Delete {what} ({row.instance_count} instances received)?", abort=True)
    if series:
        counts = services.delete_series(study_uid, series, actor="cli")
    else:
        counts = services.delete_study(study_uid, actor="cli")
    emit({"study_uid": study_uid, **counts}, as_json)


@app.command("retention")
def retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go and what stays; delete nothing.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="List at most so many of a class.")] = 1000,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Delete now what is older than the retention times; workers do it by themselves.

    JSON with --dry-run: a list of objects with class, study_uid, what, instances, bytes, since,
    kept (why it stays; empty: it goes). Else an object with deleted.
    """
    connect(data_dir, config)
    if dry_run:
        from isocenter.apps.archive.queries import retention_plan

        rows = [item.as_dict() for item in retention_plan(limit)]
        emit(rows, as_json, empty="nothing is old enough")
        return
    from isocenter.apps.archive.services import sweep_retention

    deleted = 0
    with LateProgress() as progress:
        while done := sweep_retention():
            deleted += done
            progress(0.0, f"{deleted} deleted")
    emit({"deleted": deleted}, as_json)
