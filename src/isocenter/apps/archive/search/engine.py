"""Finds what matches, in a stable order, a page at a time; fast at a million studies.

Orders: studies by date, the newest first; patients by ID; series and instances study by study, by
their numbers. How it stays fast, whatever is asked:

1. Where keys name something (UIDs, a patient's ID, an accession number), an index has the few rows.
2. Else the order is walked, some thousand rows of an index at first. What many match fills its
   page there.
3. Where that finds too few, few match: their sort keys, `MOST` at most, are gathered by whatever
   index PostgreSQL thinks best (pieces of words, mostly), and sorted.
4. Where even that is too many, the walk goes on.

Series and instances are looked for inside the studies that match, unless they are named.

Every statement reads a bounded number of keys, so that nothing is ever held whole; where it has
to read more than an index to find them, its time is bounded too.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled

from isocenter.apps.archive.search.answers import Reader
from isocenter.apps.archive.search.attributes import Level
from isocenter.apps.archive.search.conditions import Conditions, conditions
from isocenter.apps.archive.search.filling import require_filled
from isocenter.apps.archive.search.parts import Part, joined
from isocenter.apps.archive.search.question import Match, Question, QuestionError

PAGE = 250  # answers read from the database at once
FIRST = 50  # of those who take answers one by one, and have not said how many
MOST = 20_000  # keys that are gathered and sorted
STEPS = (2_000, 20_000, 60_000)  # rows of an order that are walked in one statement
ORDERED_AT_ONCE = 5_000  # keys of series and instances
STUDIES_AT_ONCE = (20, 500)  # looked into for series and instances: at first, and then
MOST_S = 30  # seconds that one statement may take
_HOPE = 30  # times the first step: so far a walk for a page may go

Key = tuple[Any, int]  # what is sorted by, and the number of the row


@dataclass(frozen=True)
class _Space:
    """An order of the search table, as an index has it."""

    key: str
    number: str
    descends: bool

    @property
    def order(self) -> str:
        way = "DESC" if self.descends else "ASC"
        return f"{self.key} {way}, {self.number} {way}"

    @property
    def beyond(self) -> str:
        return "<" if self.descends else ">"


@dataclass(frozen=True)
class _Below:
    """Rows below studies.

    Attributes:
        joins: to the search table, or whatever has a ``study_id`` under the name ``s``.
        order: within a study; the row's number last.
    """

    joins: str
    order: tuple[str, ...]


_STUDIES = _Space("s.study_date", "s.study_id", descends=True)
_PATIENTS = _Space("s.patient_key", "s.study_id", descends=False)
_SERIES = _Below(
    "JOIN archive_series e ON e.study_id = s.study_id",
    ("coalesce(e.series_number, 2147483647)", "e.id"),
)
_INSTANCES = _Below(
    f"{_SERIES.joins} JOIN archive_instance i ON i.series_id = e.id",
    (*_SERIES.order, "coalesce(i.instance_number, 2147483647)", "i.id"),
)


def search(question: Question) -> Iterator[Match]:
    """What matches, lazily. Checks are made before the first answer is asked for.

    Raises:
        QuestionError: a matching text makes no sense; or, while answers are asked for, there is
            no end to looking for what matches.
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
    numbers = islice((number for _, number in found), question.offset, stop)
    reader = Reader(question)
    size = FIRST if question.limit is None else PAGE
    while page := list(islice(numbers, size)):
        yield from reader.read(page)
        size = PAGE


def _first_of_each(found: Iterator[Key]) -> Iterator[Key]:
    """One row per patient; those of one patient follow each other."""
    last: Any = None
    for key, number in found:
        if key != last:
            yield key, number
        last = key


def _keys(level: Level, asked: Conditions, wanted: int) -> Iterator[Key]:
    if level is Level.PATIENT:
        return _first_of_each(_from_table(_PATIENTS, asked, wanted))
    if level is Level.STUDY:
        return _from_table(_STUDIES, asked, wanted)
    below = _SERIES if level is Level.SERIES else _INSTANCES
    return _named(below, asked) if asked.is_within else _from_studies(below, asked, wanted)


def _from_table(space: _Space, asked: Conditions, wanted: int) -> Iterator[Key]:
    """Rows of the search table in an order."""
    place: Place = ()
    if not asked.is_sharp:
        end = yield from _walk_first(space, asked, wanted)
        if end is None:
            return
        place = end
    gathered = _gather(space, asked, place)
    if gathered is not None:
        yield from gathered
    else:
        yield from _walk_on(space, asked, place)


