"""What routes and pipelines were before: every change with who made it, and the way back."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from isocenter.apps.audit import services as audit
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.routing.documents import write_yaml
from isocenter.apps.routing.models import RouteChange
from isocenter.core.errors import NotFound

What = Literal["route", "pipeline"]
_KINDS = {"route": Kind.ROUTE_CHANGED, "pipeline": Kind.PIPELINE_CHANGED}


@dataclass(frozen=True)
class DiffLine:
    """A line of the YAML; ``sign`` is ``+``, ``-`` or empty."""

    sign: str
    text: str


def write(
    what: What,
    name: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    *,
    actor: str,
    note: str = "",
) -> None:
    """Write a change down, in the caller's transaction; nothing where nothing changed."""
    if before == after:
        return
    change = "made" if before is None else "removed" if after is None else "changed"
    row = RouteChange.objects.create(
        kind=what,
        name=name,
        change=change,
        actor=actor[:255],
        before=write_yaml(before) if before is not None else "",
        after=write_yaml(after) if after is not None else "",
        note=note,
    )
    old, new = before or {}, after or {}
    # Keys only: a condition may name a patient.
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    detail: dict[str, Any] = {what: name, "change": change, "version": row.pk, "keys": keys}
    if note:
        detail["note"] = note
    audit.record(_KINDS[what], actor=actor, **detail)


def changes(what: str = "", name: str = "", *, limit: int = 50) -> list[RouteChange]:
    """Changes, the newest first."""
    found = RouteChange.objects.order_by("-pk")
    if what:
        found = found.filter(kind=what)
    if name:
        found = found.filter(name=name)
    return list(found[:limit])


def change(number: int) -> RouteChange:
    """One change.

    Raises:
        NotFound: there is none.
    """
    found = RouteChange.objects.filter(pk=number).first()
    if found is None:
        raise NotFound(f"there is no change {number}")
    return found


@dataclass(frozen=True)
class ShownChange:
    """A change with what it did, line by line."""

    row: RouteChange
    lines: list[DiffLine]


def shown(what: str = "", name: str = "") -> list[ShownChange]:
    """Changes, the newest first, as pages show them."""
    return [ShownChange(row, difference(row)) for row in changes(what, name)]


def difference(row: RouteChange) -> list[DiffLine]:
    """What a change did to the YAML, line by line."""
    before, after = row.before.splitlines(), row.after.splitlines()
    lines = difflib.ndiff(before, after)
    return [DiffLine(line[0].strip(), line[2:]) for line in lines if line[0] != "?"]
