"""A bound on how many bytes go to a peer per second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: No wait is longer, whatever the rate: many peers end an association after 30 s of silence.
LONGEST_WAIT_S = 15.0
_SLICE_S = 0.1


class Pace:
    """Spaces what several senders send so that all of it together keeps to a rate.

    Each sender reserves the time that its bytes take and sleeps until its turn, outside the lock.

    Args:
        bytes_per_s: more than 0; may be changed while it is used.
    """

    def __init__(self, bytes_per_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait(self, size: int, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Sleep until ``size`` bytes may be sent, or somebody wants to stop."""
        with self._lock:
            turn = max(time.monotonic(), self._free_at)
            self._free_at = turn + size / self.bytes_per_s
        turn = min(turn, time.monotonic() + LONGEST_WAIT_S)
        while (left := turn - time.monotonic()) > 0 and not is_cancelled():
            time.sleep(min(left, _SLICE_S))
