"""Finds what matches, in a stable order, a page at a time; fast at a million studies.

Orders: studies by date, the newest first; patients by ID; series and instances of something named
by their numbers, else the last indexed first. How it stays fast, whatever is asked:

1. Where keys name something (UIDs, a patient's ID, an accession number), an index has the few rows.
2. Else the order is walked, some thousand rows of an index at first. What many match fills its
   page there.
3. Where that finds too few, few match: their sort keys, `MOST` at most, are gathered by whatever
   index PostgreSQL thinks best (pieces of words, mostly), and sorted.
4. Where even that is too many, the walk goes on.

Every statement reads a bounded number of keys, so that nothing is ever held whole.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from django.db import connection

from isocenter.apps.archive.search.answers import answers
from isocenter.apps.archive.search.attributes import LEVELS, Level
from isocenter.apps.archive.search.conditions import Conditions, conditions, joined
from isocenter.apps.archive.search.filling import require_filled
from isocenter.apps.archive.search.question import Match, Question

PAGE = 250  # answers read from the database at once
MOST = 20_000  # keys that are gathered and sorted
STEPS = (2_000, 20_000, 60_000)  # rows of an order that are walked in one statement
NAMED_AT_ONCE = 5_000  # keys
_HOPE = 30  # times the first step: so far a walk for a page may go

Key = tuple[Any, int]  # what is sorted by, and the number of the row


@dataclass(frozen=True)
class _Space:
    """Where rows of a level are, and their order."""

    table: str
    alias: str
    joins: str
    walked_joins: str
    key: str
    number: str
    descends: bool
    within: tuple[str, ...] = ()  # the order where something is named; the row's number last

    @property
    def order(self) -> str:
        way = "DESC" if self.descends else "ASC"
        return f"{self.key} {way}, {self.number} {way}"

    @property
    def beyond(self) -> str:
        return "<" if self.descends else ">"


# What is walked looks its rows up one by one: else PostgreSQL reads whole tables to join them.
_ONE = "CROSS JOIN LATERAL (SELECT * FROM {} WHERE {} = {} OFFSET 0) {}"
_SEARCH = "JOIN archive_studysearch s ON s.study_id = {}.study_id"
_ONE_SEARCH = _ONE.format("archive_studysearch", "study_id", "{}.study_id", "s")
_STUDIES = _Space("archive_studysearch", "s", "", "", "s.study_date", "s.study_id", descends=True)
_PATIENTS = _Space(
    "archive_studysearch", "s", "", "", "s.patient_key", "s.study_id", descends=False
)
_SERIES = _Space(
    "archive_series",
    "e",
    _SEARCH.format("e"),
    _ONE_SEARCH.format("e"),
    "e.id",
    "e.id",
    descends=True,
    within=("s.study_id", "coalesce(e.series_number, 2147483647)", "e.id"),
)
_INSTANCES = _Space(
    "archive_instance",
    "i",
    f"JOIN archive_series e ON e.id = i.series_id {_SEARCH.format('i')}",
    f"{_ONE.format('archive_series', 'id', 'i.series_id', 'e')} {_ONE_SEARCH.format('i')}",
    "i.id",
    "i.id",
    descends=True,
    within=(
        "s.study_id",
        "coalesce(e.series_number, 2147483647)",
        "e.id",
        "coalesce(i.instance_number, 2147483647)",
        "i.id",
    ),
)
_SPACES = dict(zip(LEVELS, (_PATIENTS, _STUDIES, _SERIES, _INSTANCES), strict=True))


def search(question: Question) -> Iterator[Match]:
    """What matches, lazily. Checks are made before the first answer is asked for.

    Raises:
        QuestionError: a matching text makes no sense.
        NotAllowed: an identifying key, and ``identified`` is False.
        IndexNotReady: studies of an older version are still being made searchable.
    """
    asked = conditions(question)
    require_filled()
    return _search(question, asked)


def _search(question: Question, asked: Conditions) -> Iterator[Match]:
    if asked.is_void or question.limit == 0:
        return
    stop = None if question.limit is None else question.offset + question.limit
    wanted = PAGE if stop is None else stop
    found: Iterator[Key] = _keys(question.level, asked, wanted)
    if question.level is Level.PATIENT:
        found = _first_of_each(found)
    numbers = islice((number for _, number in found), question.offset, stop)
    while page := list(islice(numbers, PAGE)):
        yield from answers(question, page)


def _first_of_each(found: Iterator[Key]) -> Iterator[Key]:
    """One row per patient; those of one patient follow each other."""
    last: Any = None
    for key, number in found:
        if key != last:
            yield key, number
        last = key


def _keys(level: Level, asked: Conditions, wanted: int) -> Iterator[Key]:
    space = _SPACES[level]
    if asked.is_within and space.within:
        yield from _named(space, asked)
        return
    if space is not _STUDIES:  # dates are no order there
        asked = replace(asked, parts=[*asked.parts, *asked.dates], dates=[])
    place: Place | None = ()
    if not asked.is_sharp:
        place = yield from _walk_first(space, asked, wanted)
        if place is None:
            return
    gathered = _gather(space, asked, place)
    if gathered is not None:
        yield from gathered
    else:
        yield from _walk_on(space, asked, place)


Place = tuple[Any, ...]  # a key, or nothing: the beginning


def _walk_first(
    space: _Space, asked: Conditions, wanted: int
) -> Generator[Key, None, Place | None]:
    """The first step; returns where it ended when it is no use to go on so, None at the end."""
    place: Place = ()
    if not asked.parts:  # everything in the order matches
        yield from _walk_on(space, asked, place, step=min(PAGE, wanted))
        return None
    found, end = _step(space, asked, place, STEPS[0])
    yield from found
    if end is None:
        return None
    if len(found) * _HOPE >= wanted:
        yield from _walk_on(space, asked, end)
        return None
    return end


def _walk_on(space: _Space, asked: Conditions, place: Place, *, step: int = 0) -> Iterator[Key]:
    """Step after step, to the end."""
    for number in range(1 << 62):
        rows = step or STEPS[min(number + 1, len(STEPS) - 1)]
        found, end = _step(space, asked, place, rows)
        yield from found
        if end is None:
            return
        place = end


def _step(
    space: _Space, asked: Conditions, place: Place, rows: int
) -> tuple[list[Key], Place | None]:
    """Those that match among the next rows of the order, and the last row; None: no more."""
    inside, inside_values = _in_order(space, asked, place)
    sql, values = joined(asked.parts)
    # The inner LIMIT keeps PostgreSQL from leaving the order for another index.
    statement = f"""
        SELECT {space.key}, {space.number} FROM (
            SELECT * FROM {space.table} {space.alias} WHERE {inside}
            ORDER BY {space.order} LIMIT %s
        ) {space.alias} {space.walked_joins} WHERE {sql} ORDER BY {space.order}
    """  # noqa: S608 - columns and operators are ours, texts are parameters
    boundary = f"""
        SELECT {space.key}, {space.number} FROM {space.table} {space.alias} WHERE {inside}
        ORDER BY {space.order} OFFSET %s LIMIT 1
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(boundary, [*inside_values, rows - 1])
        end = cursor.fetchone()
        cursor.execute(statement, [*inside_values, rows, *values])
        return list(cursor.fetchall()), end


