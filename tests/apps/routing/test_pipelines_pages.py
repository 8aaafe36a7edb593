"""Pages of pipelines: the list, and the editor in its two views."""

from __future__ import annotations

import pytest

from isocenter.apps.routing.models import Pipeline, Route, RouteChange
from isocenter.apps.routing.pipeline_draft import Draft, StepDraft, act, of
from isocenter.apps.routing.services import apply_yaml
from isocenter.apps.routing.step_forms import StepField
from signed_in import browser, text_of

pytestmark = pytest.mark.django_db

STEPS = (
    "pipelines: [{name: p, description: What for, steps: ["
    "{step: contours, with: {formats: [overlay, seg], choice: {ignore: [skull, couch]}}},"
    " {step: burn_in}]}]"
)


@pytest.fixture(autouse=True)
def _none(db):
    Route.objects.all().delete()
    Pipeline.objects.all().delete()


def controls(draft: Draft) -> dict[str, list[str]]:
    """What a browser would post of an editor."""
    posted: dict[str, list[str]] = {
        "name": [draft.name],
        "description": [draft.description],
        "view": [draft.view],
        "version": [draft.version],
        "is_new": ["1" if draft.is_new else "0"],
        "yaml": [draft.yaml],
        "step": [],
    }

    def add(field: StepField) -> None:
        if field.kind == "group":
            if field.is_optional and field.value:
                posted[f"{field.name}."] = ["on"]
            for inner in field.fields:
                add(inner)
        elif field.kind == "yes-no":
            posted[f"{field.name}-is-box"] = ["1"]
            if field.value:
                posted[field.name] = ["on"]
        elif field.kind == "choices":
            posted[f"{field.name}-is-list"] = ["1"]
            posted[field.name] = list(field.value)
        else:
            posted[field.name] = [field.value]

    step: StepDraft
    for step in draft.drafts():
        posted["step"].append(step.name)
        for field in step.fields:
            add(field)
    return posted


def test_what_is_not_touched_stays_as_it_is():
    apply_yaml(STEPS)
    before = Pipeline.objects.get()
    client = browser("staff")
    answer = client.post("/pipelines/p/", controls(of(before)))
    assert answer.status_code == 302
    after = Pipeline.objects.get()
    assert (after.steps, after.changed_at) == (before.steps, before.changed_at)
    assert RouteChange.objects.filter(kind="pipeline", name="p").count() == 1


def test_every_step_there_is_gets_a_form_that_changes_nothing_by_itself():
    draft = Draft(name="all")
    for name in ("select", "contours", "burn_in", "preview", "deliver"):
        act(draft, f"add:{name}")
    answer = browser().post("/pipelines/new/", controls(draft))
    assert answer.status_code == 302, answer.context["draft"].errors
    assert [item["with"] for item in Pipeline.objects.get().steps] == [{}] * 5


def test_fields_show_what_is_given_defaults_help_and_choices():
    apply_yaml(STEPS)
    fields = {field.key: field for field in of(Pipeline.objects.get()).drafts()[0].fields}
    assert fields["formats"].kind == "choices"
    assert list(fields["formats"].value) == ["overlay", "seg"]
    assert fields["formats"].default == "overlay"
    assert fields["nesting"].choices == ["depth", "union", "xor"]
    assert fields["interpolate"].kind == "yes-no"
    assert fields["series_number"].kind == "number"
    assert fields["choice"].kind == "group"
    assert fields["choice"].has_given
    inner = {field.key: field for field in fields["choice"].fields}
    assert inner["ignore"].value == "skull\ncouch"
    assert all(field.help for field in fields.values())


