"""What tests of the archive's DIMSE services share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from isocenter.apps.dimse import database


@pytest.fixture(autouse=True)
def no_connection_stays() -> Iterator[None]:
    """Associations' connections are closed with the test, so that its database can go."""
    yield
    database._pool.clear()
