"""The instances of a batch while associations carry them: each is with one of them at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from isocenter.core.errors import NetworkError

from .outcomes import ItemResult
from .proposals import SendItem


class Load:
    """Shared by the threads that carry; every method may be called by any of them.

    Attributes:
        error: why an association ended early, the first time that one did.
        is_stopped: nobody takes any more.
    """

    def __init__(self, items: Iterable[SendItem]) -> None:
        self._waiting = deque(items)
        self._taken = 0
        self._carriers = 0
        self._changed = threading.Condition(threading.Lock())
        self._results: deque[ItemResult] = deque()
        self._quiet_error: NetworkError | None = None
        self.error: NetworkError | None = None
        self.is_stopped = False

    def enter(self) -> bool:
        """Be counted among those that carry; False when there is nothing left to carry."""
        with self._changed:
            if self._is_over():
                return False
            self._carriers += 1
            return True

    def leave(self, unfinished: Iterable[SendItem]) -> None:
        """Carry no more; what was taken and has no result goes to the others."""
        with self._changed:
            for item in unfinished:
                self._put_back(item)
            self._carriers -= 1
            self._changed.notify_all()

    def take(self) -> SendItem | None:
        """The next instance; None when there is none now."""
        with self._changed:
            return self._take()

    def give_back(self, item: SendItem) -> None:
        """Let another have what was taken."""
        with self._changed:
            self._put_back(item)

    def wait_for_more(self, seconds: float) -> None:
        """Wait a while: another association may give an instance back."""
        with self._changed:
            if not self._waiting and not self._is_over():
                self._changed.wait(seconds)

    def settle(self, result: ItemResult) -> None:
        """Say what became of an instance that was taken."""
        with self._changed:
            self._taken -= 1
            self._results.append(result)
            self._changed.notify_all()

    def fail(self, error: NetworkError, *, is_quiet: bool = False) -> None:
        """An association has ended early.

        Args:
            is_quiet: it matters only if instances are left because of it.
        """
        with self._changed:
            if is_quiet:
                self._quiet_error = self._quiet_error or error
            else:
                self.error = self.error or error

    def stop(self, error: NetworkError | None = None) -> None:
        """Let nobody take any more; where all is answered that changes nothing."""
        with self._changed:
            if not self._is_over():
                self.error = self.error or error
                self.is_stopped = True
                self._changed.notify_all()

    def is_over(self) -> bool:
        """True when every instance has its result, or nobody may take what is left."""
        with self._changed:
            return self._is_over()

    def wait_for_all(self, seconds: float) -> bool:
        """Wait a while for those that carry; True when nothing more comes from them."""
        with self._changed:
            if not self._is_at_rest():
                self._changed.wait(seconds)
            return self._is_at_rest()

    def results(self) -> list[ItemResult]:
        """What became known since this was asked last; asked by one thread only."""
        return [self._results.popleft() for _ in range(len(self._results))]

    def left(self) -> list[SendItem]:
        """What nobody took, once all have left; it sets the error that says why."""
        with self._changed:
            left = list(self._waiting)
            self._waiting.clear()
            if left and self.error is None:
                self.error = self._quiet_error
            return left

    def _take(self) -> SendItem | None:
        if self.is_stopped or not self._waiting:
            return None
        self._taken += 1
        return self._waiting.popleft()

    def _put_back(self, item: SendItem) -> None:
        self._taken -= 1
        self._waiting.appendleft(item)
        self._changed.notify_all()

    def _is_over(self) -> bool:
        return self.is_stopped or not (self._waiting or self._taken)

    def _is_at_rest(self) -> bool:
        return not self._taken and (self._is_over() or not self._carriers)
