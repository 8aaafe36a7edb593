"""Whether anything that the study page shows can have changed, for a few small questions.

An open page asks every three seconds; making all of its parts to find out costs a hundred times
as much. The stamp may change where no part does. It never stays where one did.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Sum

from isocenter.apps.archive.models import Series, Study
from isocenter.apps.archive.study_page import MOST_DELIVERIES, MOST_RUNS
from isocenter.apps.archive.thumbnail_files import changed_at


def stamp_of(study: Study, *, with_events: bool) -> str:
    """Changes with everything that a part of the page is made of.

    It is keyed: a plain digest would tell whether a guess of whose the study is is right.

    Args:
        study: as it is now.
        with_events: whether the page shows them.
    """
    series = Series.objects.filter(study=study)
    runs = _runs(study)
    found = [
        [getattr(study, field.attname) for field in Study._meta.concrete_fields],
        series.aggregate(Count("pk"), Max("pk"), Sum("instance_count")),
        changed_at(study.study_uid),
        runs,
        *((_steps(study), _outputs(study), _deliveries(study)) if runs else ()),  # all of runs
        _newest_event(study) if with_events else None,
    ]
    return hashlib.blake2b(
        repr(found).encode("utf-8", "replace"),
        digest_size=9,
        key=hashlib.sha256(str(settings.SECRET_KEY).encode()).digest(),
    ).hexdigest()


def _runs(study: Study) -> list[Any]:
    from isocenter.apps.routing.models import Run

    fields = ("pk", "state", "started_at", "finished_at", "reason", "reports")
    runs = Run.objects.filter(study=study)
    return list(runs.order_by("-created_at").values_list(*fields)[:MOST_RUNS])


def _steps(study: Study) -> list[Any]:
    from isocenter.apps.routing.models import Run, RunStep

    open_states = (Run.State.QUEUED, Run.State.RUNNING)
    steps = RunStep.objects.filter(run__study=study, run__state__in=open_states)
    return list(steps.order_by("pk").values_list("pk", "state", "progress", "message"))


def _outputs(study: Study) -> list[Any]:
    from isocenter.apps.routing.models import Artifact

    found = Artifact.objects.filter(study=study).values_list("state")
    return list(found.annotate(Count("pk"), Max("pk")).order_by("state"))


def _deliveries(study: Study) -> list[Any]:
    from isocenter.apps.routing.models import Delivery, DeliveryItem

    fields = ("pk", "state", "attempts", "next_attempt_at", "reason", "finished_at", "target")
    found = Delivery.objects.filter(study=study)
    # Only while something is sent does an instance get another state without its delivery.
    items = DeliveryItem.objects.filter(
        delivery__study=study, delivery__state=Delivery.State.SENDING
    )
    return [
        list(found.order_by("-created_at").values_list(*fields)[:MOST_DELIVERIES]),
        list(items.values_list("state").annotate(Count("pk")).order_by("state")),
    ]


def _newest_event(study: Study) -> int | None:
    from isocenter.apps.audit.queries import newest_event

    return newest_event(study.study_uid)
