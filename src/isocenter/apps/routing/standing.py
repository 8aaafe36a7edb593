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

    @staticmethod
    def _count(counts: dict[str, int], states: Iterable[str]) -> int:
        return sum(counts.get(state, 0) for state in states)

    @property
    def failed(self) -> int:
        return self._count(self.runs, ("failed",)) + self._count(self.deliveries, ("failed",))

    @property
    def working(self) -> int:
        return self._count(self.runs, _WORKING) + self._count(self.deliveries, _WORKING)

    @property
    def waiting(self) -> int:
        return self._count(self.runs, _WAITING) + self._count(self.deliveries, _WAITING)


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
