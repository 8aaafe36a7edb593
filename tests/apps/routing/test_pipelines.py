"""Checking files: exact paths, nearest keys; what is exported can be applied."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from isocenter.apps.routing import documents
from isocenter.apps.routing.models import Pipeline, Route
from isocenter.apps.routing.pipelines import check_file, deidentifies
from isocenter.apps.routing.services import apply_yaml, export_yaml, set_enabled, start
from isocenter.apps.routing.steps.contours import Contours, ContoursParameters
from isocenter.apps.routing.steps.registry import PLANNED, registered
from isocenter.core.contours.options import ContourOptions
from isocenter.core.errors import ConfigurationError, PipelineError

EXAMPLE = Path(documents.__file__).parent / "examples" / "rt-overlay.yaml"


def problems(content) -> dict[str, str]:
    with pytest.raises(documents.PipelineErrors) as caught:
        check_file(content)
    return {error.path: str(error) for error in caught.value.errors}


def file(steps=None, **route):
    return {
        "pipelines": [{"name": "p", "steps": steps or [{"step": "contours"}]}],
        "routes": [{"name": "r", "pipeline": "p", **route}],
    }


def test_every_problem_is_told_with_its_path_and_the_nearest_key():
    content = file(
        steps=[
            {"step": "contours", "with": {"choice": {"ignor": ["x"]}, "overlay_mode": "mergd"}},
            {"step": "burnin"},
            {"step": "deliver", "with": {"kinds": ["overlays"], "nodes": ["nowhere"]}},
        ],
        condition="Modalty == 3",
        destinations=["pacs"],
        pipeline="q",
    )
    found = problems(content)
    assert "did you mean ignore?" in found["pipelines[0].steps[0].with.choice.ignor"]
    assert "did you mean burn_in?" in found["pipelines[0].steps[1].step"]
    assert "'overlays'" in found["pipelines[0].steps[2].with.kinds[0]"]
    assert "return-to-sender" in found["pipelines[0].steps[2].with.nodes[0]"]
    assert "did you mean Modality?" in found["routes[0].condition"]
    assert "there is no node 'pacs'" in found["routes[0].destinations[0]"]
    assert "there is no pipeline 'q'" in found["routes[0].pipeline"]


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"completion": {"debounce": 3}}, "routes[0].completion.debounce", "debounce_s?"),
        ({"completion": {"debounce_s": -3}}, "routes[0].completion.debounce_s", "greater than 0"),
        ({"priorty": 3}, "routes[0].priorty", "did you mean priority?"),
        ({"name": "a b"}, "routes[0].name", "letters, digits"),
    ],
)
def test_keys_of_a_route(change, path, words):
    assert words in problems(file(**change))[path]


@pytest.mark.parametrize("name", PLANNED)
def test_a_step_of_a_later_version_is_refused_with_a_clear_word(name):
    found = problems(file(steps=[{"step": name}]))
    assert "not available in this version" in found["pipelines[0].steps[0].step"]


def test_values_are_checked_by_the_lower_floor():
    steps = [{"step": "contours", "with": {"formats": ["overly"]}}]
    found = problems(file(steps=steps))
    assert "one of overlay, seg" in found["pipelines[0].steps[0].with"]


def test_burn_in_needs_something_to_burn_into():
    found = problems(file(steps=[{"step": "burn_in"}]))
    assert "needs contours before it" in found["pipelines[0].steps[0]"]


def test_a_route_that_could_send_nowhere_cannot_be_on():
    steps = [{"step": "contours"}, {"step": "deliver"}]
    assert "enabled: false" in problems(file(steps=steps))["routes[0].destinations"]
    check_file(file(steps=steps, enabled=False))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "no YAML"),
        ("- a", "no keys"),
        ("routes: []\nroutes: []", "stands twice"),
        ("a: !!python/object/apply:os.system [ls]", "no YAML"),
        ("x" * (1 << 21), "are allowed"),
    ],
)
def test_what_is_no_usable_yaml(text, words):
    with pytest.raises(ConfigurationError, match=words):
        documents.read_yaml(text)


def test_steps_are_registered_under_their_own_name():
    names = {"select", "contours", "burn_in", "preview", "deidentify", "deliver"}
    assert set(registered()) == names
    assert isinstance(registered()["contours"], Contours)


def test_contours_can_be_told_everything_that_the_lower_floor_knows():
    known = {item.name for item in dataclasses.fields(ContourOptions)}
    own = {"on_missing_rtstruct", "on_no_roi"}
    # Burning in is a step of its own; a missing structure set is decided by the step's policy.
    assert set(ContoursParameters.model_fields) - own == known - {
        "burn_in",
        "require_structure_set",
    }


@pytest.mark.django_db
def test_the_shipped_route_is_there_and_off():
    route = Route.objects.get(name="rt-overlay")
    assert not route.enabled
    assert "destination" in route.disabled_reason
    with pytest.raises(PipelineError, match="names a node"):
        set_enabled("rt-overlay", True)


@pytest.mark.django_db
def test_what_is_exported_can_be_applied_and_changes_nothing(tmp_path):
    text = (
        EXAMPLE.read_text()
        + f"""
nodes:
  - {{name: out, kind: folder, folder: {tmp_path}}}
