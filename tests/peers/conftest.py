from __future__ import annotations

from collections.abc import Iterator

import pytest

from stand.peers import Serving


@pytest.fixture
def serving() -> Iterator[Serving]:
    """Starts peers that listen; they end with the test."""
    one = Serving()
    yield one
    one.stop()
