"""What can be asked of routing."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, Max, OuterRef, Q, Sum

from isocenter.apps.archive import queries as archive
from isocenter.apps.archive.models import Instance, Study
from isocenter.apps.routing.conditions import check, explain
from isocenter.apps.routing.forgetting import (
    busy_studies,
    held,
    old_runs,
    open_work,
    quarantined_studies,
)
from isocenter.apps.routing.matching import condition_facts, matching
from isocenter.apps.routing.models import (
    Artifact,
    Delivery,
    DeliveryItem,
    Pipeline,
    QuarantineItem,
    Route,
    RouteEvaluation,
    Run,
    RunStep,
)
from isocenter.apps.routing.quarantine_list import QuarantineFilter, matching_items
from isocenter.apps.routing.runs_list import RunFilter, matching_runs
from isocenter.apps.routing.standing import Standing, standing, studies_in_trouble
from isocenter.core.errors import ConditionError, NotFound
from isocenter.runtime.settings import CompletionRule

__all__ = [
    "QuarantineFilter",
    "RunFilter",
    "Standing",
    "awaited_modalities",
    "busy_studies",
    "completion_rules",
    "delivered_to",
    "deliveries_by_node",
    "deliveries_of",
    "delivery_counts",
    "evaluated_revisions",
    "held",
    "is_artifact",
    "log_of",
    "matching_items",
    "matching_runs",
    "old_runs",
    "open_work",
    "pipeline",
    "quarantine_item",
    "quarantine_items",
    "quarantine_size",
    "quarantined_files",
    "quarantined_studies",
    "route",
    "routes",
    "routes_to",
    "run",
    "runs",
    "standing",
    "step_of",
    "studies_in_trouble",
    "study_with_revision",
    "test_routes",
]

_OPEN = (QuarantineItem.State.HELD, QuarantineItem.State.RETRYING)


def is_artifact(sop_uids: Collection[str]) -> set[str]:
    """Which of these SOP Instance UIDs are our own artifacts.

    A de-identified copy that kept its UID does not make its original ours.
    """
    wanted = [uid for uid in sop_uids if uid]
    if not wanted:
        return set()
    received = Instance.objects.filter(
        sop_uid=OuterRef("sop_uid"), study=OuterRef("study"), is_derived=False
    )
    found = Artifact.objects.filter(sop_uid__in=wanted).exclude(Exists(received) & ~Q(domain=""))
    return set(found.values_list("sop_uid", flat=True))


def completion_rules() -> list[tuple[int, str, CompletionRule]]:
    """Enabled routes (id, name) with what they say of completion; an empty rule says nothing."""
    found = Route.objects.filter(enabled=True).order_by("-priority", "name")
    return [(item.pk, item.name, CompletionRule(**item.completion)) for item in found]


def evaluated_revisions(study: Study, routes: Collection[int]) -> dict[int, int]:
    """The newest revision that each of these routes was asked about; 0 is left out."""
    found = (
        RouteEvaluation.objects.filter(route__in=list(routes), revision__study=study)
        .values("route_id")
        .annotate(newest=Max("revision__number"))
    )
    return {row["route_id"]: row["newest"] for row in found}


def awaited_modalities(study_facts: dict[str, Any]) -> dict[int, list[str]]:
    """What each matching route (id) demands, else quarantines, and the study does not have."""
    present = set(study_facts.get("ModalitiesInStudy", ()))
    facts = condition_facts(study_facts)
    awaited: dict[int, list[str]] = {}
    for item in Route.objects.filter(enabled=True).select_related("pipeline").order_by("pk"):
        wanted = [name for name in _demanded(item.pipeline.steps) if name not in present]
        if wanted and _matches(item, facts):
            awaited[item.pk] = wanted
    return awaited


def delivered_to(node: str, study: Study) -> int:
    """How many of our own objects of a study a node has acknowledged."""
    sent = DeliveryItem.objects.filter(
        delivery__study=study, delivery__target__node=node, state=DeliveryItem.State.SENT
    )
    ours = Artifact.objects.filter(study=study).exclude(sop_uid="").values("sop_uid")
    return sent.filter(sop_uid__in=ours).values("sop_uid").distinct().count()


def _demanded(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    demanded: list[str] = []
    for item in steps:
        given = item.get("with", {})
        if item["step"] == "select" and given.get("on_missing", "quarantine") == "quarantine":
            demanded += given.get("requires", ())
        if (
            item["step"] == "contours"
            and given.get("on_missing_rtstruct", "quarantine") == "quarantine"
        ):
            demanded.append("RTSTRUCT")
    return demanded


def _matches(item: Route, facts: dict[str, Any]) -> bool:
    try:
        return explain(check(item.condition), facts).matched
    except ConditionError:
        return False


def quarantine_size() -> int:
    """Bytes that open items of the quarantine hold."""
    total = QuarantineItem.objects.filter(state__in=_OPEN).aggregate(total=Sum("size"))["total"]
    return int(total or 0)


def refused_instances(sop_uids: Sequence[str]) -> set[str]:
    """Those UIDs under which something was sent that could not be taken in and waits for a person
    in quarantine. What was replaced or rejected there is none."""
    held = QuarantineItem.objects.filter(
        kind=QuarantineItem.Kind.INSTANCE,
        state__in=_OPEN,
        sop_uid__in=sop_uids,
        was_archived=False,
    )
    return set(held.values_list("sop_uid", flat=True))


def routes() -> list[Route]:
    """All routes, in the order in which they are asked."""
    return list(Route.objects.select_related("pipeline").order_by("-priority", "name"))


def route(name: str) -> Route:
    """One route.

    Raises:
        NotFound: there is none; names the nearest.
    """
    found = Route.objects.select_related("pipeline").filter(name=name).first()
    if found is None:
        raise _no("route", name, list(Route.objects.values_list("name", flat=True)))
    return found


def pipeline(name: str) -> Pipeline:
    """One pipeline.

    Raises:
        NotFound: there is none; names the nearest.
    """
    found = Pipeline.objects.filter(name=name).first()
    if found is None:
        raise _no("pipeline", name, list(Pipeline.objects.values_list("name", flat=True)))
    return found


def routes_to(node: str) -> list[str]:
    """Names of routes that send to a node."""
    return [
        item.name
        for item in routes()
        if node in item.destinations
        or any(node in step.get("with", {}).get("nodes", ()) for step in item.pipeline.steps)
    ]


def pipelines_with(step: str, **parameters: Any) -> list[str]:
    """Names of pipelines that have a step with these parameters."""
    wanted = [{"step": step, "with": parameters}]
    found = Pipeline.objects.filter(steps__contains=wanted).order_by("name")
    return list(found.values_list("name", flat=True))


def test_routes(names: Sequence[str], studies: Sequence[Study]) -> list[dict[str, Any]]:
    """Which stored studies routes would match, and why or why not; nothing is started."""
    asked = [route(name) for name in names] if names else routes()
    return [
        {
            "route": item.name,
            "enabled": item.enabled,
            "study_uid": study.study_uid,
            "matched": matched,
            "reason": reason,
        }
        for study in studies
        for item, matched, reason in matching(asked, study)
    ]


def study_with_revision(study_uid: str) -> Study:
    """A study.

    Raises:
        NotFound: it is not here.
    """
    return archive.study(study_uid)


def run(run_id: uuid.UUID | str) -> Run:
    """One run, by its id or the beginning of it.

    Raises:
        NotFound: there is none, or the beginning fits several.
    """
    found = _by_prefix(Run.objects.select_related("study", "revision"), run_id)
    if len(found) != 1:
        raise _not_one("run", run_id, len(found))
    return found[0]


def runs(
    *,
    study_uid: str = "",
    states: Sequence[str] = (),
    route_name: str = "",
    before: datetime | None = None,
    limit: int = 100,
) -> list[Run]:
    """Runs, the newest first."""
    found = Run.objects.select_related("study", "revision").order_by("-created_at")
    if study_uid:
        found = found.filter(study__study_uid=study_uid)
    if states:
        found = found.filter(state__in=list(states))
    if route_name:
        found = found.filter(route_name=route_name)
    if before is not None:
        found = found.filter(created_at__lt=before)
    return list(found[:limit])


def quarantine_item(item_id: uuid.UUID | str) -> QuarantineItem:
    """One item, by its id or the beginning of it.

    Raises:
        NotFound: there is none, or the beginning fits several.
    """
    found = _by_prefix(QuarantineItem.objects.select_related("run", "delivery"), item_id)
    if len(found) != 1:
        raise _not_one("quarantine", item_id, len(found))
    return found[0]


def quarantine_items(
    *,
    kinds: Sequence[str] = (),
    states: Sequence[str] = _OPEN,
    study_uid: str = "",
    limit: int = 100,
) -> list[QuarantineItem]:
    """Items of the quarantine, the newest first; the open ones unless states are named."""
    found = QuarantineItem.objects.select_related("delivery").order_by("-last_at")
    if kinds:
        found = found.filter(kind__in=list(kinds))
    if states:
        found = found.filter(state__in=list(states))
    if study_uid:
        found = found.filter(study_uid=study_uid)
    return list(found[:limit])


def deliveries_of(found: Run) -> list[Delivery]:
    """A run's deliveries."""
    return list(found.deliveries.order_by("pk"))


