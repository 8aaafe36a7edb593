"""Pages of long lists by keyset, the newest first: as fast on the last page as on the first, and
complete whatever comes meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet

Row = TypeVar("Row", bound=Model)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OLDER, _NEWER = "o", "n"


@dataclass(frozen=True)
class Slice(Generic[Row]):
    """Some rows, and the cursors of those before and after; empty where there are none."""

    rows: list[Row]
    newer: str = ""
    older: str = ""


def newest_first(
    rows: QuerySet[Row], time_field: str, cursor: str = "", *, size: int = 50
) -> Slice[Row]:
    """The rows that a cursor points at; a cursor that cannot be read gives the first page."""
    place = _read(cursor, rows.model)
    if place is None:
        found = list(rows.order_by(f"-{time_field}", "-pk")[: size + 1])
        older = _cursor(_OLDER, found[size - 1], time_field) if len(found) > size else ""
        return Slice(found[:size], "", older)
    direction, at, key = place
    way = "lt" if direction == _OLDER else "gt"
    beyond = Q(**{f"{time_field}__{way}": at}) | Q(**{time_field: at, f"pk__{way}": key})
    # Said twice, so that the index is entered at the right place.
    near = rows.filter(beyond, **{f"{time_field}__{way}e": at})
    if direction == _OLDER:
        found = list(near.order_by(f"-{time_field}", "-pk")[: size + 1])
        shown = found[:size]
    else:
        found = list(near.order_by(time_field, "pk")[: size + 1])
        shown = list(reversed(found[:size]))
    if not shown:
        return newest_first(rows, time_field, size=size)
    has_more = len(found) > size
    newer = _cursor(_NEWER, shown[0], time_field) if direction == _OLDER or has_more else ""
    older = _cursor(_OLDER, shown[-1], time_field) if direction == _NEWER or has_more else ""
    return Slice(shown, newer, older)


def _cursor(direction: str, row: Model, time_field: str) -> str:
    at: datetime = getattr(row, time_field)
    return f"{direction}{(at - _EPOCH) // timedelta(microseconds=1)}.{row.pk}"


def _read(cursor: str, model: type[Model]) -> tuple[str, datetime, Any] | None:
    direction, rest = cursor[:1], cursor[1:]
    micros, _, key = rest.partition(".")
    if direction not in (_OLDER, _NEWER) or not micros.isascii() or not micros.isdigit():
        return None
    try:
        at = _EPOCH + timedelta(microseconds=int(micros))
        return direction, at, model._meta.pk.to_python(key)
    except Exception:  # whatever a made-up cursor makes of it: the first page
        return None
