"""Queries that are asked again and again: the database plans them once per connection.

Django puts values into the text of a query itself, so that each is planned anew, which takes
longer than looking up a row. Only for plain SELECTs whose words do not change. Where the
connection's ``prepare_threshold`` is not set (all processes but the web server), nothing is
prepared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from django.db import connection


def rows(sql: LiteralString, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """All rows of a query.

    Raises:
        DatabaseError: Django's, as from any other query.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(sql, values).fetchall()
