"""Projects of de-identification."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from isocenter.apps.deid import services
from isocenter.apps.deid.models import Project

MakeProject = Callable[..., Project]


@pytest.fixture
def make_project(db: None) -> MakeProject:
    """A project: ``make_project("trial", dates="shift")``."""

    def make(name: str = "trial", **values: Any) -> Project:
        return services.create_project(name, services.read_document(values), actor="ann")

    return make


@pytest.fixture
def at_once() -> Callable[[Callable[[int], Any], int], list[Any]]:
    """Calls ``work(number)`` in so many threads at once, each with a connection of its own."""

    def run(work: Callable[[int], Any], count: int) -> list[Any]:
        start = Barrier(count)

        def one(number: int) -> Any:
            try:
                start.wait(10)
                return work(number)
            finally:
                connection.close()

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    return run
