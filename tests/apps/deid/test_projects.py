"""Projects: made, changed, removed; what an order of one holds."""

from __future__ import annotations

import pytest

from isocenter.apps.audit.models import Event
from isocenter.apps.deid import queries, services
from isocenter.apps.deid.documents import ProjectProblems, read_document
from isocenter.apps.deid.models import MapEntry, Project, ProjectChange
from isocenter.apps.routing.models import Pipeline
from isocenter.core.deid.pseudonyms.issuing import KeyedPseudonyms
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret
from isocenter.core.errors import ConfigurationError, NotFound

pytestmark = pytest.mark.django_db


def test_a_project_has_a_secret_of_its_own(make_project):
    make_project("one"), make_project("two")
    one, two = services.order_for("one"), services.order_for("two")
    assert len(one.secret.key) == 32
    assert one.secret.key != two.secret.key
    assert one.secret == services.order_for("one").secret
    assert repr(one.secret.key) not in repr(one)


def test_an_order_is_what_the_document_wants(make_project):
    make_project(dates="shift", whole_weeks=True, words=["Rotterdam trial"], whole_studies=False)
    order = services.order_for("trial")
    assert order.policy.dates == "shift"
    assert order.policy.whole_weeks
    assert order.words == ("rotterdam", "trial")
    assert not order.whole_studies
    assert order.version == 1
    key = PatientKey("", "PAT-77")
    alias = order.pseudonyms.alias_for(key, {})
    assert alias == KeyedPseudonyms(order.secret, whole_weeks=True).alias_for(key, {})


def test_a_secret_of_the_command_line_is_taken_over():
    secret = Secret(bytes(range(32)))
    services.create_project("old", read_document({}), secret=secret, actor="ann")
    assert services.order_for("old").secret == secret


@pytest.mark.parametrize(
    ("name", "text"),
    [("", "letters"), ("a b", "letters"), ("-a", "letters"), ("new", "address"), ("x" * 65, "64")],
)
def test_a_name_that_cannot_be(name, text):
    with pytest.raises(ProjectProblems, match=text) as caught:
        services.create_project(name, read_document({}), actor="ann")
    assert set(caught.value.problems) == {"name"}


def test_a_name_is_there_once_in_capitals_or_not(make_project):
    make_project("trial")
    with pytest.raises(ProjectProblems, match="already"):
        make_project("Trial")


def test_a_change_is_kept_with_who_made_it(make_project):
    make_project()
    changed = services.change_project(
        "trial", read_document({"dates": "keep"}), description="x", version=1, actor="bob"
    )
    assert (changed.version, changed.changed_by, changed.created_by) == (2, "bob", "ann")
    kept = [(row.version, row.change, row.actor) for row in queries.changes("trial")]
    assert kept == [(2, "changed", "bob"), (1, "made", "ann")]
    event = Event.objects.filter(kind="PROJECT_CHANGED").last()
    assert event is not None
    assert event.detail == {
        "project": "trial", "change": "changed", "version": 2, "keys": ["dates", "description"],
    }  # fmt: skip


def test_a_change_that_changes_nothing_is_none(make_project):
    made = make_project()
    same = services.change_project("trial", queries.document_of(made), version=1, actor="bob")
    assert same.version == 1
    assert len(queries.changes("trial")) == 1


def test_two_who_change_at_once(make_project):
    make_project()
    services.change_project("trial", read_document({"dates": "keep"}), version=1, actor="ann")
    with pytest.raises(services.ProjectChanged, match="version 2"):
        services.change_project("trial", read_document({}), version=1, actor="bob")


def test_a_project_that_a_pipeline_names_stays(make_project):
    make_project()
    steps = [{"step": "select"}, {"step": "deidentify", "with": {"project": "trial"}}]
    Pipeline.objects.create(name="out", steps=steps)
    Pipeline.objects.create(name="other", steps=[{"step": "deidentify", "with": {"project": "x"}}])
    assert queries.pipelines_of("trial") == ["out"]
    with pytest.raises(ConfigurationError, match="pipelines out"):
        services.delete_project("trial", actor="ann")


def test_a_removed_project_leaves_no_map_and_no_version_again(make_project):
    make_project()
    services.order_for("trial").pseudonyms.alias_for(PatientKey("", "PAT-77"), {})
    services.delete_project("trial", actor="ann")
    assert not Project.objects.exists()
    assert not MapEntry.objects.exists()
    assert ProjectChange.objects.filter(change="removed", version=2).exists()
    with pytest.raises(NotFound):
        services.order_for("trial")
    assert make_project("trial").version == 3


def test_unknown_projects_name_the_nearest(make_project):
    make_project("prostate")
    with pytest.raises(NotFound, match="did you mean prostate"):
        queries.project("prostat")
    assert queries.nearest("prostat") == "prostate"
    assert queries.exists("prostate")
    assert not queries.exists("prostat")


def test_a_document_of_another_version_spoils_no_list(make_project):
    make_project("good")
    row = make_project("strange")
    Project.objects.filter(pk=row.pk).update(document={"from_the_future": 1})
    good, strange = queries.projects()
    assert good.summary.startswith("Basic")
    assert strange.summary == "cannot be used: from_the_future: there is no such key"
    with pytest.raises(ProjectProblems):
        services.order_for("strange")


def test_lists_say_nothing_of_patients(make_project):
    make_project(dates="shift")
    order = services.order_for("trial")
    for number in range(3):
        order.pseudonyms.alias_for(PatientKey("HOSP", f"PAT-{number}"), {})
    [row] = queries.projects()
    assert (row.patients, row.legacy) == (3, 0)
    assert row == queries.project_row("trial")
    assert row.summary == "Basic Profile; dates shifted; pseudonyms keyed"
    first, second = queries.entries("trial", limit=2)
    [third] = queries.entries("trial", second.number, limit=2)
    assert len({first.pseudonym_id, second.pseudonym_id, third.pseudonym_id}) == 3
    assert "PAT" not in repr([first, second, third])
