"""``isocenter audit``: the events, and whether they are as they were written."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from isocenter.cli.late_progress import LateProgress
from isocenter.cli.platform import (
    FAILED,
    USAGE,
    ConfigOption,
    DataDirOption,
    JsonOption,
    connect,
    emit,
    fail,
)
from isocenter.runtime.days import end_of_day

if TYPE_CHECKING:
    from isocenter.apps.audit.queries import EventFilter

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("at", "kind", "study_uid", "actor", "detail")
_DAYS = 10  # letters of a date without a time

StudyOption = Annotated[str, typer.Option(help="Only of this study (UID).")]
KindOption = Annotated[
    list[str] | None, typer.Option(help="Only this kind; can be repeated.", show_default=False)
]
ActorOption = Annotated[str, typer.Option(help="Only of this person or AE title.")]
SinceOption = Annotated[
    str, typer.Option(metavar="TIME", help="Not before this day or time (ISO 8601; UTC).")
]
UntilOption = Annotated[
    str, typer.Option(metavar="TIME", help="Before this time; a day counts whole.")
]


@app.command("list")
def list_events(
    *,
    study: StudyOption = "",
    kind: KindOption = None,
    actor: ActorOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """List events, the newest first.

    JSON: a list of objects with id, at, kind, study_uid, actor, detail.
    """
    connect(data_dir, config)
    from isocenter.apps.audit.queries import event_page, event_row

    wanted = _wanted(study, kind, actor, since, until)
    found = event_page(wanted, limit=limit).events
    emit([event_row(row) for row in found], as_json, columns=_COLUMNS, empty="no events")


@app.command()
def verify(
    *,
    log: Annotated[
        bool, typer.Option("--log/--no-log", help="Compare with logs/transactions.jsonl too.")
    ] = True,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Check that every sealed event is as it was written: nothing changed, added, taken away.

    Stops at the first place that is wrong, with exit code 1.

    JSON: an object with ok, seals, events, unsealed, log_lines and problem: null, or text, seal,
    after_id and up_to_id.
    """
    connect(data_dir, config)
    from isocenter.apps.audit.models import EventSeal
    from isocenter.apps.audit.services import verify as verify_chain

    sealed = EventSeal.objects.order_by("-number").values_list("number", flat=True).first() or 1
    with LateProgress() as progress:
        found = verify_chain(
            with_log=log,
            on_progress=lambda seals, events: progress(seals / sealed, f"{events} events"),
        )
    if as_json:
        emit(found.as_dict(), True)
    elif found.problem is None:
        typer.echo(
            f"All is as it was written: {found.events} events under {found.seals} seals"
            f" ({found.log_lines} compared with the log). {found.unsealed} not sealed yet."
        )
    else:
        where = found.problem
        span = f" (events after {where.after_id} up to {where.up_to_id})" if where.up_to_id else ""
        fail(f"{where.text}{span}; {found.events} events before that are as they were written")
    if not found.ok:
        raise typer.Exit(FAILED)


@app.command()
def export(
    target: Annotated[
        Path | None, typer.Argument(help="File to write; else stdout.", show_default=False)
    ] = None,
    *,
    form: Annotated[str, typer.Option("--format", help="jsonl or csv.")] = "jsonl",
    study: StudyOption = "",
    kind: KindOption = None,
    actor: ActorOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Write events out in the order of the chain, with the seals over them."""
    connect(data_dir, config)
    from isocenter.apps.audit.services import export as export_events

    wanted = _wanted(study, kind, actor, since, until)
    if target is None:
        _write(sys.stdout.buffer, export_events(wanted, form, actor="cli"))
        return
    if target.exists():
        fail(f"{target} exists already", USAGE)
    draft = target.with_name(f".{target.name}.part")
    with ExitStack() as stack:
        stack.callback(draft.unlink, missing_ok=True)
        with draft.open("xb") as stream:
            _write(stream, export_events(wanted, form, actor="cli"))
        draft.rename(target)


def _write(stream: BinaryIO, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        stream.write(piece)
    stream.flush()


def _wanted(study: str, kinds: list[str] | None, actor: str, since: str, until: str) -> EventFilter:
    from isocenter.apps.audit.kinds import Kind
    from isocenter.apps.audit.queries import EventFilter

    for name in kinds or ():
        if name not in Kind.__members__:
            fail(f"{name!r} is no kind of event: {', '.join(Kind.__members__)}", USAGE)
    return EventFilter(
        study_uid=study,
        kinds=tuple(kinds or ()),
        actor=actor,
        since=_time(since),
        until=_time(until, is_end=True),
    )


def _time(text: str, *, is_end: bool = False) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is no time: write it as 2026-01-31 or 2026-01-31T12:00", USAGE)
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return end_of_day(found.date()) if is_end and len(text) == _DAYS else found
