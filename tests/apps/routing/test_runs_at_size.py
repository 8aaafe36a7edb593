"""Filters of the list of runs among many: a rare value is found by its index."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from isocenter.apps.archive.models import Revision, Study
from isocenter.apps.routing.models import Delivery, Run
from isocenter.apps.routing.runs_list import RunFilter, run_slice

MANY = 20_000


@pytest.fixture
def many(db):
    now = timezone.now()
    study = Study.objects.create(study_uid="1.2.3", first_received_at=now, last_received_at=now)
    revision = Revision.objects.create(study=study, number=1, reason="complete", instance_count=0)
    runs = Run.objects.bulk_create(
        Run(
            pipeline_name="rare" if number == 7 else "usual",
            route_name="rare" if number == 7 else "usual",
            definition={},
            study=study,
            revision=revision,
        )
        for number in range(MANY)
    )
    Delivery.objects.bulk_create(
        Delivery(
            run=run,
            study=study,
            node_name="rare" if number == 7 else "usual",
            target={"node": "sender"} if number == 8 else {},
        )
        for number, run in enumerate(runs)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "update routing_run set created_at = created_at - random() * interval '90 days'"
        )
        cursor.execute("analyze routing_run")
        cursor.execute("analyze routing_delivery")
    return [run.pk for run in runs]


@pytest.mark.parametrize(
    ("wanted", "index", "number"),
    [
        (RunFilter(pipeline="rare"), "run_pipeline", 7),
        (RunFilter(route="rare"), "run_route", 7),
        (RunFilter(node="rare"), "delivery_node", 7),
        (RunFilter(node="sender"), "delivery_target", 8),
    ],
)
def test_a_rare_value_is_found_by_its_index(many, wanted, index, number):
    with CaptureQueriesContext(connection) as asked:
        found = run_slice(wanted)
    assert [run.pk for run in found.rows] == [many[number]]
    with connection.cursor() as cursor:
        cursor.execute(f"explain {asked[0]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert index in plan, plan
