"""Who may have a study sent by a run."""

from __future__ import annotations

from typing import Any

import pytest

from isocenter.apps.accounts.rights import Principal, Right
from isocenter.apps.routing import services
from isocenter.apps.routing.models import Pipeline, Route, Run
from isocenter.core.errors import NotAllowed, NotFound

pytestmark = pytest.mark.django_db(transaction=True)
RESEARCHER = Principal(
    name="r",
    user_id=1,
    rights=frozenset({Right.VIEW, Right.RUN, Right.TRANSFER}),
    destinations=frozenset({"granted"}),
)
TRUSTED = Principal(
    name="t",
    user_id=2,
    rights=RESEARCHER.rights | {Right.TRANSFER_IDENTIFIED},
    destinations=frozenset({"granted"}),
)


@pytest.fixture
def study_uid(stored) -> str:
    _, revision = stored()
    return revision.study.study_uid


@pytest.fixture
def route(db):
    def make(**values: Any) -> Route:
        pipeline = Pipeline.objects.create(name="copy", steps=[{"step": "deliver", "with": {}}])
        defaults = {"name": "out", "condition": "", "enabled": True, "destinations": ["pacs"]}
        return Route.objects.create(pipeline=pipeline, **(defaults | values))

    return make


def test_what_a_route_does_by_itself_may_be_started_by_all_who_run(route, study_uid):
    route(condition='"RTSTRUCT" in ModalitiesInStudy')
    services.require_start(RESEARCHER, study_uid, route_name="out")


@pytest.mark.parametrize("values", [{"enabled": False}, {"condition": 'Modality == "US"'}])
def test_a_route_is_no_way_around_the_rights_of_its_nodes(route, study_uid, values):
    route(**values)
    for who in (RESEARCHER, TRUSTED):
        with pytest.raises(NotAllowed, match="studies to pacs"):
            services.require_start(who, study_uid, route_name="out")
    Route.objects.update(destinations=["granted"])
    services.require_start(TRUSTED, study_uid, route_name="out")
    with pytest.raises(NotAllowed, match="identified studies to granted"):
        services.require_start(RESEARCHER, study_uid, route_name="out")


def test_other_destinations_than_the_routes_are_asked_for(route, study_uid):
    route()
    with pytest.raises(NotAllowed, match="to elsewhere"):
        services.require_start(
            TRUSTED, study_uid, route_name="out", destinations=("granted", "elsewhere")
        )


def test_nodes_that_a_pipeline_names_count(study_uid):
    steps = [{"step": "deliver", "with": {"nodes": ["pacs", "return-to-sender"]}}]
    Pipeline.objects.create(name="named", steps=steps)
    with pytest.raises(NotAllowed, match="to pacs"):
        services.require_start(TRUSTED, study_uid, pipeline_name="named")
    Pipeline.objects.update(steps=[{"step": "deliver", "with": {"nodes": ["return-to-sender"]}}])
    services.require_start(RESEARCHER, study_uid, pipeline_name="named")


def test_what_a_route_began_may_go_on_and_what_a_person_began_asks_again(route, study_uid):
    by_route = services.start(study_uid, route_name=route().name)
    services.require_repeat(RESEARCHER, by_route)
    Run.objects.filter(pk=by_route.pk).update(actor="somebody")
    by_route.refresh_from_db()
    with pytest.raises(NotAllowed):
        services.require_repeat(RESEARCHER, by_route)
    with pytest.raises(NotFound):
        services.require_start(RESEARCHER, study_uid, route_name="none")


def test_again_is_a_new_start(route, study_uid):
    run = services.start(study_uid, route_name=route().name)
    services.require_again(RESEARCHER, run)
    Route.objects.update(enabled=False)
    with pytest.raises(NotAllowed):
        services.require_again(RESEARCHER, run)
    by_name = services.start(study_uid, pipeline_name="copy", destinations=("pacs",))
    with pytest.raises(NotAllowed):
        services.require_again(RESEARCHER, by_name)


@pytest.mark.parametrize(
    ("steps", "is_identified"),
    [
        (["deidentify", "deliver"], False),
        (["deidentify"], False),
        (["deliver", "deidentify"], True),
        (["deliver", "deidentify", "deliver"], True),
    ],
)
def test_who_may_send_pseudonyms_alone_may_where_nothing_else_leaves(
    study_uid, steps, is_identified
):
    Pipeline.objects.create(
        name="research",
        steps=[
            {"step": name, "with": {"project": "trial"} if name == "deidentify" else {}}
            for name in steps
        ],
    )
    start = {"pipeline_name": "research", "destinations": ("granted",)}
    services.require_start(TRUSTED, study_uid, **start)
    if is_identified:
        with pytest.raises(NotAllowed, match="identified studies to granted"):
            services.require_start(RESEARCHER, study_uid, **start)
    else:
        services.require_start(RESEARCHER, study_uid, **start)
        with pytest.raises(NotAllowed, match="studies to pacs"):
            services.require_start(
                RESEARCHER, study_uid, pipeline_name="research", destinations=("pacs",)
            )
