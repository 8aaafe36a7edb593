"""Whether somebody may have a study sent where a run would send it.

What a route sends by itself an administrator has decided. Whoever starts a run by hand decides
it anew, and needs the right to send to its nodes: else a run would be a way around the rights of
nodes and around pseudonyms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from isocenter.apps.accounts.rights import Principal
from isocenter.apps.routing import queries
from isocenter.apps.routing.matching import matching
from isocenter.apps.routing.models import Delivery, Route, Run
from isocenter.apps.routing.pipelines import RETURN_TO_SENDER, deidentifies
from isocenter.core.errors import NotAllowed


def require_start(
    principal: Principal,
    study_uid: str,
    *,
    route_name: str = "",
    pipeline_name: str = "",
    destinations: Sequence[str] = (),
) -> None:
    """Before a run is started by hand.

    Allowed without more is what a route would do by itself: it is switched on, and its condition
    holds for the study.

    Raises:
        NotAllowed: the run would send to a node that is not open to who asks.
        NotFound: no such study, route or pipeline.
    """
    route = queries.route(route_name) if route_name else None
    if route is not None and not destinations and _would_match(route, study_uid):
        return
    pipeline = route.pipeline if route is not None else queries.pipeline(pipeline_name)
    given = destinations or (route.destinations if route is not None else ())
    _require(principal, _nodes(pipeline.steps, given), identified=not deidentifies(pipeline.steps))


def require_again(principal: Principal, run: Run) -> None:
    """Before the same is started anew (`run_control.rerun`).

    Raises:
        NotAllowed, NotFound: as `require_start`.
    """
    if run.route is not None and run.route.pipeline.name == run.pipeline_name:
        require_start(principal, run.study.study_uid, route_name=run.route.name)
        return
    require_start(
        principal,
        run.study.study_uid,
        pipeline_name=run.pipeline_name,
        destinations=tuple(run.definition.get("destinations", ())),
    )


def require_repeat(principal: Principal, run: Run, delivery: Delivery | None = None) -> None:
    """Before a run, or one delivery of it, goes on.

    What a route began may be brought to its end by everybody who may run.

    Raises:
        NotAllowed: it was begun by hand, and sends to a node that is not open to who asks.
    """
    if not run.actor and run.route is not None and run.route.enabled:
        return
    steps = run.definition.get("steps", ())
    nodes = (
        [delivery.node_name]
        if delivery is not None
        else _nodes(steps, run.definition.get("destinations", ()))
    )
    _require(principal, nodes, identified=not deidentifies(steps))


def _would_match(route: Route, study_uid: str) -> bool:
    if not route.enabled:
        return False
    study = queries.study_with_revision(study_uid)
    return all(matched for _, matched, _ in matching([route], study))


def _nodes(steps: Iterable[Mapping[str, Any]], destinations: Iterable[str]) -> list[str]:
    """Where these steps send to."""
    nodes = list(destinations)
    for step in steps:
        if step.get("step") == "deliver":
            nodes += (step.get("with") or {}).get("nodes") or ()
    return list(dict.fromkeys(nodes))


def _require(principal: Principal, nodes: Iterable[str], *, identified: bool) -> None:
    for node in nodes:
        # Whoever sent a study has it already.
        if node == RETURN_TO_SENDER or principal.may_send_to(node, identified=identified):
            continue
        raise NotAllowed(
            f"{principal.name} may not send {'identified ' if identified else ''}studies to {node}",
            hint="ask an administrator",
        )
