"""What people do to routes and pipelines: keep, remove, restore, switch, put in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from isocenter.apps.routing import history, leaving, queries
from isocenter.apps.routing.definitions import (
    Change,
    apply_file,
    check_definitions,
    document_of,
    known_projects,
    pipeline_document,
    route_document,
)
from isocenter.apps.routing.documents import PipelineErrors, inside, read_yaml
from isocenter.apps.routing.history import What
from isocenter.apps.routing.models import Pipeline, Route
from isocenter.apps.routing.pipelines import check_file
from isocenter.apps.transfers import queries as transfers
from isocenter.core.errors import ConfigurationError, NotFound, PipelineError, Refused

_SECTION: dict[str, str] = {"route": "routes", "pipeline": "pipelines"}
MAX_PRIORITY = 1000


class ChangedMeanwhile(Refused):
    """Somebody else changed the same thing since it was read."""


def save(
    what: What,
    document: Mapping[str, Any],
    *,
    actor: str,
    is_new: bool = False,
    expected: datetime | None = None,
    note: str = "",
) -> Change:
    """Keep one route or pipeline as a person wrote it.

    Args:
        is_new: the person means to make it; a name that is taken is an error then.
        expected: ``changed_at`` of what the person had before their eyes.

    Raises:
        PipelineErrors: what is wrong, each with its path inside the document.
        NotFound: it is to be changed, and there is none.
        ChangedMeanwhile: somebody else changed it since.
    """
    name = str(document.get("name", ""))
    prefix = f"{_SECTION[what]}[0]"
    with transaction.atomic():
        row = _locked(what, name)
        if row is not None and is_new:
            error = PipelineError(f"there is a {what} {name} already", path="name")
            raise PipelineErrors((error,))
        if row is None and not is_new:
            raise NotFound(f"there is no {what} {name}")
        if row is not None and expected is not None and row.changed_at != expected:
            raise ChangedMeanwhile(
                f"the {what} {name} was changed meanwhile{_by(what, name)}; nothing was kept",
                hint="load the page again to see it; what you wrote is still here",
            )
        try:
            file = check_definitions({_SECTION[what]: [dict(document)]})
            (change,) = apply_file(file, actor=actor, note=note)
        except PipelineErrors as error:
            raise PipelineErrors(tuple(inside(item, prefix) for item in error.errors)) from None
    return change


def restore(number: int, *, actor: str) -> Change:
    """Bring a route or pipeline back to what it was after a change, or before its removal.

    Raises:
        NotFound: no such change.
        PipelineErrors: that version cannot work any more, because something else has changed.
    """
    row = history.change(number)
    what: What = "route" if row.kind == "route" else "pipeline"
    with transaction.atomic():
        document = read_yaml(row.after or row.before)
        is_new = _locked(what, row.name) is None
        return save(what, document, actor=actor, is_new=is_new, note=f"version {number} restored")


def remove(what: What, name: str, *, actor: str) -> None:
    """Remove a route or a pipeline. Runs that it started stay, and go on.

    Raises:
        NotFound: there is none.
        Refused: a route uses the pipeline.
    """
    with transaction.atomic():
        row = _locked(what, name)
        if row is None:
            raise NotFound(f"there is no {what} {name}")
        if isinstance(row, Pipeline):
            used = list(row.routes.order_by("name").values_list("name", flat=True))
            if used:
                raise Refused(
                    f"the pipeline {name} is used by the route{'s' * (len(used) > 1)} "
                    f"{', '.join(used)}",
                    hint="give them another pipeline, or remove them first",
                )
        before = document_of(row)
        if isinstance(row, Route) and row.deidentified_only:
            leaving.hold_to(row)  # its runs keep it when the route is gone
        row.delete()
        history.write(what, name, before, None, actor=actor)


def set_enabled(name: str, is_enabled: bool, *, reason: str = "", actor: str = "") -> Route:
    """Switch a route on or off. Runs that it started go on.

    Raises:
        NotFound: no such route.
        PipelineErrors: it cannot work as it is; it stays off.
    """
    with transaction.atomic():
        route = queries.route(name)
        before = route_document(route)
        if is_enabled:
            document = {
                "pipelines": [pipeline_document(route.pipeline)],
                "routes": [route_document(route) | {"enabled": True}],
            }
            known = [item.name for item in transfers.nodes()]
            check_file(document, known_nodes=known, known_projects=known_projects())
        route.enabled = is_enabled
        route.disabled_reason = "" if is_enabled else reason
        route.save()
        history.write("route", name, before, route_document(route), actor=actor)
    return route


def reorder(names: Sequence[str], *, actor: str) -> None:
    """Have routes asked in this order, by priorities that change as little as they can.

    Raises:
        ConfigurationError: these are not all routes, or there is no room for them.
    """
    with transaction.atomic():
        rows = {item.name: item for item in Route.objects.select_for_update()}
        if sorted(names) != sorted(rows):
            raise ConfigurationError(
                "the order must name every route once", hint="load the list again"
            )
        wanted = _priorities([(name, rows[name].priority) for name in names])
        for name, priority in wanted.items():
            route = rows[name]
            if route.priority != priority:
                before = route_document(route)
                route.priority = priority
                route.save()
                after = route_document(route)
                history.write("route", name, before, after, actor=actor, note="order")


def move(name: str, places: int, *, actor: str) -> None:
    """Have a route asked earlier (-1) or later (1).

    Raises:
        NotFound: no such route.
        ConfigurationError: there is no room for it.
    """
    with transaction.atomic():
        names = [item.name for item in queries.routes()]
        if name not in names:
            queries.route(name)
        at = names.index(name)
        names.insert(max(0, at + places), names.pop(at))
        reorder(names, actor=actor)


def _priorities(routes: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Priorities for routes in a wanted order: those there are, dealt out anew, raised where two
    that are equal would be asked by their names."""
    dealt = sorted((priority for _, priority in routes), reverse=True)
    wanted: dict[str, int] = {}
    below: tuple[str, int] | None = None
    for (name, _), priority in zip(reversed(routes), reversed(dealt), strict=True):
        least = priority
        if below is not None:
            least = max(priority, below[1] + (0 if name < below[0] else 1))
        wanted[name] = least
        below = (name, least)
    if wanted and max(wanted.values()) > MAX_PRIORITY:
        raise ConfigurationError(
            f"no priority above {MAX_PRIORITY} is left", hint="give lower ones in the routes first"
        )
    return wanted


def _locked(what: What, name: str) -> Route | Pipeline | None:
    if what == "route":
        return Route.objects.select_for_update().filter(name=name).first()
    return Pipeline.objects.select_for_update().filter(name=name).first()


def _by(what: What, name: str) -> str:
    found = history.changes(what, name, limit=1)
    return f" by {found[0].actor}" if found and found[0].actor else ""
