"""Work that may crash, hang or eat memory is done in a child process that can be killed.

Public: :func:`run_isolated`, :class:`Limits` and, for the functions that run in the child,
:data:`Progress`. What can go wrong is a :class:`~isocenter.core.errors.ChildError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isocenter.core.isolation.limits import Limits, Progress

if TYPE_CHECKING:
    from isocenter.core.isolation.run import run_isolated

__all__ = ["Limits", "Progress", "run_isolated"]


def __getattr__(name: str) -> object:
    # The child imports this package too, and must not pay for what only the parent needs.
    if name == "run_isolated":
        from isocenter.core.isolation.run import run_isolated

        return run_isolated
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
