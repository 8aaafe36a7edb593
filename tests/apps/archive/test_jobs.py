"""Completion on the database: tick, revisions, reopening, holding, by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from isocenter.apps.archive import jobs, queries
from isocenter.apps.archive.models import Instance, Revision, Source, Study
from isocenter.apps.archive.services import DerivedFile, force_complete, store_derived
from isocenter.apps.audit.models import Event
from isocenter.apps.routing.models import Pipeline, Route, RouteEvaluation, Run
from isocenter.apps.transfers.models import Node
from isocenter.core.errors import NotFound

from .conftest import SERIES, STUDY, Intake, after, encoded, image, structure_set, the_study

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def route(name: str, completion: dict[str, Any] | None = None, condition: str = "") -> Route:
    pipeline, _ = Pipeline.objects.get_or_create(
        name="previews", defaults={"steps": [{"step": "preview", "with": {}}]}
    )
    return Route.objects.create(
        name=name, pipeline=pipeline, completion=completion or {}, condition=condition
    )


def events(kind: str) -> list[Event]:
    return list(Event.objects.filter(kind=kind).order_by("id"))


def test_a_quiet_study_becomes_a_revision(intake: Intake) -> None:
    intake.take(image(1), image(2), at=T0)
    jobs.tick(at(59))
    assert (the_study().state, the_study().waiting_for) == ("receiving", ["quiet time"])
    jobs.tick(at(60))
    study = the_study()
    assert (study.state, study.revision, study.due_at) == ("complete", 1, None)
    assert study.waiting_for == []
    revision = Revision.objects.get()
    assert (revision.number, revision.reason, revision.instance_count) == (1, "complete", 2)
    assert {row.revision for row in Instance.objects.all()} == {1}
    assert events("STUDY_COMPLETE")[0].detail["instances"] == 2
    assert [item.sop_uid for item in queries.inputs(revision)] == [f"{SERIES}.1", f"{SERIES}.2"]


def test_a_late_instance_reopens_and_makes_the_next_revision(intake: Intake) -> None:
    intake.take(image(1), image(2), at=T0)
    jobs.tick(at(60))
    intake.take(image(3), at=at(100))
    assert the_study().state == "receiving"
    assert events("STUDY_REOPENED")[0].detail == {"instances": 1, "revision": 1}
    jobs.tick(at(159))
    assert the_study().state == "receiving"
    jobs.tick(at(160))
    assert (the_study().state, the_study().revision) == ("complete", 2)
    first, second = Revision.objects.order_by("number")
    assert len(queries.inputs(first)) == 2
    assert len(queries.inputs(second)) == 3
    assert first.digest != second.digest


def test_a_duplicate_does_not_reopen(intake: Intake) -> None:
    intake.take(image(1), image(2), at=T0)
    jobs.tick(at(60))
    intake.take(image(1), at=at(100))
    assert the_study().state == "complete"
    assert events("STUDY_REOPENED") == []


def test_a_duplicate_keeps_an_open_study_awake(intake: Intake) -> None:
    intake.take(image(1), image(2), at=T0)
    intake.take(image(1), at=at(50))
    jobs.tick(at(60))
    assert the_study().state == "receiving"
    jobs.tick(at(110))
    assert the_study().state == "complete"


def test_a_structure_set_waits_for_its_series(intake: Intake) -> None:
    intake.take(structure_set(), structure_set(SOPInstanceUID="1.2.3.5"), at=T0)
    jobs.tick(at(60))
    sentence = f"series {SERIES} named by RTSTRUCT {STUDY}.9.1 is not here"
    assert (the_study().state, the_study().waiting_for) == ("waiting", [sentence])
    intake.take(image(1), at=at(70))
    jobs.tick(at(129))
    assert the_study().state == "receiving"
    jobs.tick(at(130))
    assert the_study().state == "complete"


def test_dangling_instance_references_are_a_warning(intake: Intake) -> None:
    intake.take(image(1), structure_set(instances=("1.2.3.4", f"{SERIES}.1")), at=T0)
    jobs.tick(at(60))
    assert the_study().state == "complete"
    assert the_study().warnings == [f"RTSTRUCT {STUDY}.9.1 names 1 instance that is not here"]


def test_what_waits_too_long_is_processed_and_says_what_was_missing(intake: Intake) -> None:
    intake.take(image(1), at=T0)
    jobs.tick(at(899))
    assert (the_study().state, the_study().due_at) == ("waiting", at(900))
    jobs.tick(at(900))
    revision = Revision.objects.get()
    assert revision.reason == "forced"
    assert revision.missing == ["2 instances at least (1 here)"]
    assert events("STUDY_FORCED")[0].detail["missing"] == revision.missing


def test_or_held_and_then_completed_by_hand(intake: Intake, configured: Callable[..., Any]) -> None:
    configured(completion={"on_timeout": "hold"})
    intake.take(image(1), at=T0)
    jobs.tick(at(900))
    jobs.tick(at(5000))
    study = the_study()
    assert (study.state, study.due_at, study.revision) == ("held", None, 0)
    assert study.waiting_for == ["2 instances at least (1 here)"]
    assert len(events("STUDY_HELD")) == 1
    revision = force_complete(STUDY, actor="test")
    assert (revision.reason, revision.missing) == ("manual", study.waiting_for)
    assert (the_study().state, the_study().waiting_for) == ("complete", [])


def test_a_held_study_goes_on_when_the_rest_comes(
    intake: Intake, configured: Callable[..., Any]
) -> None:
    configured(completion={"on_timeout": "hold"})
    intake.take(image(1), at=T0)
    jobs.tick(at(900))
    intake.take(image(2), at=at(1000))
    jobs.tick(at(1060))
    assert the_study().state == "complete"


def test_completing_what_is_not_here_says_so(intake: Intake) -> None:
    with pytest.raises(NotFound):
        force_complete("1.2.3")


def test_a_source_can_have_its_own_rule(intake: Intake, configured: Callable[..., Any]) -> None:
    configured(completion={"sources": {"FAST": {"debounce_s": 5, "min_instances": 1}}})
    intake.take(image(1), at=T0, ae="FAST")
    jobs.tick(at(5))
    assert the_study().state == "complete"


def test_default_routes_are_asked_at_completion(intake: Intake) -> None:
    route("all")
    intake.take(image(1), image(2), at=T0)
    jobs.tick(at(60))
    assert RouteEvaluation.objects.get().matched
    assert Run.objects.get().revision.number == 1
    jobs.tick(at(1000))
    assert Run.objects.count() == 1


def test_routes_with_own_rules_are_asked_when_theirs_say_so(intake: Intake) -> None:
    fast, slow = route("fast", {"debounce_s": 5}), route("slow", {"debounce_s": 300})
    plain = route("plain")
    intake.take(image(1), image(2), at=T0)

    def asked() -> set[int]:
        return set(RouteEvaluation.objects.values_list("route_id", flat=True))

    jobs.tick(at(5))
    assert asked() == {fast.pk}
    assert the_study().state == "receiving"
    jobs.tick(at(60))
    assert asked() == {fast.pk, plain.pk}
    assert (the_study().state, the_study().revision) == ("complete", 1)
    assert the_study().waiting_for == ["route slow waits: quiet time"]
    jobs.tick(at(299))
    assert asked() == {fast.pk, plain.pk}
    jobs.tick(at(300))
    assert asked() == {fast.pk, plain.pk, slow.pk}
    assert (the_study().revision, the_study().due_at) == (1, None)
    assert the_study().waiting_for == []


def test_a_slow_route_sees_only_the_newest_revision(intake: Intake) -> None:
    slow = route("slow", {"debounce_s": 300})
    intake.take(image(1), image(2), at=T0)
    jobs.tick(at(60))
    intake.take(image(3), at=at(100))
    jobs.tick(at(160))
    jobs.tick(at(400))
    (evaluation,) = RouteEvaluation.objects.filter(route=slow)
    assert evaluation.revision.number == 2


def test_a_route_that_demands_a_structure_set_is_waited_for(intake: Intake) -> None:
    pipeline = Pipeline.objects.create(name="rt", steps=[{"step": "contours", "with": {}}])
    Route.objects.create(name="rt", pipeline=pipeline)
    intake.take(image(1), image(2), at=T0)
    jobs.tick(at(60))
    assert the_study().waiting_for == ["waiting for RTSTRUCT (route rt)"]
    intake.take(structure_set(), at=at(61))
    jobs.tick(at(121))
    assert the_study().state == "complete"


def test_derived_instances_never_reopen_and_are_no_input(intake: Intake) -> None:
    intake.take(image(1), image(2), at=T0)
    jobs.tick(at(60))
    made = intake.layout.runs / "made.dcm"
    made.write_bytes(encoded(image(1, series=f"{STUDY}.50", Modality="SEG")))
    verdicts = store_derived([DerivedFile(made)], the_study())
    again = store_derived([DerivedFile(made)], the_study())
    assert [verdicts[0].outcome, again[0].outcome] == ["stored", "duplicate"]
    study = the_study()
    assert (study.state, study.due_at) == ("complete", None)
    assert (study.instance_count, study.series_count, study.modalities) == (2, 1, ["CT"])
    jobs.tick(at(10_000))
    assert the_study().revision == 1
    assert len(queries.inputs(Revision.objects.get())) == 2
    derived = [row for row in queries.series_rows(study) if row["derived"]]
    assert derived[0]["instances"] == 1


def test_our_own_artifacts_coming_back_change_nothing(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.take(image(1), image(2), at=T0)
    jobs.tick(at(60))
    echo = image(1, series=f"{STUDY}.50")
    uid = str(echo.SOPInstanceUID)
    monkeypatch.setattr(
        "isocenter.apps.routing.queries.is_artifact", lambda uids: {uid} & set(uids)
    )
    intake.take(echo, at=at(100))
    study = the_study()
    assert (study.state, study.due_at, study.instance_count) == ("complete", None, 2)
    assert Instance.objects.get(sop_uid=uid).is_derived
    jobs.tick(at(10_000))
    assert the_study().revision == 1


def test_the_source_node_is_asked_and_believed(intake: Intake) -> None:
    Node.objects.create(
        name="pacs1", kind="dimse", ae_title="SCANNER", host="127.0.0.1", port=1, can_query=True
    )
    intake.take(image(1), image(2), at=T0)
    jobs.tick(at(60))
    study = the_study()
    assert study.waiting_for == ["source node pacs1 is asked for its count"]
    assert study.remote_asked_at == at(60)
    jobs.answered(STUDY, "pacs1", 3)
    jobs.tick(datetime.now(UTC))
    # The clock is years after T0 by now, so what it waited for is in the forced revision.
    assert Revision.objects.get().missing == ["source node pacs1 counts 3 instances (2 here)"]


def test_a_source_node_that_agrees_completes_the_study(intake: Intake) -> None:
    Node.objects.create(
        name="pacs1", kind="dimse", ae_title="SCANNER", host="127.0.0.1", port=1, can_query=True
    )
    now = datetime.now(UTC)
    intake.take(image(1), image(2), at=now - timedelta(seconds=100))
    jobs.tick(now)
    assert the_study().state == "waiting"
    jobs.answered(STUDY, "pacs1", 2)
    jobs.tick(datetime.now(UTC))
    assert the_study().state == "complete"


def test_trouble_with_one_study_leaves_the_others_alone(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        study = f"{STUDY}.{number}"
        intake.take(image(1, study=study), image(2, study=study), at=T0)
    real = jobs.ensure_revision

    def broken(study: Study, *args: Any) -> Any:
        if study.study_uid == f"{STUDY}.2":
            raise RuntimeError("no")
        return real(study, *args)

    monkeypatch.setattr(jobs, "ensure_revision", broken)
    jobs.tick(at(60))
    states = dict(Study.objects.values_list("study_uid", "state"))
    assert sorted(states.values()) == ["complete", "complete", "receiving"]
    monkeypatch.setattr(jobs, "ensure_revision", real)
    jobs.tick(at(91))
    assert set(Study.objects.values_list("state", flat=True)) == {"complete"}


def test_ingest_that_was_behind_does_not_complete_too_early(intake: Intake) -> None:
    """Everything came an hour ago; half of it is indexed: nothing is decided before the rest is."""
    intake.send(*(image(n) for n in range(1, 6)), at=T0)
    up_to = intake.reader.drain()
    assert up_to is not None
    jobs.tick(up_to)
    assert the_study().revision == 1
    assert Revision.objects.get().instance_count == 5


def test_the_sender_stays_with_the_study(intake: Intake) -> None:
    intake.take(image(1), ae="CT1")
    intake.take(image(2), ae="CT2")
    source = the_study().source
    assert source is not None
    assert (source.calling_ae_title, source.address) == ("CT2", "127.0.0.1")
    assert Source.objects.count() == 2


def test_rows_and_facts_say_what_a_person_needs(intake: Intake) -> None:
    intake.take(image(1), image(2), at=T0)
    row = queries.study_row(the_study())
    assert row["study_uid"] == STUDY
    assert (row["state"], row["instances"], row["series"]) == ("receiving", 2, 1)
    assert row["received_at"] == T0.isoformat()
    detail = queries.study_detail(STUDY)
    assert detail["series_list"][0]["modality"] == "CT"
    facts = queries.study_facts(the_study())
    assert facts["ModalitiesInStudy"] == ["CT"]
    assert facts["SourceAE"] == "SCANNER"
    assert facts["Series"][0]["NumberOfSeriesRelatedInstances"] == 2
    assert queries.studies(search="head")[0].study_uid == STUDY
    assert queries.studies(states=["held"]) == []
    assert after(the_study(), 5) == at(5)
    assert settings.ISOCENTER.completion.debounce_s == 60
