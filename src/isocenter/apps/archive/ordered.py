"""Reading rows in the order of an index, when only some of them are wanted.

The query sets have a column ``sort_key``; equal keys follow the number of the row.
"""

from __future__ import annotations

import json
from typing import Any

from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet

MOST = 5_000  # counted; beyond it "about"
FEW = 1_000  # the same where the page did not need all of them
STAGES = (2_000, 20_000, 60_000)  # rows; 0.3 ms for each 1,000 that lie as they came

Key = tuple[Any, int]  # what is sorted by, and the number of the row


def keys_of(found: QuerySet[Any]) -> QuerySet[Any, Key]:
    """What the rows are sorted by, in no order."""
    return found.order_by().values_list("sort_key", "pk")


def walk(found: QuerySet[Any], place: Key | None, *, descends: bool) -> QuerySet[Any, Key]:
    """From a place on, in the order of the index."""
    if place is not None:
        side = "lt" if descends else "gt"
        # The first part alone is what an index can be entered with.
        found = found.filter(**{f"sort_key__{side}e": place[0]}).filter(
            Q(**{f"sort_key__{side}": place[0]}) | Q(**{f"pk__{side}": place[1]})
        )
    sign = "-" if descends else ""
    return keys_of(found).order_by(f"{sign}sort_key", f"{sign}pk")


def walked(way: QuerySet[Any, Key], condition: Q, count: int) -> list[Key]:
    """The first that match in an order; fewer where a walk to the last stage would not do."""
    taken: list[Key] = []
    for rows in STAGES:
        taken = _among(way, condition, count, rows)
        promised = len(taken) * STAGES[-1] // rows
        if len(taken) >= count or promised < count:
            break
    return taken


def _among(way: QuerySet[Any, Key], condition: Q, count: int, rows: int) -> list[Key]:
    """The first that match among the next `rows` of an order."""
    found = way.annotate(
        row=F("pk"), matches=ExpressionWrapper(condition, output_field=BooleanField())
    ).values_list("sort_key", "row", "matches")[:rows]
    statement, parameters = found.query.sql_with_params()
    # Outside of the limit, where PostgreSQL cannot take the condition to another index.
    parts = ("SELECT sort_key, row FROM (", statement, ") AS walked WHERE matches LIMIT %s")
    with connection.cursor() as cursor:
        cursor.execute("".join(parts), (*parameters, count))
        return [(key, row) for key, row in cursor.fetchall()]


def count_of(found: QuerySet[Any], most: int, *, like: QuerySet[Any]) -> tuple[int, bool]:
    """How many there are; from `most` on as PostgreSQL reckons by its statistics.

    Args:
        like: as many as in `found`, asked so that they can be reckoned.
    """
    plan = json.loads(like.order_by().explain(format="json"))
    reckoned = int(plan[0]["Plan"]["Plan Rows"])
    if reckoned <= most:
        counted = found.order_by()[: MOST + 1].count()
        if counted <= MOST:
            return counted, False
    return max(reckoned, most), True


def gathered(
    found: QuerySet[Any], place: Key | None, count: int, *, descends: bool
) -> tuple[list[Key], int]:
    """The next of a place where few match, and how many match: all are read, then sorted.

    Returns:
        the keys in order, and the number of all, of which none more than ``MOST + 1`` were read;
        the keys are of no use then.
    """
    keys = keys_of(found).annotate(row=F("pk")).values_list("sort_key", "row")
    statement, parameters = keys[: MOST + 1].query.sql_with_params()
    way, side = ("DESC", "<") if descends else ("ASC", ">")
    after = f"WHERE (sort_key, row) {side} (%s, %s)" if place else ""
    # One row at least comes back, with the number.
    query = f"""
        WITH matching AS MATERIALIZED ({statement})
        SELECT total, sort_key, row FROM (SELECT count(*) AS total FROM matching) AS counted
        LEFT JOIN (
            SELECT sort_key, row FROM matching {after}
            ORDER BY sort_key {way}, row {way} LIMIT %s
        ) AS page ON true ORDER BY sort_key {way}, row {way}
    """  # noqa: S608 - the statement is Django's, its values are parameters
    with connection.cursor() as cursor:
        cursor.execute(query, (*parameters, *(place or ()), count))
        rows = cursor.fetchall()
    return [(key, row) for _, key, row in rows if row is not None], rows[0][0]
