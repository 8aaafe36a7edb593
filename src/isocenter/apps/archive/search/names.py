"""Names of persons in SQL (PS3.4 C.2.2.2.4, PS3.5 6.2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from isocenter.apps.archive.search import keys, tokens
from isocenter.apps.archive.search.parts import Part, joined, with_pieces
from isocenter.core.dicom.folding import fold


def matching(field: str, column: str, texts: Sequence[str]) -> list[Part]:
    """Conditions one of which a name has to fulfil; none where every name does.

    Args:
        field: the name of the column, as `tokens` has it.
        column: the column in SQL.
        texts: the alternatives of a key.
    """
    parts = []
    for text in texts:
        read = keys.name_pattern(text)
        if not any(read.groups):
            return []  # one of the alternatives matches everything
        parts.append(_one(field, column, read))
    return parts


def _one(field: str, column: str, read: keys.NamePattern) -> Part:
    literals = [part for group in read.groups if group for part in group.literals()]
    pieces = tokens.pieces_in(tokens.FIELDS[field], literals)
    tests: list[Part] = []
    for number, group in enumerate(read.groups, 1):
        if group is not None:
            tests.append((f"split_part({column}, '=', {number}) LIKE ANY(%s)", [_likes(group)]))
    sql, values = joined(tests)
    if read.anywhere:
        test = f"split_part({column}, '=', {{}}) LIKE ANY(%s)"
        others = " OR ".join(test.format(number) for number in (2, 3))
        sql = f"{sql} OR (strpos({column}, '=') > 0 AND ({others}))"
        values = values * 3
    return _with_pairs(field, literals, with_pieces(pieces, sql, *values))


def _likes(group: keys.Pattern) -> list[str]:
    """Components that the key does not give match anything."""
    like = group.like
    return [like] if like.endswith("%") else [like, f"{like}^%"]


def beginning(field: str, column: str, texts: Sequence[str]) -> list[Part]:
    """As `matching`, where each word of a text begins a word of the name (fuzzy semantic matching:
    PS3.4 C.2.2.2.1.1 leaves the way to the SCP)."""
    spaced = f"(' ' || translate({column}, %s, %s))"
    signs = tokens.SEPARATORS, " " * len(tokens.SEPARATORS)
    parts = []
    for text in texts:
        words = tokens.words(fold(text.replace("*", " ").replace("?", " ")))
        if not words:
            return []
        likes = [f"%{keys.Pattern((f' {word}',)).like}%" for word in words]
        sql, values = joined([(f"{spaced} LIKE %s", [*signs, like]) for like in likes])
        literals = [tokens.Literal(word, begins=True, ends=False) for word in words]
        pieces = tokens.pieces_in(tokens.FIELDS[field], literals)
        rest = with_pieces(pieces, sql, *values)
        parts.append(_with_pairs(field, tokens.apart(literals), rest))
    return parts


def _with_pairs(field: str, literals: Iterable[tokens.Literal], rest: Part) -> Part:
    """A condition, and before it what the name's pairs of words can find of it."""
    letter = tokens.PAIRS.get(field)
    pairs = tokens.pairs_in(letter, literals) if letter else []
    if not letter or not pairs:
        return rest
    sql, values = rest
    either = "(s.pieces @> %s::int[] OR s.pieces @> %s::int[])"
    return f"{either} AND {sql}", [pairs, [tokens.unpaired(letter)], *values]
