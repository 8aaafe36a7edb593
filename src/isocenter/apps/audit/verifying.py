"""Checking the chain: every seal, every event under it, and the transaction log beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isocenter.apps.audit import chain, sealing
from isocenter.apps.audit.chain import Place
from isocenter.apps.audit.models import EventSeal
from isocenter.apps.audit.transaction_log import TransactionLog

_EVENTS_AT_ONCE = 5000
_LINES_AT_ONCE = 1000

Progress = Callable[[int, int], None]  # seals, events so far


@dataclass(frozen=True)
class Problem:
    """The first place that is wrong.

    Attributes:
        seal: number of the seal; None: no seal is concerned.
        after_id, up_to_id: the events that the seal covers stand between these, if known.
    """

    text: str
    seal: int | None = None
    after_id: int | None = None
    up_to_id: int | None = None


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        events: that are sealed and as they were.
        unsealed: that no seal covers yet; nothing is said of them.
        log_lines: seals in the transaction log that were compared.
    """

    seals: int
    events: int
    unsealed: int
    log_lines: int
    problem: Problem | None = None

    @property
    def ok(self) -> bool:
        return self.problem is None

    def as_dict(self) -> dict[str, Any]:
        found = self.problem
        return {
            "ok": self.ok,
            "seals": self.seals,
            "events": self.events,
            "unsealed": self.unsealed,
            "log_lines": self.log_lines,
            "problem": None
            if found is None
            else {
                "text": found.text,
                "seal": found.seal,
                "after_id": found.after_id,
                "up_to_id": found.up_to_id,
            },
        }


@dataclass
class _Walk:
    seals: int = 0
    events: int = 0
    lines: int = 0
    problem: Problem | None = field(default=None)


def verify(
    log: TransactionLog | None, on_progress: Progress = lambda seals, events: None
) -> Verification:
    """Walk the whole chain, in bounded memory, up to the first place that is wrong.

    Args:
        log: the transaction log, which knows of each seal too, so that seals cannot be cut off
            at the end; None leaves that out.
        on_progress: told how many seals and events have been checked.
    """
    walk = _Walk()
    _walk_seals(walk, on_progress)
    if walk.problem is None and log is not None:
        _compare_log(walk, log)
    unsealed = sealing.unsealed() if walk.problem is None else 0
    return Verification(walk.seals, walk.events, unsealed, walk.lines, walk.problem)


def _walk_seals(walk: _Walk, on_progress: Progress) -> None:
    before, previous_hash = chain.START, chain.FIRST
    for seal in EventSeal.objects.order_by("number").iterator(chunk_size=500):
        walk.problem = _wrong_link(seal, walk.seals + 1, before, previous_hash)
        if walk.problem is None:
            walk.problem = _wrong_content(seal, before)
        if walk.problem is not None:
            return
        walk.seals += 1
        walk.events += seal.count
        before, previous_hash = sealing.place_of(seal), seal.hash
        on_progress(walk.seals, walk.events)


def _wrong_link(seal: EventSeal, number: int, before: Place, hash_before: str) -> Problem | None:
    if seal.number != number:
        missing = f"seal {number} is missing: {seal.number} comes after {number - 1}"
        return Problem(missing, number, before.id)
    if seal.previous_hash != hash_before:
        return Problem(
            f"seal {number} does not continue seal {number - 1}: one of them was changed",
            number,
            before.id,
            seal.last_id,
        )
    if sealing.place_of(seal) <= before:
        return Problem(f"seal {number} ends before it begins", number, before.id, seal.last_id)
    return None


def _wrong_content(seal: EventSeal, before: Place) -> Problem | None:
    """Hash the events under a seal as they are now."""
    end = sealing.place_of(seal)
    digest = hashlib.sha256(chain.canonical(sealing.head_of(seal).as_dict()))
    place, count = before, 0
    while True:
        events = sealing.links(place, end.turn + 1, limit=_EVENTS_AT_ONCE, up_to=end)
        for event in events:
            digest.update(chain.canonical(event.as_dict()))
        count += len(events)
        if len(events) < _EVENTS_AT_ONCE:
            break
        place = events[-1].place
    if count != seal.count:
        what = "events were removed" if count < seal.count else "events were put in"
        text = f"seal {seal.number} covers {seal.count} events, and {count} are there: {what}"
    elif digest.hexdigest() != seal.hash:
        text = f"an event under seal {seal.number}, or the seal itself, was changed"
    else:
        return None
    return Problem(text, seal.number, before.id, end.id)


def _compare_log(walk: _Walk, log: TransactionLog) -> None:
    """Each seal that the log knows must be in the table as the log has it."""
    for group in _groups(_seal_lines(log)):
        rows = EventSeal.objects.in_bulk([line["seal"] for line in group])
        for line in group:
            walk.lines += 1
            row = rows.get(line["seal"])
            if row is None:
                walk.problem = Problem(
                    f"the transaction log knows seal {line['seal']}, the table ends before it: "
                    "the end was cut off, or the database is older than the log",
                    line["seal"],
                )
            elif row.hash != line.get("hash"):
                walk.problem = Problem(
                    f"seal {row.number} is another one in the transaction log", row.number
                )
            if walk.problem is not None:
                return


def _seal_lines(log: TransactionLog) -> Iterator[dict[str, Any]]:
    mark = sealing.SEAL_KIND.encode()
    for path in log.files():
        for line in _lines_with(path, mark):
            try:
                found = json.loads(line)
            except ValueError:  # torn by a crash
                continue
            if (
                isinstance(found, dict)
                and found.get("event") == sealing.SEAL_KIND
                and isinstance(found.get("seal"), int)
            ):
                yield found


def _lines_with(path: Path, mark: bytes) -> Iterator[bytes]:
    try:
        stream = path.open("rb")
    except FileNotFoundError:  # rotated away meanwhile
        return
    with stream:
        yield from (line for line in stream if mark in line)


def _groups(lines: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for line in lines:
        group.append(line)
        if len(group) >= _LINES_AT_ONCE:
            yield group
            group = []
    if group:
        yield group
