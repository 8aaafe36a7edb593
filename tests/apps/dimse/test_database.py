"""Connections that associations borrow: kept, bound in number, made anew when they are broken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from isocenter.apps.dimse import database
from isocenter.apps.dimse.database import TooMany, asked, borrowed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(database, "_WAIT_S", 0.2)
    fresh = database._Pool()
    monkeypatch.setattr(database, "_pool", fresh)
    yield
    fresh.clear()


def in_thread(work: Callable[[], Any]) -> Any:
    """What an association's thread gets of it."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return found[0]


def backend() -> int:
    """The server's process that answers us."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def end(pid: int) -> None:
    """As a restart of the server does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_the_next_association_goes_on_with_the_same_connection() -> None:
    first = in_thread(lambda: asked(backend))
    assert isinstance(first, int)
    assert in_thread(lambda: asked(backend)) == first
    assert in_thread(lambda: (asked(backend), connection.connection)) == (first, None)


def test_a_connection_that_broke_in_between_is_made_anew() -> None:
    first = in_thread(lambda: asked(backend))
    end(first)
    second = in_thread(lambda: asked(backend))
    assert isinstance(second, int)
    assert second != first
    assert in_thread(lambda: asked(backend)) == second


def test_one_that_is_left_in_a_transaction_is_not_kept() -> None:
    def leave() -> int:
        with borrowed():
            pid = backend()
            transaction.set_autocommit(False)
            backend()
        return pid

    first = in_thread(leave)
    assert isinstance(first, int)
    assert in_thread(lambda: asked(backend)) != first


def test_who_comes_when_all_are_in_use_waits_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [database._pool.take() for _ in range(database.MOST)]
    assert isinstance(in_thread(lambda: asked(backend)), TooMany)
    for wrapper in taken:
        database._pool.give_back(wrapper)
    assert isinstance(in_thread(lambda: asked(backend)), int)


def test_a_thread_with_a_connection_of_its_own_goes_on_with_it() -> None:
    own = backend()
    assert asked(backend) == own
    with borrowed() as is_old:
        assert not is_old
        assert backend() == own


def test_inside_one_borrowed_nothing_more_is_taken() -> None:
    def nested() -> tuple[int, int]:
        with borrowed():
            return backend(), asked(backend)

    one, other = in_thread(nested)
    assert one == other
