"""Events for other systems and for auditors: JSON lines or CSV, with the seals, streamed.

The JSON lines are the canonical form that is hashed: an export without a filter can be verified
by itself, with nothing but SHA-256.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

from isocenter.apps.audit import chain, sealing
from isocenter.apps.audit.chain import Link, Place
from isocenter.apps.audit.models import EventSeal
from isocenter.apps.audit.queries import EventFilter
from isocenter.core.errors import ConfigurationError

FORMATS = {"jsonl": "application/jsonl; charset=utf-8", "csv": "text/csv; charset=utf-8"}
Progress = Callable[[int], None]

_AT_ONCE = 2000
_COLUMNS = ("seal", "turn", "id", "at", "kind", "study_uid", "actor", "detail")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export(
    wanted: EventFilter,
    form: str = "jsonl",
    *,
    on_progress: Progress = lambda events: None,
) -> Iterator[bytes]:
    """What matches, in the chain's order, as pieces of a file; in bounded memory.

    Only what is decided when it begins; events of the last moments can be missing.

    Args:
        form: ``jsonl``: a line per event, and behind the events of a seal a line of the seal
            with its hash. ``csv``: a row per event with the number of its seal.
        on_progress: told how many events are out.

    Raises:
        ConfigurationError: another form.
    """
    if form not in FORMATS:
        raise ConfigurationError(f"{form!r} is no form of export", hint="jsonl or csv")
    below = sealing.decided()  # now, not when the first piece is asked for
    pieces = _as_jsonl(wanted, below) if form == "jsonl" else _as_csv(wanted, below)
    return _counted(pieces, on_progress)


def _counted(pieces: Iterator[tuple[int, bytes]], on_progress: Progress) -> Iterator[bytes]:
    done = 0
    for count, piece in pieces:
        done += count
        yield piece
        on_progress(done)


def _as_jsonl(wanted: EventFilter, below: int) -> Iterator[tuple[int, bytes]]:
    open_seal: EventSeal | None = None
    for group in _groups(wanted, below):
        lines: list[bytes] = []
        for event, seal in group:
            if open_seal is not None and (seal is None or seal.number != open_seal.number):
                lines.append(_seal_line(open_seal))
            open_seal = seal
            lines.append(chain.canonical(event.as_dict()))
        yield len(group), b"".join(lines)
    if open_seal is not None:
        yield 0, _seal_line(open_seal)


def _seal_line(seal: EventSeal) -> bytes:
    return chain.canonical(sealing.head_of(seal).as_dict() | {"hash": seal.hash})


def _as_csv(wanted: EventFilter, below: int) -> Iterator[tuple[int, bytes]]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(_COLUMNS)
    for group in _groups(wanted, below):
        for event, seal in group:
            row = event.as_dict() | {"seal": seal.number if seal else ""}
            row["detail"] = json.dumps(event.detail, ensure_ascii=False, sort_keys=True)
            writer.writerow([_cell(row[name]) for name in _COLUMNS])
        yield len(group), buffer.getvalue().encode("utf-8", "replace")
        buffer.seek(0)
        buffer.truncate()
    if buffer.tell():  # nothing but the head
        yield 0, buffer.getvalue().encode()


def _cell(value: Any) -> Any:
    """An AE title from outside must not be a formula in somebody's spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _groups(wanted: EventFilter, below: int) -> Iterator[list[tuple[Link, EventSeal | None]]]:
    """Events with their seals, some thousand at a time."""
    where, values = _condition(wanted)
    place = chain.START
    seals = _Seals()
    while True:
        events = sealing.links(place, below, limit=_AT_ONCE, where=where, values=values)
        if events:
            yield [(event, seals.over(event.place)) for event in events]
        if len(events) < _AT_ONCE:
            return
        place = events[-1].place


def _condition(wanted: EventFilter) -> tuple[str, list[Any]]:
    parts: list[tuple[str, Any]] = []
    if wanted.study_uid:
        parts.append(("study_uid = %s", wanted.study_uid))
    if wanted.kinds:
        parts.append(("kind = ANY(%s)", list(wanted.kinds)))
    if wanted.actor:
        parts.append(("actor = %s", wanted.actor))
    if wanted.since is not None:
        parts.append(("at >= %s", wanted.since))
    if wanted.until is not None:
        parts.append(("at < %s", wanted.until))
    return " AND ".join(text for text, _ in parts), [value for _, value in parts]


class _Seals:
    """The seals in their order, beside events that are read in theirs."""

    _AT_ONCE = 500

    def __init__(self) -> None:
        self._waiting: list[EventSeal] = []  # the next one last

    def over(self, place: Place) -> EventSeal | None:
        """The seal that covers an event; None when it is not sealed yet."""
        while self._waiting and sealing.place_of(self._waiting[-1]) < place:
            self._waiting.pop()
        if not self._waiting:
            self._waiting = sealing.seals_from(place, limit=self._AT_ONCE)[::-1]
        return self._waiting[-1] if self._waiting else None
