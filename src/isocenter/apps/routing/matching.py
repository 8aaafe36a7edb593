"""Which routes a study matches, and why."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from isocenter.apps.archive import queries as archive
from isocenter.apps.archive.models import Study
from isocenter.apps.routing.conditions import Explanation, check, explain
from isocenter.apps.routing.models import Route
from isocenter.core.errors import ConditionError


def condition_facts(study_facts: dict[str, Any], now: datetime | None = None) -> dict[str, Any]:
    """What the archive says of a study, in the words of conditions.

    Args:
        now: aware; default: the present. Conditions see the local time of this machine.
    """
    return {
        **study_facts,
        "SourceAETitle": study_facts.get("SourceAE", ""),
        "CalledAETitle": study_facts.get("CalledAE", ""),
        "series": study_facts.get("Series", []),
        "now": (now or datetime.now().astimezone()).astimezone(),
    }


def explain_route(route: Route, facts: dict[str, Any]) -> Explanation:
    """Whether a route's condition holds, term by term.

    Raises:
        ConditionError: the stored condition cannot be read.
    """
    return explain(check(route.condition), facts)


def matching(routes: Iterable[Route], study: Study) -> list[tuple[Route, bool, str]]:
    """Each route with whether it matches and the reason. A condition that cannot be read is no."""
    facts = condition_facts(archive.study_facts(study))
    results = []
    for route in routes:
        try:
            explanation = explain_route(route, facts)
            results.append((route, explanation.matched, explanation.sentence))
        except ConditionError as error:
            results.append((route, False, f"the condition cannot be read: {error}"))
    return results
