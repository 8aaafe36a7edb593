"""How the tests are shared out among several processes (``pytest -n 2 --dist loadfile``).

A file goes to one process as a whole, so that what its tests share is made once. The browser's
room goes as a whole too: its site is dear. What takes long goes first, so that no process is
still busy with it when the others are done.
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadFileScheduling

BROWSER = "tests/e2e/browser/"
WHOLE_ROOMS = (BROWSER,)
#: Longest first; everything else follows in the order of the folders.
LONG = (
    BROWSER,
    "tests/crash/test_kills.py",
    "tests/e2e/test_trouble.py",
    "tests/e2e/",
    "tests/crash/",
    "tests/hostile/",
    "tests/runtime/",
    "tests/peers/",
)


class LongestFirst(LoadFileScheduling):
    """pytest-xdist's ``loadfile`` with whole rooms, and in an order of ours."""

    def _split_scope(self, nodeid: str) -> str:
        whole = next((room for room in WHOLE_ROOMS if nodeid.startswith(room)), None)
        return whole or str(super()._split_scope(nodeid))

    def _assign_work_unit(self, node: Any) -> None:
        self.workqueue.move_to_end(min(self.workqueue, key=rank), last=False)
        super()._assign_work_unit(node)


def rank(unit: str) -> int:
    """Its place in the queue."""
    return next((n for n, place in enumerate(LONG) if unit.startswith(place)), len(LONG))
