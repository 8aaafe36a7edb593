"""How much is transcoded at once for answers; whoever comes beyond that is asked to come again.

Each transcoding answer keeps a thread and a child process busy for seconds and a group of files
on the disk. Without a bound, those who come later wait for all before them, and see only silence.
Without a share for each account, one token with a few slow readers would keep all others out;
readers who hardly take anything are ended besides (`runtime.web.streaming.ahead`).
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from django.http import HttpResponseBase

from isocenter.core.errors import ChildBusy
from isocenter.runtime.web.streaming import TRANSCODERS

#: Studies and series that are being sent transcoded.
ANSWERS = 16
OF_ONE_ACCOUNT = ANSWERS // 2
#: Requests for one transcoded instance, with those that wait for a processor.
SINGLE = 32
#: Seconds for which one of those waits.
WAIT_S = 20.0

_lock = threading.Lock()
#: Account of each answer. What is forgotten leaves without the lock, as that may happen anywhere.
_answers: dict[int, int | None] = {}
_numbers = itertools.count()
_single = BoundedSemaphore(SINGLE)
_processors = BoundedSemaphore(TRANSCODERS)


class AnswerPlace:
    """A place among the answers, from now until the answer is over.

    Args:
        account: who asks; all its tokens and sessions share.

    Raises:
        ChildBusy: none is free.
    """

    def __init__(self, account: int | None) -> None:
        number = next(_numbers)
        with _lock:
            accounts = list(_answers.values())
            if accounts.count(account) >= OF_ONE_ACCOUNT:
                raise _busy(f"{OF_ONE_ACCOUNT} answers of this account are being transcoded")
            if len(accounts) >= ANSWERS:
                raise _busy()
            _answers[number] = account
        self._given_back = weakref.finalize(self, _answers.pop, number, None)

    def goes_with(self, response: HttpResponseBase) -> None:
        """Give the place back when the response is closed, or forgotten."""
        response._resource_closers.append(self._given_back)  # type: ignore[attr-defined]
        response.transcoding_place = self  # type: ignore[attr-defined]


@contextmanager
def single_place() -> Iterator[None]:
    """A processor for one instance.

    Raises:
        ChildBusy: none is free in time, or too many wait.
    """
    if not _single.acquire(blocking=False):
        raise _busy()
    try:
        if not _processors.acquire(timeout=WAIT_S):
            raise _busy()
        try:
            yield
        finally:
            _processors.release()
    finally:
        _single.release()


def _busy(text: str = "too much is being transcoded at once") -> ChildBusy:
    return ChildBusy(
        text,
        hint="ask again in a few seconds; transfer-syntax=* takes what is stored, and never waits",
    )
