"""The hash chain over events: what is hashed, and how. No database here.

Events are sealed in groups. The hash of a seal is SHA-256 over lines of canonical JSON (UTF-8,
keys sorted, no spaces, each ended by a line feed): first the seal's own line, which has the hash
of the seal before it, then one line for each event that it covers, in the order (turn, id). Whoever
changes, adds, removes or moves an event, or takes a seal away from between two others, changes a
hash that the next seal has in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

FIRST = "0" * 64  # what stands for the hash before the first seal


@dataclass(frozen=True, order=True)
class Place:
    """Where an event stands in the chain's order.

    Attributes:
        turn: grows with the transactions that wrote events; one that is still open has a turn
            that no seal has reached.
    """

    turn: int
    id: int


START = Place(-1, 0)


@dataclass(frozen=True)
class Link:
    """An event as it is hashed."""

    place: Place
    at: datetime
    kind: str
    study_uid: str
    actor: str
    detail: Any

    def as_dict(self) -> dict[str, Any]:
        """The form that is hashed and exported."""
        return {
            "id": self.place.id,
            "turn": self.place.turn,
            "at": moment(self.at),
            "kind": self.kind,
            "study_uid": self.study_uid,
            "actor": self.actor,
            "detail": self.detail,
        }


@dataclass(frozen=True)
class Head:
    """What a seal says beside its hash."""

    number: int
    at: datetime
    previous_hash: str
    count: int
    last: Place

    def as_dict(self) -> dict[str, Any]:
        return {
            "seal": self.number,
            "at": moment(self.at),
            "previous_hash": self.previous_hash,
            "count": self.count,
            "last_turn": self.last.turn,
            "last_id": self.last.id,
        }


def moment(at: datetime) -> str:
    """A time as it is hashed: UTC, always with microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def canonical(value: object) -> bytes:
    """One line of canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def seal_hash(head: Head, events: Iterable[Link]) -> str:
    """The hash of a seal over the events that it covers, in their order; hex."""
    digest = hashlib.sha256(canonical(head.as_dict()))
    for event in events:
        digest.update(canonical(event.as_dict()))
    return digest.hexdigest()