def delivery_counts(delivery: Delivery) -> dict[str, int]:
    """How many items a delivery has, by state."""
    states = list(delivery.items.values_list("state", flat=True))
    return {str(state): states.count(state) for state in DeliveryItem.State.values}


def deliveries_by_node() -> dict[str, dict[str, int]]:
    """Per node, how many deliveries are open (queued, sending, waiting) and how many failed."""
    states = Delivery.State
    wanted = (states.QUEUED, states.SENDING, states.WAITING, states.FAILED)
    counted = (
        Delivery.objects.filter(state__in=wanted)
        .values_list("target__node", "node_name", "state")
        .annotate(count=Count("pk"))
        .order_by()
    )
    found: dict[str, dict[str, int]] = {}
    for target, name, state, count in counted:
        row = found.setdefault(target or name, {"open": 0, "failed": 0})
        row["failed" if state == states.FAILED else "open"] += count
    return found


def step_of(found: Run, name: str) -> RunStep:
    """A step by name or number.

    Raises:
        NotFound: the run has none of it.
    """
    for item in found.steps.all():
        if name in (item.name, str(item.index)):
            return item
    raise _no("step", name, [item.name for item in found.steps.all()])


def log_of(step: RunStep) -> str:
    """What a step printed; empty where nothing is kept."""
    from isocenter.apps.routing.step_execution import log_text

    return log_text(step)


def quarantined_files(item: QuarantineItem) -> list[str]:
    """Names of the files that are kept for an item, below its folder."""
    from isocenter.apps.routing.quarantining import folder_of

    folder = folder_of(item)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _by_prefix(rows: Any, key: uuid.UUID | str) -> list[Any]:
    text = str(key).lower().replace("-", "")
    if not 4 <= len(text) <= 32 or set(text) - set("0123456789abcdef"):
        return []
    low, high = (uuid.UUID(text.ljust(32, fill)) for fill in "0f")
    return list(rows.filter(pk__gte=low, pk__lte=high)[:2])


def _not_one(what: str, key: uuid.UUID | str, count: int) -> NotFound:
    command = "runs" if what == "run" else what
    if count:
        return NotFound(f"several ids begin with {key}", hint="give more of it")
    return NotFound(f"there is no {what} {key}", hint=f"isocenter {command} list")


def _no(what: str, name: str, names: Sequence[str]) -> NotFound:
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names) or 'none'}"
    return NotFound(f"there is no {what} {name!r}", hint=hint)
