"""Who is behind a pseudonym; the event of the question never says it."""

from __future__ import annotations

import json

import pytest

from isocenter.apps.audit.models import Event
from isocenter.apps.audit.services import as_line
from isocenter.apps.deid import services
from isocenter.core.deid.pseudonyms.issuing import KeyedPseudonyms
from isocenter.core.deid.pseudonyms.secrets import PatientKey
from isocenter.core.errors import ConfigurationError, NotFound

pytestmark = pytest.mark.django_db


@pytest.fixture
def pseudonym(make_project):
    """Of PAT-1 of A; PAT-1 of B is somebody else, PAT-2 came from a list."""
    make_project()
    pseudonyms = services.order_for("trial").pseudonyms
    services.import_map("trial", "PatientID,Pseudonym,PseudonymName\nPAT-2,X2,N2\n", actor="ann")
    services.import_map("trial", "StudyInstanceUID,Pseudonym\n1.2.3,X3\n", actor="ann")
    pseudonyms.alias_for(PatientKey("B", "PAT-1"), {})
    return pseudonyms.alias_for(PatientKey("A", "PAT-1"), {}).patient_id


def ask(**question: str):
    found = services.look_up("trial", actor="ann", **question)
    return [(one.issuer, one.patient_id, one.study_uid, one.origin) for one in found]


def test_by_pseudonym(pseudonym):
    assert ask(pseudonym=f" {pseudonym} ") == [("A", "PAT-1", "", "issued")]
    assert ask(pseudonym="X2") == ask(pseudonym="N2") == [("", "PAT-2", "", "given")]
    assert ask(pseudonym="X3") == [("", "", "1.2.3", "given")]
    assert ask(pseudonym="nobody") == []


def test_by_patient(pseudonym):
    assert len(ask(patient_id="PAT-1")) == 2
    assert ask(patient_id="PAT-1", issuer="A") == [("A", "PAT-1", "", "issued")]
    assert ask(patient_id="PAT-1", issuer="C") == []
    assert ask(patient_id="PAT-2") == [("", "PAT-2", "", "given")]
    assert ask(patient_id="PAT-2", issuer="A") == [("", "PAT-2", "", "given")]
    assert ask(patient_id="1.2.3") == [("", "", "1.2.3", "given")]


def test_a_line_that_is_another_issuers_patient_is_not_found(pseudonym):
    services.order_for("trial").pseudonyms.alias_for(PatientKey("A", "PAT-2"), {})
    assert ask(patient_id="PAT-2", issuer="A")
    assert not ask(patient_id="PAT-2", issuer="B")


def test_where_nothing_is_kept_it_is_computed(make_project):
    make_project(pseudonyms={"remember": False})
    key = PatientKey("A", "PAT-1")
    alias = KeyedPseudonyms(services.order_for("trial").secret).alias_for(key, {})
    [found] = services.look_up("trial", patient_id="PAT-1", issuer="A", actor="ann")
    assert (found.pseudonym_id, found.origin) == (alias.patient_id, "computed")
    assert services.look_up("trial", pseudonym=alias.patient_id, actor="ann") == []


@pytest.mark.parametrize(
    "question", [{}, {"pseudonym": " "}, {"pseudonym": "a", "patient_id": "b"}]
)
def test_one_question(make_project, question):
    make_project()
    with pytest.raises(ConfigurationError, match="either"):
        services.look_up("trial", actor="ann", **question)


def test_an_unknown_project(make_project):
    with pytest.raises(NotFound):
        services.look_up("trial", pseudonym="x", actor="ann")


def test_every_question_is_an_event_without_the_patient(pseudonym):
    ask(pseudonym=pseudonym)
    ask(patient_id="PAT-1", issuer="A")
    ask(pseudonym="PAT-1")  # typed into the wrong field
    ask(patient_id="PAT-77")
    events = list(Event.objects.filter(kind="PATIENT_LOOKED_UP").order_by("pk"))
    base = {"project": "trial", "pseudonyms": [pseudonym], "found": 1}
    assert [event.detail for event in events] == [
        {**base, "asked_for": "patient"},
        {**base, "asked_for": "pseudonym"},
        {"project": "trial", "pseudonyms": [], "found": 0, "asked_for": "patient"},
        {"project": "trial", "pseudonyms": [], "found": 0, "asked_for": "pseudonym"},
    ]
    assert {event.actor for event in events} == {"ann"}
    assert "PAT-" not in json.dumps([as_line(event) for event in Event.objects.all()])


def test_an_answer_does_not_show_the_patient_by_chance(pseudonym):
    assert "PAT-" not in repr(services.look_up("trial", pseudonym=pseudonym, actor="ann"))
