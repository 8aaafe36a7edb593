"""Functions that tests give to processes: in a module of its own, for a process that is not forked
from the test's own must find them by name, however pytest names the test's module."""

from __future__ import annotations

import os
from collections.abc import Sequence

KILL = "kill"


def lines(first: str, items: Sequence[str]) -> list[str]:
    """Each item with ``first`` before it; one of them kills the process."""
    if KILL in items:
        os._exit(9)
    return [first + item for item in items]
