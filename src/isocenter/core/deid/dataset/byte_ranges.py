"""Bytes that stay of a longer value: ranges of the source, and new bytes between them."""

from __future__ import annotations

from isocenter.core.deid.dataset.elements import Buffer

Piece = bytes | tuple[int, int]  # new bytes, or a slice of the source


class Kept:
    """Pieces of what stays, in order; neighbours become one."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def keep(self, start: int, end: int) -> None:
        """A range of the source."""
        last = self.pieces[-1] if self.pieces else None
        if isinstance(last, tuple) and last[1] == start:
            self.pieces[-1] = (last[0], end)
        elif end > start:
            self.pieces.append((start, end))

    def write(self, new: bytes) -> None:
        """Bytes that the source does not have there."""
        if new:
            self.pieces.append(new)


def is_whole(pieces: list[Piece], data: Buffer, start: int, end: int) -> bool:
    """Whether the pieces are a range of the source, but for zeros at its end."""
    if len(pieces) != 1 or not isinstance(pieces[0], tuple) or pieces[0][0] != start:
        return False
    return not data[pieces[0][1] : end].strip(b"\0")


def size_of(pieces: list[Piece]) -> int:
    """Bytes that these pieces make."""
    return sum(len(p) if isinstance(p, bytes) else p[1] - p[0] for p in pieces)


def joined(pieces: list[Piece], data: Buffer) -> bytes:
    """The bytes themselves."""
    return b"".join(p if isinstance(p, bytes) else data[p[0] : p[1]] for p in pieces)
