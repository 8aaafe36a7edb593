"""How many store requests come at once: bounded in all, and for each account.

A place is held as long as a body comes. Without a share for each account, one token with a
handful of slow bodies would keep all others out.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from isocenter.apps.dicomweb.stow.asked import refuse

AT_ONCE = 16
OF_ONE_ACCOUNT = AT_ONCE // 2
_RETRY_S = "5"

_lock = threading.Lock()
_taken: Counter[int | None] = Counter()


@contextmanager
def place_for(account: int | None) -> Iterator[None]:
    """A place for one request of this account; all its tokens and sessions share.

    Raises:
        Refusal: there is none (503).
    """
    with _lock:
        if _taken[account] >= OF_ONE_ACCOUNT:
            text = f"{OF_ONE_ACCOUNT} store requests of this account come already"
            raise refuse(503, text, "send several instances in one request", Retry_After=_RETRY_S)
        if _taken.total() >= AT_ONCE:
            text = f"{AT_ONCE} store requests come already"
            raise refuse(503, text, "try again in a moment", Retry_After=_RETRY_S)
        _taken[account] += 1
    try:
        yield
    finally:
        with _lock:
            _taken[account] -= 1
            if not _taken[account]:
                del _taken[account]
