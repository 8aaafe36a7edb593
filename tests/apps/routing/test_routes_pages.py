"""Pages of routes: the list, the editor, dry runs, YAML, history."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from isocenter.apps.audit.models import Event
from isocenter.apps.routing import queries
from isocenter.apps.routing.models import Pipeline, Route, RouteChange
from isocenter.apps.routing.services import apply_yaml, evaluate, set_enabled
from isocenter.apps.routing.yaml_places import line_of
from isocenter.core.errors import ConfigurationError, PipelineError
from signed_in import browser, text_of

pytestmark = pytest.mark.django_db

PIPELINES = "pipelines: [{name: p, steps: [{step: contours}]}]\n"
HTMX = {"HX-Request": "true"}


def make(*names, **more):
    values = {"pipeline": "p", **more}
    routes = [{"name": name, **values} for name in names]
    import json

    Route.objects.all().delete()  # the one that is shipped
    apply_yaml(PIPELINES + f"routes: {json.dumps(routes)}")


def given(**values):
    return {
        "name": "r",
        "pipeline": "p",
        "priority": "0",
        "enabled": "on",
        "condition": 'Modality == "CT"',
        **values,
    }


def names():
    return [route.name for route in queries.routes()]


def test_the_list_shows_what_routes_did_lately(transactional_db, stored, apply):
    apply(condition="")
    _, revision = stored()
    evaluate(revision)
    page = text_of(browser("student").get("/routes/"))
    assert "1 of 1 matched" in page
    assert "every study" in page
    assert "/routes/overlay/" not in page, "no link to what one may not open"


def test_a_condition_that_asks_who_the_patient_is_is_shown_to_few():
    make("r", condition='PatientID == "4711"')
    assert "4711" in text_of(browser("staff").get("/routes/"))
    assert "4711" not in text_of(browser("student").get("/routes/"))


def test_order_is_changed_by_one_place_and_written_down():
    make("a", "b", "c")
    client = browser("staff")
    part = client.post("/routes/c/move/", {"to": "up"}, headers=HTMX)
    assert names() == ["a", "c", "b"]
    assert text_of(part).index("/routes/c/move") < text_of(part).index("/routes/b/move")
    assert client.post("/routes/a/move/", {"to": "down"}).status_code == 302
    assert names() == ["c", "a", "b"]
    client.post("/routes/c/move/", {"to": "up"})
    assert names() == ["c", "a", "b"], "the first stays the first"
    assert client.post("/routes/x/move/", {"to": "up"}).status_code == 404
    assert set(RouteChange.objects.filter(note="order").values_list("actor", flat=True)) == {
        "a-staff"
    }


def test_moving_deals_out_the_priorities_there_are():
    make("a", "b", "c")
    Route.objects.filter(name="a").update(priority=50)
    Route.objects.filter(name="b").update(priority=20)
    browser().post("/routes/b/move/", {"to": "up"})
    assert {route.name: route.priority for route in queries.routes()} == {"b": 50, "a": 20, "c": 0}


def test_there_may_be_no_room_above():
    make("a", "b", priority=1000)
    page = text_of(browser().post("/routes/b/move/", {"to": "up"}, follow=True))
    assert "No priority above 1000" in page
    assert names() == ["a", "b"]


def test_a_route_is_switched_off_with_a_reason_and_on_where_it_works(tmp_path):
    make("r")
    client = browser("staff")
    client.post("/routes/r/switch/", {"on": "0", "reason": "the disk is changed"})
    assert "the disk is changed" in text_of(client.get("/routes/"))
    Pipeline.objects.filter(name="p").update(
        steps=[{"step": "contours", "with": {}}, {"step": "deliver", "with": {}}]
    )
    page = text_of(client.post("/routes/r/switch/", {"on": "1"}, follow=True))
    assert "r stays off" in page
    assert "names a node" in page
    assert not Route.objects.get().enabled


def test_a_route_is_made_and_changed_and_both_are_history():
    make()
    client = browser("staff")
    answer = client.post("/routes/new/", given(description="What for"))
    assert answer.headers["Location"] == "/routes/r/"
    page = client.get("/routes/r/")
    form = page.context["form"]
    assert form["condition"].value() == 'Modality == "CT"'
    changed = given(version=form["version"].value(), condition="", min_instances="20")
    assert client.post("/routes/r/", changed).status_code == 302
    route = Route.objects.get()
    assert (route.condition, route.completion) == ("", {"min_instances": 20})
    made, change = RouteChange.objects.filter(name="r").order_by("pk")
    assert (made.change, made.before, made.actor) == ("made", "", "a-staff")
    assert "min_instances: 20" in change.after
    assert "Modality" in change.before
    events = Event.objects.filter(kind="ROUTE_CHANGED", detail__route="r").order_by("pk")
    assert [event.detail["change"] for event in events] == ["made", "changed"]
    assert "Modality" not in str([event.detail for event in events])
    page = text_of(client.get("/routes/r/"))
    assert "min_instances: 20" in page


def test_nothing_changed_is_no_change():
    make("r", condition='Modality == "CT"')
    before = Route.objects.get()
    browser().post("/routes/r/", given())
    assert Route.objects.get().changed_at == before.changed_at
    assert RouteChange.objects.filter(name="r").count() == 1


@pytest.mark.parametrize(
    ("values", "field", "text"),
    [
        ({"condition": "Modality == CT"}, "condition", "a text stands in quotes"),
        ({"name": "new"}, "name", "A page has this name"),
        ({"name": "a b"}, "name", "letters, digits"),
        ({"name": "taken"}, "name", "already"),
        ({"priority": "4000"}, "priority", "1000"),
        ({"debounce_s": "-3"}, "debounce_s", "greater than 0"),
        ({"pipeline": ""}, "pipeline", "required"),
        ({"deidentified_only": "on"}, "deidentified_only", "de-identify"),
    ],
)
def test_what_is_wrong_stands_at_its_field(values, field, text):
    make("taken")
    answer = browser().post("/routes/new/", given(**values))
    assert answer.status_code == 200
    assert text in str(answer.context["form"].errors[field])
    assert not Route.objects.filter(name="r").exists()


def test_all_that_is_wrong_is_said_at_once():
    make("taken")
    wrong = {"name": "ct route", "debounce_s": "-3", "min_instances": "0", "condition": "Modality"}
    answer = browser().post("/routes/new/", given(**wrong))
    assert set(answer.context["form"].errors) == set(wrong)


def test_two_people_do_not_overwrite_each_other():
    make("r")
    first, second = browser("staff"), browser("administrator")
    version = first.get("/routes/r/").context["form"]["version"].value()
    second.post("/routes/r/", given(version=version, description="theirs"))
    answer = first.post("/routes/r/", given(version=version, description="mine"))
    page = text_of(answer)
    assert "was changed meanwhile by a-administrator" in page
    assert 'value="mine"' in page, "what was written is not lost"
    assert Route.objects.get().description == "theirs"


@pytest.mark.parametrize(
    ("condition", "wrong", "suggestion"),
    [
        ("Modality == CT", "CT", "&quot;CT&quot;"),
        ('Modalty == "CT"', "Modalty", "Modality"),
        ('Modality = "CT"', "=", "=="),
        ('Modality == "CT" AND Modality == "CT"', "AND", "and"),
        ("Modality ==", " ", ""),
        ('Modality == "CT', "&quot;CT", ""),
    ],
)
def test_a_condition_is_checked_while_it_is_written(condition, wrong, suggestion):
    part = text_of(browser().post("/routes/-/condition/", {"condition": condition}))
    assert f'<mark class="wrong">{wrong}</mark>' in part
    assert f"<code>{suggestion}</code>" in part or not suggestion
    assert "usable are" not in part, "the help lists them"


def test_a_condition_that_can_be_read():
    client = browser()
    assert "It can be read" in text_of(
        client.post("/routes/-/condition/", {"condition": '"CT" in ModalitiesInStudy'})
    )
    assert "every study" in text_of(client.post("/routes/-/condition/", {"condition": " "}))


def test_a_dry_run_says_why_and_starts_nothing(transactional_db, stored):
    study, _ = stored()
    client = browser("staff")

    def tried(condition, search="", person=client):
        query = {"condition": condition, "search": search}
        return text_of(person.post("/routes/-/try/", query))

    assert "1 of 1 match" in tried('"RTSTRUCT" in ModalitiesInStudy')
    no = tried('Modality == "MR"')
    assert "0 of 1 match" in no
    assert "Modality is CT" in no
    assert "cannot be read" in tried("Modality ==")
    assert "No study is found" in tried("", search="nobody")
    assert study.study_uid in tried("", search=study.study_uid)
    assert study.study.runs.count() == 0


def test_a_dry_run_is_no_way_to_find_out_who_the_patient_is(transactional_db, stored):
    from isocenter.apps.accounts.models import Group, User

    study, _ = stored()
    client = browser("researcher")
    group = Group.objects.create(name="routes", rights=["manage-routes"])
    group.members.add(User.objects.get(username="a-researcher"))
    row = study.study
    row.patient_id, row.study_description = "SECRET", "Brain"
    row.save()
    part = text_of(client.post("/routes/-/try/", {"condition": 'PatientID == "SECRET"'}))
    assert "not shown to you" in part
    part = text_of(client.post("/routes/-/try/", {"condition": "", "search": "SECRET"}))
    assert "No study is found" in part
    part = text_of(client.post("/routes/-/try/", {"condition": "", "search": "brain"}))
    assert "1 of 1 match" in part


def test_yaml_is_exported_checked_and_imported():
    make("r", condition='Modality == "CT"')
    client = browser("staff")
    answer = client.get("/routes/-/export/", {"name": "r"})
    assert 'filename="r.yaml"' in answer.headers["Content-Disposition"]
    text = text_of(answer).replace('"CT"', '"MR"')
    checked = client.post("/routes/-/import/", {"text": text, "check": "1"})
    assert "It is fine" in text_of(checked)
    assert 'Modality == "CT"' in Route.objects.get().condition
    upload = SimpleUploadedFile("routes.yaml", text.encode())
    applied = client.post("/routes/-/import/", {"upload": upload, "apply": "1"})
    assert "changed" in text_of(applied)
    assert 'Modality == "MR"' in Route.objects.get().condition
    assert RouteChange.objects.filter(name="r", actor="a-staff").exists()


def test_all_that_is_wrong_with_yaml_is_said_with_its_line():
    make("r")
    text = (
        "pipelines:\n"
        "  - name: q\n"
        "    steps:\n"
        "      - step: contours\n"
        "        with: {formts: [overlay]}\n"
        "routes:\n"
        "  - name: s\n"
        "    colour: red\n"
        "    pipeline: nowhere\n"
        "    condition: Modality == CT\n"
    )
    page = text_of(browser().post("/routes/-/import/", {"text": text, "apply": "1"}))
    for line, word in ((5, "formats"), (8, "colour"), (9, "nowhere"), (10, "in quotes")):
        assert f"Line {line}</strong>" in page
        assert word in page
    assert not Pipeline.objects.filter(name="q").exists()
    page = text_of(browser().post("/routes/-/import/", {"text": "a: [1", "check": "1"}))
    assert "is no YAML" in page
    assert "Choose a file" in text_of(browser().post("/routes/-/import/", {"text": " "}))


def test_nodes_in_yaml_are_another_right(tmp_path):
    from isocenter.apps.accounts.models import Group, User

    make("r")
    client = browser("researcher")
    group = Group.objects.create(name="routes", rights=["manage-routes"])
    group.members.add(User.objects.get(username="a-researcher"))
    text = f"nodes: [{{name: out, kind: folder, folder: {tmp_path}}}]"
    assert "another right" in text_of(client.post("/routes/-/import/", {"text": text, "apply": ""}))


def test_the_shell_and_others_write_history_too(tmp_path):
    make("r")
    apply_yaml("routes: [{name: r, pipeline: p, priority: 5}]", actor="cli")
    set_enabled("r", False, reason="away", actor="cli")
    changes = RouteChange.objects.filter(name="r").order_by("-pk")
    assert [row.change for row in changes] == ["changed", "changed", "made"]
    assert {row.actor for row in changes[:2]} == {"cli"}


def test_an_earlier_version_comes_back_and_so_does_what_was_removed():
    make("r", description="first")
    client = browser("staff")
    client.post("/routes/r/", given(description="second"))
    first = RouteChange.objects.filter(name="r").earliest("pk")
    client.post(f"/routes/-/history/{first.pk}/restore/")
    assert Route.objects.get().description == "first"
    client.post("/routes/r/remove/")
    assert not Route.objects.exists()
    removed = RouteChange.objects.filter(name="r").latest("pk")
    assert removed.change == "removed"
    assert f"/routes/-/history/{removed.pk}/restore/" in text_of(client.get("/routes/-/history/"))
    answer = client.post(f"/routes/-/history/{removed.pk}/restore/")
    assert answer.headers["Location"] == "/routes/r/"
    assert Route.objects.get().description == "first"
    restored = RouteChange.objects.filter(name="r").latest("pk")
    assert restored.note == f"version {removed.pk} restored"


def test_a_version_that_cannot_work_any_more_is_refused():
    make("r")
    made = RouteChange.objects.get(name="r")
    Route.objects.all().delete()
    Pipeline.objects.all().delete()
    page = text_of(browser().post(f"/routes/-/history/{made.pk}/restore/", follow=True))
    assert "cannot work any more" in page
    assert "no pipeline" in page


def test_order_must_name_every_route():
    from isocenter.apps.routing.services import reorder

    make("a", "b")
    with pytest.raises(ConfigurationError, match="every route once"):
        reorder(["a"], actor="x")


def test_structure_and_meaning_are_said_together():
    from isocenter.apps.routing.services import check_yaml

    with pytest.raises(PipelineError) as caught:
        check_yaml(
            """
pipelines:
  - {name: "a b", steps: [{step: contours, with: {formts: [overlay]}}, {stp: deliver}]}
routes:
  - {name: r, pipeline: nowhere, priority: many, condition: Modality == CT, destinations: [x]}
"""
        )
    paths = {error.path for error in caught.value.errors}
    assert paths >= {
        "pipelines[0].name",
        "pipelines[0].steps[0].with.formts",
        "pipelines[0].steps[1].step",
        "routes[0].priority",
        "routes[0].condition",
        "routes[0].pipeline",
        "routes[0].destinations[0]",
    }


@pytest.mark.parametrize(
    ("path", "line"),
    [("a", 1), ("a[1]", 3), ("a[1].b.c", 4), ("a[9]", 1), ("x", 1), ("a[0].nothing", 2)],
)
def test_lines_of_paths(path, line):
    assert line_of("a:\n  - x\n  - b:\n      c: 1\n", path) == line
