"""Conditions in SQL, and what the inverted index can find of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: SQL, and its parameters.
Part = tuple[str, list[Any]]


def joined(parts: Sequence[Part], word: str = " AND ") -> Part:
    """Several conditions as one."""
    if not parts:
        return "TRUE", []
    sql = word.join(f"({part})" for part, _ in parts)
    return sql, [value for _, values in parts for value in values]


def with_pieces(pieces: Sequence[int], sql: str, *values: Any) -> Part:
    """A condition, and before it what the inverted index can find of it."""
    if not pieces:
        return sql, list(values)
    return f"s.pieces @> %s::int[] AND ({sql})", [list(pieces), *values]
