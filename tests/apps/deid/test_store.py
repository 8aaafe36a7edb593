"""The map in the database: one pseudonym for one patient, whoever asks at once."""

from __future__ import annotations

import json
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isocenter.apps.deid import services
from isocenter.apps.deid.models import MapEntry, Project
from isocenter.apps.deid.store import DatabaseStore
from isocenter.core.deid.pseudonyms.secrets import PatientKey
from isocenter.core.deid.pseudonyms.store import (
    MemoryStore,
    Pseudonym,
    PseudonymEntry,
    netrt_hash,
    study_key,
)
from isocenter.core.errors import ConfigurationError, NotFound

PATTERN = {"kind": "pattern", "site": "CH"}


def key_of(number: int, issuer: str = "HOSP") -> PatientKey:
    return PatientKey(issuer, f"PAT-{number}")


def compose(number: int) -> Pseudonym:
    return Pseudonym(f"P{number}", f"P{number}")


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_issue_one_pseudonym_twice(make_project, at_once):
    make_project(pseudonyms=PATTERN)

    def work(worker: int) -> list[str]:
        names = []
        for number in range(10):
            order = services.order_for("trial")
            alias = order.pseudonyms.alias_for(key_of(worker * 100 + number), {})
            names.append(alias.patient_id)
        return names

    names = [name for some in at_once(work, 4) for name in some]
    assert sorted(names) == [f"CH_{number:04}" for number in range(1, 41)]
    assert MapEntry.objects.count() == 40
    assert Project.objects.get().counter == 40


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["pattern", "keyed"])
def test_the_same_patient_asked_for_at_once_has_one_pseudonym(make_project, at_once, kind):
    make_project(pseudonyms={"kind": kind})

    def work(_: int) -> list[str]:
        order = services.order_for("trial")
        return [order.pseudonyms.alias_for(key_of(n), {}).patient_id for n in range(10)]

    answers = at_once(work, 4)
    assert all(answer == answers[0] for answer in answers)
    assert MapEntry.objects.count() == 10


@pytest.mark.django_db(transaction=True)
def test_a_list_taken_in_while_numbers_are_issued(make_project, at_once):
    make_project(pseudonyms=PATTERN)
    lines = "".join(f"OLD-{n},CH_{n:04}\n" for n in range(5, 15))

    def work(worker: int):
        if worker == 0:
            try:
                return services.import_map("trial", "PatientID,Pseudonym\n" + lines, actor="ann")
            except ConfigurationError:  # some of these were issued already: nothing is taken in
                return None
        order = services.order_for("trial")
        return [order.pseudonyms.alias_for(key_of(worker * 100 + n), {}) for n in range(8)]

    at_once(work, 3)
    rows = list(MapEntry.objects.values_list("pseudonym_id", flat=True))
    assert len(rows) == len(set(rows)) in (16, 26)


@pytest.mark.django_db
def test_a_patient_keeps_the_pseudonym_of_the_first_study(make_project):
    make_project(pseudonyms={**PATTERN, "first": 500})
    first = services.order_for("trial").pseudonyms.alias_for(key_of(1), {})
    second = services.order_for("trial").pseudonyms.alias_for(key_of(2), {})
    again = services.order_for("trial").pseudonyms.alias_for(key_of(1), {})
    assert (first.patient_id, second.patient_id) == ("CH_0500", "CH_0501")
    assert again == first


@pytest.mark.django_db
def test_one_patient_two_issuers_are_two_patients(make_project):
    make_project(pseudonyms=PATTERN)
    pseudonyms = services.order_for("trial").pseudonyms
    names = {pseudonyms.alias_for(key_of(1, issuer), {}).patient_id for issuer in ("", "A", "B")}
    assert len(names) == 3


@pytest.mark.django_db
def test_given_pseudonyms_that_contradict(make_project):
    store = DatabaseStore(make_project())
    entry = PseudonymEntry(key_of(1), compose(1))
    store.add(entry)
    store.add(entry)
    with pytest.raises(ConfigurationError, match="one patient has two"):
        store.add(PseudonymEntry(key_of(1), compose(2)))
    with pytest.raises(ConfigurationError, match="two patients have the same"):
        store.add(PseudonymEntry(key_of(2), compose(1)))
    with pytest.raises(ConfigurationError, match="one patient has two"):
        store.add(entry._replace(days=-3))
    assert store.find(key_of(1)) == entry


