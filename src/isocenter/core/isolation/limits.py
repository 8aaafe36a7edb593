"""What a child process may use, and how it tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from isocenter.core.errors import ConfigurationError

#: Called by the function that runs in the child: the fraction done (0 to 1) and a short sentence.
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one child process and everything that it starts.

    Attributes:
        memory_bytes: resident memory of all of them together; files in the page cache and pages
            that they share count once.
        timeout_s: from start to end.
        log_bytes: how much of standard output and standard error is kept: the first half and the
            last half of what was printed.
    """

    memory_bytes: int = 3 << 30
    timeout_s: float = 3600.0
    log_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        if self.memory_bytes < 1 or self.timeout_s <= 0 or self.log_bytes < 2:
            raise ConfigurationError("limits of a child process must be positive")
