"""Options of the crash tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("crash tests")
    group.addoption(
        "--crash-kills", type=int, default=10, help="processes to kill (make crash: 200)"
    )
    group.addoption("--crash-seed", type=int, default=None, help="repeat a run that failed")
    group.addoption(
        "--power-cuts", choices=("some", "all"), default="some", help="points at which power is cut"
    )


@pytest.fixture
def every_cut(request: pytest.FixtureRequest) -> bool:
    """True for the long form: the power is cut after every single change."""
    return request.config.getoption("--power-cuts", default="some") == "all"
