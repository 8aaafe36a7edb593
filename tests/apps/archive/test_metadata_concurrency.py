"""Several ask for the same metadata at the same time, and while instances come in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from isocenter.apps.archive.metadata import building, store
from isocenter.apps.archive.metadata.stamps import series_now
from isocenter.apps.archive.queries import metadata

from .conftest import SERIES, STUDY, Intake, image


@pytest.fixture(autouse=True)
def pool_of_its_own() -> Iterator[None]:
    """No warm process outlives its test."""
    building._pool.cache_clear()
    yield
    building._pool().close()
    building._pool.cache_clear()


def numbers() -> list[int]:
    text = b"".join(metadata(STUDY, SERIES).json("http://host", identified=True))
    return [each["00200013"]["Value"][0] for each in json.loads(text)]


def in_a_thread(_: int) -> list[int]:
    try:
        return numbers()
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_many_who_ask_at_once_make_one_document(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.take(*(image(n) for n in range(1, 6)))
    calls: list[Any] = []
    called = building._called
    monkeypatch.setattr(building, "_called", lambda *a: calls.append(a) or called(*a))
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(in_a_thread, range(6)))
    assert answers == [[1, 2, 3, 4, 5]] * 6
    assert len(calls) == 1


def test_what_came_while_it_was_read_is_in_the_next_answer(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.take(image(1))
    called = building._called

    def slow(*arguments: Any) -> Any:
        result = called(*arguments)
        monkeypatch.setattr(building, "_called", called)
        intake.take(image(2))
        return result

    monkeypatch.setattr(building, "_called", slow)
    assert numbers() == [1]
    (series,) = series_now(STUDY)
    assert not store.is_there(series)  # it was old before it was done, so it was not kept
    assert numbers() == [1, 2]
    assert store.is_there(series)
