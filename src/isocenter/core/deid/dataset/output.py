"""What is written of one level of a data set, while it is walked."""

from __future__ import annotations

from isocenter.core.deid.dataset.byte_ranges import Piece

_NO_TAG = 1 << 32


class Output:
    """Pieces of one level: what stays is left in the source until something else is written.

    Args:
        start: of the level's first element.
        inserted: whole elements that are put in, by tag, in order.

    Attributes:
        next_tag: of the element that is put in next; higher than all where none waits.
    """

    __slots__ = ("_changed", "_pieces", "_run", "_waiting", "next_tag")

    def __init__(self, start: int, inserted: tuple[tuple[int, bytes], ...]) -> None:
        self._pieces: list[Piece] = []
        self._waiting = [*inserted, (_NO_TAG, b"")]
        self._run = start
        self._changed = bool(inserted)
        self.next_tag = self._waiting[0][0]

    def insert(self, position: int, tag: int) -> int:
        """Put in what belongs before an element with this tag; gives the next tag that waits."""
        self._keep(position)
        self._run = position
        while self._waiting[0][0] <= tag:
            self._pieces.append(self._waiting.pop(0)[1])
        self.next_tag = self._waiting[0][0]
        return self.next_tag

    def replace(self, position: int, pieces: list[Piece], end: int) -> None:
        """Write this in place of what is from ``position`` to ``end``."""
        self._keep(position)
        self._pieces += pieces
        self._run = end
        self._changed = True

    def finished(self, position: int) -> list[Piece] | None:
        """All pieces of the level, which ends here; None if all of it stays."""
        if not self._changed:
            return None
        self.insert(position, _NO_TAG - 1)
        return self._pieces

    def _keep(self, position: int) -> None:
        if position > self._run:
            self._pieces.append((self._run, position))