def test_parameters_are_changed_at_their_fields():
    apply_yaml(STEPS)
    posted = controls(of(Pipeline.objects.get()))
    posted["s1.series_number"] = ["140"]
    posted["s1.interpolate"] = ["on"]
    posted["s1.choice.include"] = ["^GTV\n\n ^PTV "]
    posted["s1.formats"] = ["overlay"]
    posted["s2.text"] = ["NOT FOR USE"]
    browser().post("/pipelines/p/", posted)
    contours, burn_in = Pipeline.objects.get().steps
    assert contours["with"] == {
        "choice": {"ignore": ["skull", "couch"], "include": ["^GTV", "^PTV"]},
        "interpolate": True,
        "series_number": 140,
    }
    assert burn_in["with"] == {"text": "NOT FOR USE"}


def test_what_is_wrong_stands_at_its_field():
    apply_yaml(STEPS)
    posted = controls(of(Pipeline.objects.get()))
    posted["s1.series_number"] = ["many"]
    posted["s1.nifti_compression"] = ["2.5"]
    answer = browser().post("/pipelines/p/", posted)
    assert answer.status_code == 200
    fields = {field.key: field for field in answer.context["drafts"][0].fields}
    assert "integer" in fields["series_number"].errors[0]
    assert fields["nifti_compression"].errors
    assert fields["series_number"].value == "many", "what was typed stays"
    assert Pipeline.objects.get().steps[0]["with"].get("series_number") is None


def test_a_step_of_its_own_group():
    draft = Draft(name="q")
    act(draft, "add:preview")
    posted = controls(draft)
    posted["s1.drawing."] = ["on"]
    posted["s1.drawing.nesting"] = ["xor"]
    browser().post("/pipelines/new/", posted)
    assert Pipeline.objects.get().steps[0]["with"] == {"drawing": {"nesting": "xor"}}


def press(draft: Draft, what: str, **more: str):
    posted = controls(draft) | {key: [value] for key, value in more.items()} | {"act": [what]}
    return browser().post("/pipelines/-/draft/", posted, headers={"HX-Request": "true"})


def test_steps_are_added_moved_and_removed_before_anything_is_kept():
    apply_yaml(STEPS)
    draft = of(Pipeline.objects.get())
    added = press(draft, "add", add="deliver").context["draft"]
    assert [item["step"] for item in added.steps] == ["contours", "burn_in", "deliver"]
    assert added.focus == "step-3"
    moved = press(added, "up:3").context["draft"]
    assert [item["step"] for item in moved.steps] == ["contours", "deliver", "burn_in"]
    assert moved.focus == "up-2"
    left = press(moved, "remove:2").context["draft"]
    assert [item["step"] for item in left.steps] == ["contours", "burn_in"]
    wrong = press(left, "up:2")
    assert "Burn_in needs contours before it" in text_of(wrong)
    assert [item["step"] for item in Pipeline.objects.get().steps] == ["contours", "burn_in"]
    for nonsense in ("up:9", "add:nothing", "remove:x", "view:cube", ""):
        after = press(draft, nonsense).context["draft"].steps
        assert [item["step"] for item in after] == ["contours", "burn_in"]


def test_both_views_are_of_the_same():
    apply_yaml(STEPS)
    draft = of(Pipeline.objects.get())
    as_yaml = press(draft, "view:yaml").context["draft"]
    assert "step: contours" in as_yaml.yaml
    as_yaml.yaml = as_yaml.yaml.replace("- seg", "- stl").replace("What for", "Other")
    back = press(as_yaml, "view:steps").context["draft"]
    assert back.steps[0]["with"]["formats"] == ["overlay", "stl"]
    assert back.description == "Other"
    as_yaml.steps = []
    browser().post("/pipelines/p/", controls(as_yaml))
    assert Pipeline.objects.get().steps == back.steps


