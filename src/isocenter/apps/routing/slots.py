"""How many associations go to one node at once, of all deliveries on all hosts together.

A slot is an advisory lock of PostgreSQL that lives as long as the connection: when a worker dies,
its slots are free at once.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator

from django.db import connection


class Slots:
    """What one delivery holds of a node's slots; used by the thread that made it only."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._held: list[int] = []

    def take(self, wanted: int = 1) -> int:
        """Take what is free, without waiting; how many were got."""
        got: list[int] = []
        for number in range(self._limit):
            if len(got) >= wanted:
                break
            # One's own lock would be got again: PostgreSQL counts them per connection.
            if number not in self._held and _try(self._name, number):
                got.append(number)
                self._held.append(number)
        return len(got)

    def give_back(self) -> None:
        """Let others have all that is held."""
        while self._held:
            _release(self._name, self._held.pop())


@contextlib.contextmanager
def slots(name: str, limit: int) -> Iterator[Slots]:
    """Slots of a node, none at first; all are given back at the end."""
    held = Slots(name, limit)
    try:
        yield held
    finally:
        held.give_back()


def _key(name: str) -> int:
    # Two-part advisory locks take signed 32-bit numbers.
    return zlib.crc32(f"isocenter node {name}".encode()) - (1 << 31)


def _try(name: str, number: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_key(name), number])
        return bool(cursor.fetchone()[0])


def _release(name: str, number: int) -> None:
    # A connection that was lost has given its locks back already.
    if connection.connection is None or connection.connection.closed:
        return
    with contextlib.suppress(Exception), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_key(name), number])
