"""How the tests are shared out among several processes (``pytest -n 2 --dist loadfile``).

A file goes to one process as a whole, so that what its tests share is made once. The browser's
room goes as a whole too: its site is dear. Rooms that start whole platforms are begun first, so
that no process is still busy with them when the others are done; at most half of the processes
work in them, so that platforms do not take the processors from one another.
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadFileScheduling

BROWSER = "tests/e2e/browser/"
WHOLE_ROOMS = (BROWSER,)
#: They start platforms. Longest first; everything else follows in the order of the folders.
LONG = (
    BROWSER,
    "tests/crash/test_kills.py",
    "tests/e2e/test_trouble.py",
    "tests/e2e/",
    "tests/crash/",
    "tests/hostile/",
    "tests/runtime/test_",
    "tests/cli/test_first_administrator.py",
    "tests/peers/",
)


class LongestFirst(LoadFileScheduling):
    """pytest-xdist's ``loadfile`` with whole rooms, and in an order of ours."""

    def _split_scope(self, nodeid: str) -> str:
        whole = next((room for room in WHOLE_ROOMS if nodeid.startswith(room)), None)
        return whole or str(super()._split_scope(nodeid))

    def _assign_work_unit(self, node: Any) -> None:
        busy = sum(self._is_busy(other) for other in self.nodes if other is not node)
        others_first = busy * 2 >= len(self.nodes)
        unit = min(self.workqueue, key=lambda u: (others_first and is_long(u), rank(u)))
        self.workqueue.move_to_end(unit, last=False)
        super()._assign_work_unit(node)

    def _is_busy(self, node: Any) -> bool:
        """Whether it works on something long."""
        units = self.assigned_work[node].items()
        return any(is_long(unit) and not all(tests.values()) for unit, tests in units)


def rank(unit: str) -> int:
    """Its place in the queue."""
    return next((n for n, place in enumerate(LONG) if unit.startswith(place)), len(LONG))


def is_long(unit: str) -> bool:
    return rank(unit) < len(LONG)