"""
    )
    apply_yaml(text.replace("destinations: []", "destinations: [out]"))
    set_enabled("rt-overlay", True)
    exported = export_yaml()
    before = list(Route.objects.values()), list(Pipeline.objects.values("name", "steps"))

    changes = apply_yaml(exported)

    assert {change.change for change in changes} == {"as it was"}
    assert export_yaml() == exported
    assert before[1] == list(Pipeline.objects.values("name", "steps"))
    assert yaml.safe_load(exported)["routes"][0]["enabled"] is True


@pytest.mark.django_db
def test_a_file_with_an_error_changes_nothing(tmp_path):
    text = f"""
nodes: [{{name: out, kind: folder, folder: {tmp_path}}}]
pipelines: [{{name: p, steps: [{{step: contours}}]}}]
routes: [{{name: r, pipeline: p, destinations: [elsewhere]}}]
"""
    with pytest.raises(PipelineError):
        apply_yaml(text)
    assert not Pipeline.objects.filter(name="p").exists()


@pytest.mark.django_db
def test_a_changed_pipeline_must_still_fit_the_routes_that_use_it(tmp_path):
    apply_yaml(f"""
nodes: [{{name: out, kind: folder, folder: {tmp_path}}}]
pipelines: [{{name: p, steps: [{{step: contours}}]}}]
routes: [{{name: r, pipeline: p}}]
""")
    with pytest.raises(PipelineError, match="names a node"):
        apply_yaml("pipelines: [{name: p, steps: [{step: contours}, {step: deliver}]}]")


DEIDENTIFY = {"step": "deidentify", "with": {"project": "trial"}}
DELIVER = {"step": "deliver"}


def test_a_project_that_is_not_there_is_told_with_the_nearest():
    content = file(steps=[{"step": "deidentify", "with": {"project": "trail"}}])
    with pytest.raises(documents.PipelineErrors) as caught:
        check_file(content, known_projects=["trial", "other"])
    (error,) = caught.value.errors
    assert error.path == "pipelines[0].steps[0].with.project"
    assert "there is no project 'trail' (did you mean trial?)" in str(error)
    check_file(content)  # where nobody knows the projects


def test_deidentify_wants_a_project_and_stands_once():
    assert "pipelines[0].steps[0].with.project" in problems(file(steps=[{"step": "deidentify"}]))
    found = problems(file(steps=[DEIDENTIFY, DEIDENTIFY]))
    assert "de-identifies once" in found["pipelines[0].steps[1]"]


def test_originals_cannot_leave_after_deidentify():
    originals = {"step": "deliver", "with": {"what": "originals", "nodes": ["return-to-sender"]}}
    found = problems(file(steps=[DEIDENTIFY, originals]))
    assert "do not leave" in found["pipelines[0].steps[1].with.what"]
    check_file(file(steps=[originals, DEIDENTIFY]))
    everything = {"step": "deliver", "with": {"what": "all", "nodes": ["return-to-sender"]}}
    check_file(file(steps=[DEIDENTIFY, everything]))


@pytest.mark.parametrize(
    ("steps", "is_safe"),
    [
        ([DEIDENTIFY, DELIVER], True),
        ([DEIDENTIFY], True),  # the route's own delivery comes at the end
        ([{"step": "contours"}, DEIDENTIFY, DELIVER, DELIVER], True),
        ([DELIVER, DEIDENTIFY, DELIVER], False),
        ([DELIVER, DEIDENTIFY], False),
        ([{"step": "contours"}], False),
    ],
)
def test_a_route_by_which_nothing_identified_leaves_deidentifies_before_it_delivers(steps, is_safe):
    content = file(steps=steps, deidentified_only=True, destinations=["return-to-sender"])
    assert deidentifies(steps) == is_safe
    if is_safe:
        check_file(content)
    else:
        found = problems(content)["routes[0].deidentified_only"]
        assert "before everything that it delivers" in found


@pytest.mark.django_db
def test_a_pipeline_that_would_not_deidentify_any_more_is_not_kept(tmp_path, project):
    project()
    text = f"""
nodes: [{{name: out, kind: folder, folder: "{tmp_path}"}}]
pipelines: [{{name: p, steps: [{{step: deidentify, with: {{project: trial}}}}, {{step: deliver}}]}}]
"""
    route = "routes: [{name: r, pipeline: p, destinations: [out], deidentified_only: true}]"
    apply_yaml(text + route)

    deidentify = "{step: deidentify, with: {project: trial}}"
    swapped = f"pipelines: [{{name: p, steps: [{{step: deliver}}, {deidentify}]}}]"
    with pytest.raises(PipelineError, match="the route r uses this pipeline"):
        apply_yaml(swapped)
    with pytest.raises(PipelineError, match="there is no project 'trail'"):
        apply_yaml(text.replace("trial", "trail"))


@pytest.mark.django_db
def test_a_route_by_which_nothing_identified_may_leave_stays_off_without_deidentify(tmp_path):
    apply_yaml(f"""
nodes: [{{name: out, kind: folder, folder: "{tmp_path}"}}]
pipelines: [{{name: p, steps: [{{step: contours}}, {{step: deliver}}]}}]
routes:
  - {{name: r, pipeline: p, destinations: [out], enabled: false, deidentified_only: true}}
""")

    with pytest.raises(PipelineError, match="nothing identified may leave"):
        set_enabled("r", True)

    assert not Route.objects.get(name="r").enabled


@pytest.mark.django_db(transaction=True)
def test_nor_does_anything_leave_by_it_by_hand(stored, apply):
    apply(enabled=False, deidentified_only=True)
    study, _ = stored()
    with pytest.raises(PipelineError, match="nothing identified may leave"):
        start(study.study.study_uid, route_name="overlay")
