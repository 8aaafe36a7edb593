"""Work with pydicom without its warnings.

What is odd in a file is its sender's affair and no programmer's; what matters becomes an error or
a flag. Python's warning filters belong to the whole process, so threads share one quiet time.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class _QuietTime:
    """Counts who is inside: the first sets the filter, the last takes it away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_TIME = _QuietTime()


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """No warnings are shown while any thread is inside."""
    _TIME.enter()
    try:
        yield
    finally:
        _TIME.leave()