@pytest.mark.parametrize(
    ("yaml", "line", "text"),
    [
        ("steps:\n  - step: contours\n    with:\n      formts: [x]\n", 4, "did you mean formats"),
        ("steps:\n  - step: contour\n", 2, "did you mean contours"),
        ("steps:\n  - contours\n", 2, "step: NAME"),
        ("stps: []\nsteps: []\n", 1, "unknown key"),
        ("steps: [\n", 2, "flow"),
        ("steps: 3\n", 1, "a list is needed"),
    ],
)
def test_errors_of_yaml_stand_at_their_lines(yaml, line, text):
    apply_yaml(STEPS)
    draft = Draft(name="p", view="yaml", yaml=yaml, is_new=False)
    answer = browser().post("/pipelines/p/", controls(draft))
    assert answer.status_code == 200
    problems = answer.context["draft"].problems
    assert any(item["line"] == line and text in item["text"] for item in problems), problems
    assert len(Pipeline.objects.get().steps) == 2
    turned = press(draft, "view:steps")
    if not answer.context["draft"].errors:
        assert turned.context["draft"].view == "yaml", "nothing is lost by looking"


def test_two_people_do_not_overwrite_each_other():
    apply_yaml(STEPS)
    posted = controls(of(Pipeline.objects.get()))
    browser("staff").post("/pipelines/p/", posted | {"description": ["theirs"]})
    answer = browser().post("/pipelines/p/", posted | {"description": ["mine"]})
    assert "was changed meanwhile by a-staff" in text_of(answer)
    assert Pipeline.objects.get().description == "theirs"


def test_a_change_that_breaks_a_route_is_refused():
    apply_yaml(STEPS + "\nroutes: [{name: r, pipeline: p}]")
    draft = of(Pipeline.objects.get())
    act(draft, "add:deliver")
    page = text_of(browser().post("/pipelines/p/", controls(draft)))
    assert "The route r uses this pipeline and would not work any more" in page
    assert len(Pipeline.objects.get().steps) == 2


def test_a_project_is_chosen_among_those_there_are(project):
    apply_yaml(STEPS)
    draft = of(Pipeline.objects.get(name="p"))
    draft.steps = [{"step": "deidentify"}]
    client = browser()
    page = text_of(client.post("/pipelines/-/draft/", {**controls(draft), "act": "steps"}))
    assert "Undefined" not in page

    project()
    page = text_of(client.post("/pipelines/-/draft/", {**controls(draft), "act": "steps"}))
    assert '<option value="trial">trial</option>' in page

    answer = client.post("/pipelines/p/", {**controls(draft), "s1.project": "trial"})
    assert answer.status_code == 302
    steps = Pipeline.objects.get(name="p").steps
    assert steps == [{"step": "deidentify", "with": {"project": "trial"}}]


def test_names():
    apply_yaml(STEPS)
    draft = of(Pipeline.objects.get())
    draft.is_new, draft.version = True, ""
    client = browser()
    for name, text in (("p", "already"), ("new", "page has this name"), ("a b", "letters")):
        draft.name = name
        assert text in text_of(client.post("/pipelines/new/", controls(draft))), name
    copy = text_of(client.get("/pipelines/new/?copy=p"))
    assert 'value="What for"' in copy
    draft.name = "q"
    assert client.post("/pipelines/new/", controls(draft)).headers["Location"] == "/pipelines/q/"


def test_one_in_use_is_not_removed_and_one_that_is_not_comes_back():
    apply_yaml(STEPS + "\nroutes: [{name: r, pipeline: p}]")
    client = browser("staff")
    page = text_of(client.post("/pipelines/p/remove/", follow=True))
    assert "used by the route r" in page
    Route.objects.all().delete()
    client.post("/pipelines/p/remove/")
    assert not Pipeline.objects.exists()
    removed = RouteChange.objects.filter(kind="pipeline").latest("pk")
    client.post(f"/routes/-/history/{removed.pk}/restore/")
    assert Pipeline.objects.get().steps[0]["step"] == "contours"


def test_the_list():
    client = browser("student")
    assert "No pipelines yet" in text_of(client.get("/pipelines/"))
    apply_yaml(STEPS + "\nroutes: [{name: r, pipeline: p}]")
    page = text_of(client.get("/pipelines/"))
    assert "burn_in" in page
    assert "/pipelines/p/" not in page
    assert client.get("/pipelines/p/").status_code == 403