def _from_studies(below: _Below, asked: Conditions, wanted: int) -> Iterator[Key]:
    """Series or instances, study by study in the order of studies."""
    studies = _from_table(_STUDIES, asked, wanted)
    found = seen = 0
    while some := list(islice(studies, STUDIES_AT_ONCE[bool(seen)])):
        for key in _inside(below, asked, [number for _, number in some]):
            found += 1
            yield key
        before, seen = seen, seen + len(some)
        has_few = found * _HOPE < wanted and before < STEPS[0] <= seen
        if asked.below and has_few:
            gathered = _gather_below(below, asked, some[-1])
            if gathered is not None:
                yield from gathered
                return


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
    if len(found) * _HOPE < wanted:
        return end
    # As far as the rest of a page is likely to be, and not much further.
    lacking = max(1, wanted - len(found))
    near = STEPS[0] * lacking * 3 // (2 * max(1, len(found)))
    found, end = _step(space, asked, end, min(max(near, STEPS[0]), STEPS[-1]))
    yield from found
    if end is not None:
        yield from _walk_on(space, asked, end)
    return None


def _walk_on(space: _Space, asked: Conditions, place: Place, *, step: int = 0) -> Iterator[Key]:
    """Step after step, to the end; when the first one is given, each is four times as long."""
    for number in range(1 << 62):
        rows = STEPS[min(number + 1, len(STEPS) - 1)]
        if step:
            rows = min(step << min(2 * number, 20), STEPS[-1])
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
            SELECT * FROM archive_studysearch s WHERE {inside}
            ORDER BY {space.order} LIMIT %s
        ) s WHERE {sql} ORDER BY {space.order}
    """  # noqa: S608 - columns and operators are ours, texts are parameters
    boundary = f"""
        SELECT {space.key}, {space.number} FROM archive_studysearch s WHERE {inside}
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
        SELECT {space.key}, {space.number} FROM archive_studysearch s WHERE {sql} LIMIT %s
    """  # noqa: S608 - columns and operators are ours, texts are parameters
    found: list[Key] = _in_time(statement, [*values, MOST + 1])
    if len(found) > MOST:
        return None
    return sorted(found, reverse=space.descends)


def _named(below: _Below, asked: Conditions) -> Iterator[Key]:
    """Those inside something that is named, by their numbers."""
    parts = [*asked.parts, *asked.dates, *asked.below]
    source = f"archive_studysearch s {below.joins}"
    return _ordered(source, ("s.study_id", *below.order), parts, [])


def _inside(below: _Below, asked: Conditions, studies: Sequence[int]) -> Iterator[Key]:
    """Those of some studies, in the order of these."""
    source = f"unnest(%s::bigint[]) WITH ORDINALITY AS s(study_id, place) {below.joins}"
    return _ordered(source, ("s.place", *below.order), asked.below, [list(studies)])


def _ordered(
    source: str, columns: tuple[str, ...], conditions_: Sequence[Part], given: list[Any]
) -> Iterator[Key]:
    """Rows of a source by columns, some thousand at a time; numbers are in the last column."""
    listed = ", ".join(columns)
    signs = ", ".join("%s" for _ in columns)
    place: Place = ()
    while True:
        parts = [*conditions_]
        if place:
            parts.append((f"({listed}) > ({signs})", list(place)))
        sql, values = joined(parts)
        statement = f"SELECT {listed} FROM {source} WHERE {sql} ORDER BY {listed} LIMIT %s"  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(statement, [*given, *values, ORDERED_AT_ONCE])
            found = list(cursor.fetchall())
        yield from ((row, row[-1]) for row in found)
        if len(found) < ORDERED_AT_ONCE:
            return
        place = found[-1]


def _gather_below(below: _Below, asked: Conditions, place: Key) -> list[Key] | None:
    """All series or instances behind a study, in order; None when they are too many."""
    beyond = (f"({_STUDIES.key}, {_STUDIES.number}) < (%s, %s)", list(place))
    sql, values = joined([*asked.parts, *asked.dates, *asked.below, beyond])
    listed = ", ".join((_STUDIES.key, _STUDIES.number, *below.order))
    statement = f"""
        SELECT {listed} FROM archive_studysearch s {below.joins} WHERE {sql} LIMIT %s
    """  # noqa: S608 - columns are ours, texts are parameters
    found = _in_time(statement, [*values, MOST + 1])
    if len(found) > MOST:
        return None
    found.sort(key=lambda row: row[2:])
    found.sort(key=lambda row: row[:2], reverse=True)  # those of one study keep their order
    return [(row, row[-1]) for row in found]


def _in_time(statement: str, values: Sequence[Any]) -> list[Any]:
    """The rows of a statement that may have to read whole tables, if it takes no longer than
    `MOST_S`.

    Raises:
        QuestionError: it does.
    """
    limit = "SELECT set_config('statement_timeout', %s, true)"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            before = cursor.fetchone()[0]
            cursor.execute(limit, [f"{round(MOST_S * 1000)}ms"])
            cursor.execute(statement, values)
            found = list(cursor.fetchall())
            cursor.execute(limit, [before])
            return found
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise QuestionError(
                f"the search took longer than {MOST_S} s",
                hint="name a study, a patient or days, or more of what is searched for",
            ) from None
        raise
