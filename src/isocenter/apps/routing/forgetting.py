"""What routing has of a study that is to be deleted, or that is too old to be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from isocenter.apps.archive.models import Study
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.routing.models import ArtifactUse, Delivery, QuarantineItem, Run
from isocenter.apps.routing.quarantining import close

_OPEN_RUNS = (Run.State.QUEUED, Run.State.RUNNING)
_OPEN_DELIVERIES = (Delivery.State.QUEUED, Delivery.State.SENDING, Delivery.State.WAITING)
_State = QuarantineItem.State


@dataclass(frozen=True)
class Leavings:
    """Files that nobody names any more once a study's rows are deleted.

    Attributes:
        paths: folders, relative to the data directory.
        reports: files, absolute.
        counts: what there was, for the event.
    """

    paths: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    counts: Mapping[str, int] | None = None


def open_work(study: Study) -> list[str]:
    """What is going on with a study, as sentences; what is held in quarantine is not at work."""
    found = []
    for rows, states, what in (
        (Run.objects.filter(study=study), _OPEN_RUNS, "run"),
        (Delivery.objects.filter(study=study), _OPEN_DELIVERIES, "delivery"),
        (QuarantineItem.objects.filter(study_uid=study.study_uid), (_State.RETRYING,), "retry"),
    ):
        counted: Any = rows.filter(state__in=states).values_list("state")
        for state, count in counted.annotate(n=Count("pk")).order_by("state"):
            found.append(_sentence(count, what, state))
    return found


def held(study: Study) -> list[str]:
    """What of a study is held in quarantine, as sentences."""
    items = QuarantineItem.objects.filter(study_uid=study.study_uid, state=_State.HELD)
    counts = items.values_list("kind").annotate(n=Count("pk")).order_by("kind")
    return [_sentence(count, kind, "in quarantine") for kind, count in counts]


def _sentence(count: int, what: str, state: str) -> str:
    plural = {"delivery": "deliveries", "retry": "retries"}.get(what, f"{what}s")
    return f"{count} {what if count == 1 else plural} {'at work' if what == 'retry' else state}"


def busy_studies() -> QuerySet[Any]:
    """Ids of studies with open runs or deliveries."""
    runs = Run.objects.filter(state__in=_OPEN_RUNS).order_by().values("study")
    deliveries = Delivery.objects.filter(state__in=_OPEN_DELIVERIES).order_by().values("study")
    return runs.union(deliveries)


def quarantined_studies() -> QuerySet[Any]:
    """UIDs of studies with something in quarantine that is not settled."""
    return QuarantineItem.objects.filter(state__in=(_State.HELD, _State.RETRYING)).values(
        "study_uid"
    )


def forget(study: Study, *, actor: str) -> Leavings:
    """Settle what routing has of a study whose rows go in this transaction.

    The caller holds the study's lock and has made sure that nothing is at work. Rows of runs,
    artifacts and deliveries go with the study's row.
    """
    items = list(QuarantineItem.objects.filter(study_uid=study.study_uid, state=_State.HELD))
    for item in items:
        close(item, _State.DELETED, Kind.QUARANTINE_DELETED, actor=actor)
    runs = list(Run.objects.filter(study=study).values_list("pk", "reports"))
    return Leavings(
        paths=(
            *(f"runs/{key}" for key, _ in runs),
            *(f"quarantine/{item.pk}" for item in items),
        ),
        reports=tuple(str(path) for _, reports in runs for path in reports),
        counts={
            "runs": len(runs),
            "deliveries": Delivery.objects.filter(study=study).count(),
            "quarantined": len(items),
        },
    )


def old_runs(before: datetime, limit: int) -> list[Run]:
    """Runs whose outputs nobody needs any more: over since before a time, of a study that is not
    protected, with nothing open, and not used by a younger run. The oldest first; not those whose
    outputs were dropped already."""
    open_deliveries = Delivery.objects.filter(run=OuterRef("pk"), state__in=_OPEN_DELIVERIES)
    items = QuarantineItem.objects.filter(
        run=OuterRef("pk"), state__in=(_State.HELD, _State.RETRYING)
    )
    younger = Q(step__run__finished_at__isnull=True) | Q(step__run__finished_at__gte=before)
    uses = ArtifactUse.objects.filter(younger, artifact__run=OuterRef("pk"))
    found = Run.objects.filter(
        ~Exists(open_deliveries),
        ~Exists(items),
        ~Exists(uses),
        finished_at__lt=before,
        outputs_dropped_at__isnull=True,
        study__protected=False,
    ).exclude(state__in=_OPEN_RUNS)
    return list(found.select_related("study").order_by("finished_at")[:limit])


def drop_outputs(run: Run) -> list[str]:
    """Note that a run's folder goes, and forget its reports; returns their files."""
    reports = [str(path) for path in run.reports]
    Run.objects.filter(pk=run.pk).update(reports=[], outputs_dropped_at=timezone.now())
    return reports
