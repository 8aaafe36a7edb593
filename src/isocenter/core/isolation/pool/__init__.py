"""Warm child processes: for work of milliseconds that may crash, hang or eat memory.

Public: :class:`ChildPool` and its :class:`Answer`. One process, the *nursery*, imports what all
need and forks the workers; a worker that dies or passes a limit is replaced by another fork,
which costs milliseconds. For work of minutes see :func:`~isocenter.core.isolation.run_isolated`.
"""

from __future__ import annotations

from isocenter.core.isolation.pool.parent import Answer, ChildPool

__all__ = ["Answer", "ChildPool"]
