"""Children that end when their parent ends, however it ends.

Linux's parent-death signal fires when the *thread* that started the child ends, and is cleared
when the child changes its user. So: start from a thread that lasts, and set it after the change
of user (`subprocess` runs ``preexec_fn`` after it).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def dies_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """A ``preexec_fn`` for `subprocess.Popen`: the child gets this signal when we are gone."""
    parent = os.getpid()

    def ask() -> None:
        if _libc is None:
            return
        _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and here
            os._exit(1)

    return ask