@pytest.mark.django_db
def test_studies_without_patient_may_share_a_pseudonym(make_project):
    store = DatabaseStore(make_project())
    store.add(PseudonymEntry(study_key("1.2.3"), compose(1)))
    store.add(PseudonymEntry(study_key("1.2.4"), compose(1)))
    with pytest.raises(ConfigurationError, match="two patients have the same"):
        store.add(PseudonymEntry(key_of(1), compose(1)))


@pytest.mark.django_db
def test_a_project_deleted_meanwhile_issues_nothing(make_project):
    store = DatabaseStore(make_project(pseudonyms=PATTERN))
    services.delete_project("trial", actor="ann")
    with pytest.raises(NotFound, match="deleted meanwhile"):
        store.issue(key_of(1), compose)


@pytest.mark.django_db
def test_without_remembering_nothing_is_kept(make_project):
    make_project(pseudonyms={"kind": "keyed", "remember": False})
    assert services.order_for("trial").pseudonyms.alias_for(key_of(1), {}) is not None
    assert not MapEntry.objects.exists()


@pytest.mark.django_db
def test_a_project_with_a_list_alone_has_nothing_for_others(make_project):
    make_project(pseudonyms={"kind": "given"})
    services.import_map("trial", "PatientID,Pseudonym,DayShift\nPAT-1,X1,-10\n", actor="ann")
    pseudonyms = services.order_for("trial").pseudonyms
    alias = pseudonyms.alias_for(PatientKey("", "PAT-1"), {})
    assert (alias.patient_id, alias.day_shift) == ("X1", -10)
    assert pseudonyms.alias_for(key_of(2), {}) is None


@pytest.mark.django_db
def test_a_line_without_issuer_is_one_patients_in_whatever_run(make_project):
    make_project(pseudonyms={"kind": "given"})
    services.import_map("trial", "PatientID,Pseudonym\nPAT-1,X1\n", actor="ann")
    for _ in range(2):
        alias = services.order_for("trial").pseudonyms.alias_for(key_of(1, "A"), {})
        assert alias.patient_id == "X1"
    with pytest.raises(ConfigurationError, match="two issuers") as caught:
        services.order_for("trial").pseudonyms.alias_for(key_of(1, "B"), {})
    assert "PAT-1" not in str(caught.value)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["keyed", "pattern"])
def test_patients_of_netrt_keep_their_pseudonyms(make_project, kind):
    make_project(pseudonyms={**PATTERN, "kind": kind})
    mapping = {netrt_hash("PAT-1", "Muster^Max"): {"anonymized_id": "CH_0007"}}
    services.import_netrt_map("trial", json.dumps(mapping), actor="ann")
    order = services.order_for("trial")
    alias = order.pseudonyms.alias_for(key_of(1), {"PatientName": "Muster^Max"})
    assert alias.patient_id == "CH_0007"
    other = order.pseudonyms.alias_for(key_of(2), {"PatientName": "Muster^Max"})
    assert other.patient_id == "CH_0008" if kind == "pattern" else len(other.patient_id) == 16
    with pytest.raises(ConfigurationError, match="two patients have the same"):
        order.pseudonyms.alias_for(key_of(1, "OTHER"), {"PatientName": "Muster^Max"})


KEYS = st.builds(PatientKey, st.sampled_from(["", "A"]), st.sampled_from(["1", "2"]))
STUDIES = st.sampled_from([study_key("1.2"), study_key("1.3")])
NAMES = st.sampled_from([Pseudonym("P1", "P1"), Pseudonym("P1", "Q"), Pseudonym("P2", "P2")])
ADDED = st.builds(PseudonymEntry, KEYS | STUDIES, NAMES, st.sampled_from([None, -3]))


@pytest.mark.django_db
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.booleans(), ADDED), max_size=8))
def test_it_does_what_the_store_in_memory_does(make_project, steps):
    Project.objects.all().delete()
    name = f"p{Project.objects.count()}"
    stores = [DatabaseStore(make_project(name)), MemoryStore()]
    for is_issue, entry in steps:
        act = partial(_issue if is_issue else _add, entry=entry)
        answers = [act(store) for store in stores]
        assert answers[0] == answers[1]
        assert stores[0].find(entry.key) == stores[1].find(entry.key)
        assert set(stores[0].taken()) == set(stores[1].taken())


def _issue(store, entry):
    return store.issue(entry.key, compose)


def _add(store, entry):
    try:
        return store.add(entry)
    except ConfigurationError as error:
        return str(error)
