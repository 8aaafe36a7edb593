"""How many deliveries go to one node at once, on all hosts together.

A slot is an advisory lock of PostgreSQL that lives as long as the connection: when a worker dies,
its slots are free at once.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator

from django.db import connection


@contextlib.contextmanager
def slot(name: str, count: int) -> Iterator[bool]:
    """Hold one of a node's slots; False when all are taken."""
    taken = next((number for number in range(count) if _try(name, number)), None)
    try:
        yield taken is not None
    finally:
        if taken is not None:
            _release(name, taken)


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
