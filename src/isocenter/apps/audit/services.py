"""Writing events: a row in the caller's transaction, a line in the transaction log after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from isocenter.apps.accounts.rights import Principal
from isocenter.apps.audit import exporting, sealing, verifying
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.models import Event
from isocenter.apps.audit.queries import EventFilter
from isocenter.apps.audit.transaction_log import TransactionLog
from isocenter.apps.audit.verifying import Verification

ONE_VIEW = timedelta(minutes=5)

log = structlog.get_logger(__name__)

# An event may never say who the patient is, whatever a caller hands over.
_IDENTIFYING = frozenset(
    {
        "patient_name",
        "patient_id",
        "patient_birth_date",
        "patient_sex",
        "issuer_of_patient_id",
        "accession_number",
        "referring_physician_name",
    }
)


@dataclass(frozen=True)
class Entry:
    """One event to be written."""

    kind: Kind | str
    study_uid: str = ""
    actor: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None


def record(
    kind: Kind | str,
    *,
    study_uid: str = "",
    actor: str = "",
    at: datetime | None = None,
    **detail: Any,
) -> None:
    """Write one event. ``detail`` takes UIDs, counts, AE titles, addresses; no identity."""
    record_many([Entry(kind, study_uid, actor, detail, at)])


def record_many(entries: Iterable[Entry]) -> None:
    """Write events in the caller's transaction; their log lines follow its commit."""
    now = timezone.now()
    events = [
        Event(
            at=entry.at or now,
            kind=Kind(entry.kind),
            study_uid=_clean(entry.study_uid)[:255],
            actor=_clean(entry.actor)[:255],
            detail={
                key: _clean(value) for key, value in entry.detail.items() if key not in _IDENTIFYING
            },
        )
        for entry in entries
    ]
    if not events:
        return
    Event.objects.bulk_create(events, batch_size=500)
    transaction.on_commit(partial(_write_events, events))


def record_view(principal: Principal, study_uid: str, what: str = "study") -> bool:
    """Write down that somebody looks at a study; the same again within five minutes is one view.

    Args:
        what: what of it they look at: ``study``, ``images``, …

    Returns:
        whether an event was written.
    """
    same = Event.objects.filter(
        study_uid=study_uid,
        kind=Kind.STUDY_VIEWED,
        actor=principal.name,
        at__gte=timezone.now() - ONE_VIEW,
        detail__what=what,
    )
    if same.exists():
        return False
    detail = {"what": what} | ({"token": principal.token} if principal.token else {})
    record_many([Entry(Kind.STUDY_VIEWED, study_uid, principal.name, detail)])
    return True


def seal_events() -> int:
    """Seal what is committed; called every few seconds. Says how many events."""
    return sealing.seal_events()


def go_on_growing() -> bool:
    """After migrations, before anything writes: mend the order of a restored database."""
    return sealing.go_on_growing()


def verify(
    *, with_log: bool = True, on_progress: verifying.Progress = lambda seals, events: None
) -> Verification:
    """Walk the chain of all events up to the first place that is wrong.

    Args:
        with_log: compare the seals with the transaction log's too.
    """
    return verifying.verify(transaction_log() if with_log else None, on_progress)


def export(
    wanted: EventFilter,
    form: str = "jsonl",
    *,
    actor: str,
    on_progress: exporting.Progress = lambda events: None,
) -> Iterator[bytes]:
    """Events as pieces of a file, ``jsonl`` or ``csv``, streamed; that it was asked for is an
    event too.

    Raises:
        ConfigurationError: another form.
    """
    pieces = exporting.export(wanted, form, on_progress=on_progress)
    record_many(
        [Entry(Kind.EVENTS_EXPORTED, actor=actor, detail={"form": form, **wanted.as_dict()})]
    )
    return pieces


def _write_events(events: list[Event]) -> None:
    write_lines([as_line(event) for event in events])


def write_lines(lines: list[dict[str, Any]]) -> None:
    """Append to the transaction log, after the commit of what the lines say."""
    try:
        transaction_log().append(lines)
    except OSError as error:
        # The rows are there; a full disk must not undo what was just committed.
        log.error("transaction_log_failed", reason=error.strerror, lines=len(lines))


def transaction_log() -> TransactionLog:
    """The log of this installation."""
    logs = settings.ISOCENTER.logs
    return TransactionLog(
        settings.LAYOUT.logs / "transactions.jsonl", logs.rotate_mb << 20, logs.keep
    )


def as_line(event: Event) -> dict[str, Any]:
    """The log's form of an event."""
    line: dict[str, Any] = {"at": event.at.isoformat(), "event": str(event.kind)}
    if event.study_uid:
        line["study_uid"] = event.study_uid
    if event.actor:
        line["actor"] = event.actor
    return line | {key: value for key, value in event.detail.items() if key not in line}


def _clean(value: Any) -> Any:
    """PostgreSQL takes no NUL and no lone surrogate in text."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {str(_clean(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(item) for item in value]
    return value
