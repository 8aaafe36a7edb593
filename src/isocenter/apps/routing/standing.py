"""Where the runs and deliveries of studies stand, for lists of studies."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.db.models import Count, QuerySet

from isocenter.apps.routing.models import Delivery, Run

_WORKING = ("running", "sending")
_WAITING = ("queued", "waiting")


@dataclass
class Standing:
    """How many runs and deliveries of a study are in each state."""

    runs: dict[str, int] = field(default_factory=dict)
    deliveries: dict[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        return _count(self, ("failed",))

    @property
    def working(self) -> int:
        return _count(self, _WORKING)

    @property
    def waiting(self) -> int:
        return _count(self, _WAITING)

    @property
    def is_done(self) -> bool:
        """Whether something was done, and nothing is left or failed."""
        return _count(self, ("done",)) > 0 and not (self.failed or self.working or self.waiting)

    @property
    def failed_text(self) -> str:
        return _text(self, ("failed",), "failed")

    @property
    def working_text(self) -> str:
        return _text(self, _WORKING, "at work")

    @property
    def waiting_text(self) -> str:
        return _text(self, _WAITING, "waiting")

    @property
    def done_text(self) -> str:
        return _text(self, ("done",), "done")


def _count(standing: Standing, states: Iterable[str]) -> int:
    return sum(standing.runs.get(state, 0) + standing.deliveries.get(state, 0) for state in states)


def _text(standing: Standing, states: Iterable[str], word: str) -> str:
    """``1 run, 2 deliveries failed``."""
    runs = sum(standing.runs.get(state, 0) for state in states)
    deliveries = sum(standing.deliveries.get(state, 0) for state in states)
    parts = []
    if runs:
        parts.append(f"{runs} run{'s' if runs > 1 else ''}")
    if deliveries:
        parts.append(f"{deliveries} deliver{'ies' if deliveries > 1 else 'y'}")
    return f"{', '.join(parts)} {word}"


def standing(studies: Collection[int]) -> dict[int, Standing]:
    """By the studies' row numbers; a study that nothing was done with is left out."""
    found: dict[int, Standing] = {}
    if not studies:
        return found
    for name, model in (("runs", Run), ("deliveries", Delivery)):
        counted = (
            model._default_manager.filter(study__in=studies)
            .values_list("study_id", "state")
            .annotate(n=Count("pk"))
            .order_by()
        )
        for study, state, count in counted:
            getattr(found.setdefault(study, Standing()), name)[str(state)] = count
    return found


def studies_in_trouble() -> QuerySet[Run, int]:
    """Row numbers of studies that have a failed run or delivery, as a subquery."""
    runs = Run.objects.filter(state=Run.State.FAILED).values_list("study_id", flat=True)
    deliveries = Delivery.objects.filter(state=Delivery.State.FAILED)
    return runs.union(deliveries.values_list("study_id", flat=True))
