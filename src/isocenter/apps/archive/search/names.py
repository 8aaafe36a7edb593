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
    return _with_index(field, literals, literals, (sql, values))


def _likes(group: keys.Pattern) -> list[str]:
    """Components that the key does not give match anything."""
    like = group.like
    return [like] if group.is_open else [like, f"{like}^%"]


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
        parts.append(_with_index(field, literals, tokens.apart(literals), (sql, values)))
    return parts


def _with_index(
    field: str, literals: Iterable[tokens.Literal], apart: Iterable[tokens.Literal], test: Part
) -> Part:
    """A test, and before it what the inverted index can find of it.

    Pairs of words where there are some, and then nothing else: single pieces have long lists, and
    going through these takes longer than looking at the few rows that a pair leaves.

    Args:
        apart: those of the literal parts that stand in different words.
    """
    sql, values = test
    letter = tokens.PAIRS.get(field)
    if letter and (pairs := tokens.pairs_in(letter, apart)):
        either = "(s.pieces @> %s::int[] OR s.pieces @> %s::int[])"
        return f"{either} AND ({sql})", [pairs, [tokens.unpaired(letter)], *values]
    return with_pieces(tokens.pieces_in(tokens.FIELDS[field], literals), sql, *values)
