"""Database connections of the receiver: few, kept, and held only while something is read.

Each association has a thread, and Django gives each thread a connection of its own, which would
be opened for each association and held to its end. Here threads borrow: a connection is taken for
a question and given back when its rows are here, so that 50 associations need few, and the next
one finds one that is open and warm. Whether one still works is seen when it is used: where the
database went away in between, all that are idle are closed and the question is asked once more.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

#: Borrowed at a time; who comes later waits.
MOST = 8
_KEPT = 4  # idle ones
_IDLE_S = 300.0
_WAIT_S = 20.0
_ALIAS = "default"

_Answer = TypeVar("_Answer")


class TooMany(OperationalError):
    """All connections were in use, for long."""


class _Pool:
    """Idle connections, the last used on top."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(MOST)
        self._lock = threading.Lock()
        self._idle: list[tuple[float, BaseDatabaseWrapper]] = []

    def take(self) -> BaseDatabaseWrapper:
        """One for this thread, perhaps not opened yet.

        Raises:
            TooMany: none became free.
        """
        if not self._places.acquire(timeout=_WAIT_S):
            raise TooMany(f"{MOST} questions are being answered")
        with self._lock:
            if self._idle:
                return self._idle.pop()[1]
        made: BaseDatabaseWrapper = connections.create_connection(_ALIAS)
        made.inc_thread_sharing()  # one thread after the other
        return made

    def give_back(self, wrapper: BaseDatabaseWrapper) -> None:
        """Keep it where it works; else close it."""
        now = time.monotonic()
        closing: list[BaseDatabaseWrapper] = []
        with self._lock:
            if _is_sound(wrapper):
                self._idle.append((now, wrapper))
            else:
                closing.append(wrapper)
            while self._idle and (len(self._idle) > _KEPT or now - self._idle[0][0] > _IDLE_S):
                closing.append(self._idle.pop(0)[1])
        self._places.release()
        _close(closing)

    def clear(self) -> None:
        """Close what is idle."""
        with self._lock:
            closing = [wrapper for _, wrapper in self._idle]
            self._idle.clear()
        _close(closing)


_pool = _Pool()


@contextmanager
def borrowed() -> Iterator[bool]:
    """Let this thread use a connection meanwhile; True where it was opened before.

    A thread that has one open, of its own or borrowed, goes on with that.

    Raises:
        TooMany: all are in use.
    """
    own = connections[_ALIAS]
    if own.connection is not None:
        yield False
        return
    wrapper = _pool.take()
    connections[_ALIAS] = wrapper
    try:
        yield wrapper.connection is not None
    finally:
        connections[_ALIAS] = own
        _pool.give_back(wrapper)


def asked(question: Callable[[], _Answer]) -> _Answer:
    """What reads something and may be done twice, with a borrowed connection.

    Raises:
        DatabaseError: the database does not answer.
    """
    with borrowed() as is_old:
        try:
            return question()
        except (InterfaceError, OperationalError):
            if not is_old:
                raise
    _pool.clear()  # the database was started anew, perhaps: those that are idle are of before
    with borrowed():
        return question()


def close_idle() -> None:
    """Close what is kept and not in use."""
    _pool.clear()


def warm_up() -> None:
    """Have a connection open before the first question, where the database answers."""
    with contextlib.suppress(DatabaseError), borrowed():
        connections[_ALIAS].ensure_connection()


def _is_sound(wrapper: Any) -> bool:
    """Whether it is open and in no transaction, as far as this side knows."""
    if wrapper.connection is None or wrapper.errors_occurred or wrapper.in_atomic_block:
        return False
    return bool(wrapper.get_autocommit() and not wrapper.connection.closed)


def _close(closing: list[BaseDatabaseWrapper]) -> None:
    for wrapper in closing:
        with contextlib.suppress(DatabaseError):
            wrapper.close()
