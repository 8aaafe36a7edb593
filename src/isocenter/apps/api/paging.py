"""Long lists by keyset: the cursor names the last row that was given, so pages stay fast and
complete however many rows there are and come meanwhile."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from isocenter.apps.api.schemas import Paging
from isocenter.core.errors import IsocenterError

Row = TypeVar("Row", bound=Model)
Key = int | uuid.UUID


class BadCursor(IsocenterError):
    """A cursor that was not given by us, or for another list."""

    def __init__(self) -> None:
        super().__init__("this cursor cannot be used", hint="take `next` of the page before")


def newest_first(
    rows: QuerySet[Row],
    time_field: str,
    paging: Paging,
    row_of: Callable[[Row], Mapping[str, Any]],
    *,
    key: Callable[[str], Key] = int,
) -> dict[str, Any]:
    """A page of rows in the order of a time, the newest first, and of the primary key.

    Args:
        key: reads a primary key from text.

    Raises:
        BadCursor: the cursor is none of this list.
    """
    if paging.cursor:
        at, last = _read(paging.cursor, key)
        rows = rows.filter(Q(**{f"{time_field}__lt": at}) | Q(**{time_field: at, "pk__lt": last}))
    found: Sequence[Row] = list(rows.order_by(f"-{time_field}", "-pk")[: paging.limit + 1])
    shown = found[: paging.limit]
    following = None
    if len(found) > paging.limit:
        following = encode([getattr(shown[-1], time_field).isoformat(), str(shown[-1].pk)])
    return {"items": [row_of(row) for row in shown], "next": following}


def by_number(
    rows: QuerySet[Row], paging: Paging, row_of: Callable[[Row], Mapping[str, Any]]
) -> dict[str, Any]:
    """A page of rows in the order of the primary key.

    Raises:
        BadCursor: the cursor is none of this list.
    """
    if paging.cursor:
        values = decode(paging.cursor)
        if len(values) != 1 or not isinstance(values[0], int) or not 0 <= values[0] < 1 << 63:
            raise BadCursor
        rows = rows.filter(pk__gt=values[0])
    found: Sequence[Row] = list(rows.order_by("pk")[: paging.limit + 1])
    shown = found[: paging.limit]
    following = encode([shown[-1].pk]) if len(found) > paging.limit else None
    return {"items": [row_of(row) for row in shown], "next": following}


def whole(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A list that has one page."""
    return {"items": list(items), "next": None}


def encode(values: Sequence[Any]) -> str:
    """A cursor: plain enough to read, opaque enough not to be relied on."""
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode().rstrip("=")


def decode(cursor: str) -> list[Any]:
    """
    Raises:
        BadCursor: it is none.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        raw = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
        values = json.loads(raw)
    except (ValueError, RecursionError, binascii.Error):
        raise BadCursor from None
    if not isinstance(values, list):
        raise BadCursor
    return values


def _read(cursor: str, key: Callable[[str], Key]) -> tuple[dt.datetime, Key]:
    values = decode(cursor)
    try:
        at, last = values
        moment = dt.datetime.fromisoformat(at)
        number = key(last)
    except (ValueError, TypeError, AttributeError):
        raise BadCursor from None
    if moment.tzinfo is None or (isinstance(number, int) and not -(1 << 63) <= number < 1 << 63):
        raise BadCursor
    return moment, number
