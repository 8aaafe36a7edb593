"""Pieces of HTML that are kept as long as they would read the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

from django.utils.safestring import SafeString


class Kept:
    """Pieces by all that they show; what was not asked for the longest goes first.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pieces: OrderedDict[Hashable, SafeString] = OrderedDict()
        self._lock = Lock()

    def get(self, shown: Hashable, make: Callable[[], SafeString]) -> SafeString:
        """The piece that shows this.

        Args:
            shown: everything that the piece depends on.
            make: renders it; called where it is not kept yet.
        """
        with self._lock:
            if (found := self._pieces.get(shown)) is not None:
                self._pieces.move_to_end(shown)
                return found
        made = make()
        with self._lock:
            self._pieces[shown] = made
            while len(self._pieces) > self._most:
                self._pieces.popitem(last=False)
        return made
