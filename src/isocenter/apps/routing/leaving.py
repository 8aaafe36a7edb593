"""The last look at a delivery, just before its files are sent.

Between the search of a file and its sending may lie days and retries, and a route may have been
told meanwhile that nothing identified leaves by it.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from django.conf import settings
from django.db.models import Q

from isocenter.apps.routing.files import file_digest
from isocenter.apps.routing.models import Artifact, DeliveryItem, Route, Run
from isocenter.apps.routing.pipelines import DEIDENTIFY, deidentifies


def is_strict(run: Run) -> bool:
    """Whether nothing identified may leave: as the run's route says now, or said before it was
    removed."""
    return Run.objects.filter(
        Q(deidentified_only=True) | Q(route__deidentified_only=True), pk=run.pk
    ).exists()


def hold_to(route: Route) -> None:
    """Have the runs of a route held to what it says now, in the caller's transaction."""
    Run.objects.filter(route=route).exclude(deidentified_only=route.deidentified_only).update(
        deidentified_only=route.deidentified_only
    )


def forbidden(run: Run) -> str:
    """Why nothing of a run may leave any more; empty where it may."""
    if deidentifies(run.definition.get("steps", ())) or not is_strict(run):
        return ""
    return (
        f"nothing identified may leave by the route {run.route_name}, and this run did not "
        "de-identify"
    )


def not_as_searched(run: Run, items: Collection[DeliveryItem]) -> dict[int, str]:
    """Items that must not be sent, with the reason; only runs that de-identify have such.

    A file must be an artifact of the domain that the run has now (see `identity`), and must be
    what was searched. What a pipeline sends before it de-identifies is not held to this.
    """
    steps = run.definition.get("steps", ())
    if not any(item.get("step") == DEIDENTIFY for item in steps):
        return {}
    all_of_it = deidentifies(steps)
    root = Path(settings.LAYOUT.root)
    paths = {item.pk: root / item.path for item in items}
    runs = Path(settings.LAYOUT.runs)
    inside = [str(path.relative_to(runs)) for path in paths.values() if path.is_relative_to(runs)]
    made = Artifact.objects.filter(path__in=inside).exclude(domain="")
    found = {
        runs / path: (digest, domain)
        for path, digest, domain in made.values_list("path", "digest", "domain")
    }
    now = _domain_of(run)
    refused = {}
    for item in items:
        path = paths[item.pk]
        if path not in found:
            if all_of_it:
                refused[item.pk] = "it was not de-identified"
            continue
        digest, domain = found[path]
        if domain != now:
            refused[item.pk] = "the run de-identifies anew, or has done so since"
        elif path.is_file() and not item.digest == digest == file_digest(path):
            refused[item.pk] = "the file is not what was searched for identifiers any more"
    return refused


def _domain_of(run: Run) -> str:
    """Of what the run de-identified last; empty while it does so again."""
    step = run.steps.filter(name=DEIDENTIFY).first()
    data = step.result.get("data", {}) if step is not None else {}
    return str(data.get("stamp", {}).get("domain", ""))