def _in_order(space: _Space, asked: Conditions, place: Place) -> tuple[str, list[Any]]:
    """What the index of the order itself can see to."""
    parts = list(asked.dates)
    if place:
        parts.append((f"({space.key}, {space.number}) {space.beyond} (%s, %s)", list(place)))
    return joined(parts)


def _everything(space: _Space, asked: Conditions, place: Place) -> tuple[str, list[Any]]:
    parts = [*asked.parts, *asked.dates]
    if place:
        parts.append((f"({space.key}, {space.number}) {space.beyond} (%s, %s)", list(place)))
    return joined(parts)


def _gather(space: _Space, asked: Conditions, place: Place) -> list[Key] | None:
    """All that match behind a place, in order; None when they are too many."""
    sql, values = _everything(space, asked, place)
    statement = f"""
        SELECT {space.key}, {space.number} FROM {space.table} {space.alias} {space.joins}
        WHERE {sql} LIMIT %s
    """  # noqa: S608 - columns and operators are ours, texts are parameters
    with connection.cursor() as cursor:
        cursor.execute(statement, [*values, MOST + 1])
        found: list[Key] = list(cursor.fetchall())
    if len(found) > MOST:
        return None
    return sorted(found, reverse=space.descends)


def _named(space: _Space, asked: Conditions) -> Iterator[Key]:
    """Those inside something that is named, by their numbers."""
    columns = ", ".join(space.within)
    signs = ", ".join("%s" for _ in space.within)
    place: Place = ()
    while True:
        parts = [*asked.parts, *asked.dates]
        if place:
            parts.append((f"({columns}) > ({signs})", list(place)))
        sql, values = joined(parts)
        statement = f"""
            SELECT {columns} FROM {space.table} {space.alias} {space.joins}
            WHERE {sql} ORDER BY {columns} LIMIT %s
        """  # noqa: S608 - columns are ours, texts are parameters
        with connection.cursor() as cursor:
            cursor.execute(statement, [*values, NAMED_AT_ONCE])
            found = list(cursor.fetchall())
        yield from ((row, row[-1]) for row in found)
        if len(found) < NAMED_AT_ONCE:
            return
        place = found[-1]
