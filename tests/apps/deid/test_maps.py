"""Maps in and out, as files of the command line."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isocenter.apps.audit.models import Event
from isocenter.apps.deid import maps, services
from isocenter.apps.deid.maps import MOST_REFUSED, Imported
from isocenter.apps.deid.models import LegacyEntry, MapEntry, Project
from isocenter.core.deid.pseudonyms.files import format_csv, parse_csv
from isocenter.core.deid.pseudonyms.secrets import PatientKey
from isocenter.core.deid.pseudonyms.store import Pseudonym, PseudonymEntry, study_key
from isocenter.core.errors import ConfigurationError, NotFound, Refused

pytestmark = pytest.mark.django_db

CSV = (
    "PatientID,IssuerOfPatientID,StudyInstanceUID,Pseudonym,PseudonymName,DayShift\r\n"
    "PAT-1,HOSP,,X1,Name One,-10\r\n"
    "PAT-2,,,X2,X2,\r\n"
    ",,1.2.3,X3,X3,\r\n"
    ",,1.2.4,X3,X3,\r\n"
)


def test_a_list_comes_out_as_it_went_in(make_project):
    make_project()
    assert services.import_map("trial", CSV, actor="ann") == Imported(4, 0)
    assert services.export_map("trial", actor="ann") == CSV
    assert services.import_map("trial", CSV.encode("utf-8-sig"), actor="ann") == Imported(0, 4)
    assert MapEntry.objects.filter(is_given=True, created_by="ann").count() == 4


KEYS = st.builds(PatientKey, st.sampled_from(["", "A", "B"]), st.integers(0, 99).map("ID{}".format))
ENTRIES = st.lists(
    st.tuples(
        KEYS | st.integers(1, 99).map("1.2.{}".format).map(study_key), st.none() | st.just(7)
    ),
    unique_by=lambda pair: pair[0],
    max_size=20,
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ENTRIES)
def test_any_list_comes_out_as_it_went_in(make_project, pairs):
    Project.objects.all().delete()
    make_project()
    entries = [
        PseudonymEntry(key, Pseudonym(f"X{number}", f"Ä{number}"), days)
        for number, (key, days) in enumerate(pairs)
    ]
    services.import_map("trial", format_csv(entries), actor="ann")
    assert parse_csv(services.export_map("trial", actor="ann")) == entries


def test_what_was_issued_moves_to_another_project(make_project):
    make_project("one", pseudonyms={"kind": "pattern", "site": "CH"})
    make_project("two", pseudonyms={"kind": "pattern", "site": "CH"})
    one = services.order_for("one").pseudonyms
    keys = [PatientKey("", f"PAT-{number}") for number in range(3)]
    given_by_one = [one.alias_for(key, {}).patient_id for key in keys]
    services.import_map("two", services.export_map("one", actor="ann"), actor="ann")
    two = services.order_for("two").pseudonyms
    assert [two.alias_for(key, {}).patient_id for key in keys] == given_by_one
    assert two.alias_for(PatientKey("", "PAT-9"), {}).patient_id == "CH_0004"


HEAD = "PatientID,IssuerOfPatientID,Pseudonym\n"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("SECRET-1,HOSP,X9\n", "entry 1: this patient has another"),
        ("SECRET-9,,X1\n", "entry 1: another patient has this"),
        ("SECRET-9,,XN\n", "entry 1: NETRT gave this"),
        ("SECRET-9,HOSP,SECRET-1\n", "entry 1: the pseudonym is the Patient ID"),
        ("SECRET-7,,X7\n", "entry 1: a patient with this ID has another"),
        ("SECRET-8,,X8\nSECRET-1,HOSP,X9\n", "entry 2: this patient has another"),
        ("SECRET-8,,X8\nSECRET-8,,X9\n", "line 3: the patient of line 2 again"),
        ("SECRET-8,,\n", "line 2: Pseudonym: the pseudonym is empty"),
    ],
)
def test_a_list_that_contradicts_is_not_taken(make_project, lines, problem):
    make_project()
    services.import_map("trial", HEAD + "SECRET-1,HOSP,X1\n", actor="ann")
    services.order_for("trial").pseudonyms.alias_for(PatientKey("HOSP", "SECRET-7"), {})
    project = Project.objects.get()
    LegacyEntry.objects.create(
        project=project, digest="d", pseudonym_id="XN", pseudonym_name="other"
    )
    with pytest.raises(ConfigurationError, match=problem) as caught:
        services.import_map("trial", HEAD + lines, actor="ann")
    assert "SECRET" not in str(caught.value)
    assert project.entries.count() == 2


@pytest.mark.parametrize(
    ("lines", "old"),
    [("PAT-1,,X2\n", 1), ("PAT-9,,X1\nPAT-8,,X8\n", 1), ("PAT-1,,X1\nPAT-9,,X2\n", 2),
     ("PAT-8,,X1\nPAT-9,,X2\n", 2)],
)  # fmt: skip
def test_without_the_right_to_look_up_a_list_proves_no_pair(make_project, lines, old):
    make_project()
    services.import_map("trial", HEAD + "PAT-1,,X1\nPAT-2,,X2\n", actor="ann")
    told = set()
    for _ in range(2):
        done = services.import_map("trial", HEAD + "PAT-1,,X1\n", actor="eve", may_reidentify=False)
        told.add(done.entries)
    with pytest.raises(ConfigurationError, match=f"{old} entr.* contradict") as caught:
        services.import_map("trial", HEAD + lines, actor="eve", may_reidentify=False)
    assert told == {1}
    assert "entry 1:" not in str(caught.value)
    assert "reidentify" in caught.value.hint
    events = Event.objects.filter(actor="eve").order_by("pk")
    assert [(event.kind, event.detail) for event in events] == [
        *[("PSEUDONYMS_IMPORTED", {"project": "trial", "form": "csv", "entries": 1})] * 2,
        ("PSEUDONYMS_COMPARED", {"project": "trial", "form": "csv",
                                 "entries": lines.count("\n"), "contradict_or_known": old}),
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "netrt"])
def test_lists_that_contradict_are_few(make_project, monkeypatch, form):
    make_project()
    make_project("other")
    services.import_map("trial", HEAD + "PAT-1,,X1\n", actor="ann")
    services.import_map("other", HEAD + "PAT-1,,X1\n", actor="ann")
    take = services.import_map if form == "csv" else services.import_netrt_map
    content = HEAD + "PAT-9,,X1\n" if form == "csv" else netrt(a="X1")
    for number in range(MOST_REFUSED):
        with pytest.raises(ConfigurationError, match="contradict"):
            take("other" if number % 2 else "trial", content, actor="eve", may_reidentify=False)
    right = HEAD + "PAT-1,,X1\n"
    with pytest.raises(Refused, match="within an hour"):
        services.import_map("trial", right, actor="eve", may_reidentify=False)
    assert services.import_map("trial", right, actor="bob", may_reidentify=False).entries == 1
    with pytest.raises(ConfigurationError, match="entry 1: another patient"):
        take("trial", content, actor="eve")
    monkeypatch.setattr(maps, "REFUSED_WITHIN", timedelta(0))
    assert services.import_map("trial", right, actor="eve", may_reidentify=False).entries == 1


def test_a_line_without_issuer_is_not_changed_by_one_with_it(make_project):
    make_project()
    services.import_map("trial", HEAD + "PAT-1,,X1\n", actor="ann")
    services.order_for("trial").pseudonyms.alias_for(PatientKey("HOSP", "PAT-1"), {})
    with pytest.raises(ConfigurationError, match="another pseudonym"):
        services.import_map("trial", HEAD + "PAT-1,HOSP,X2\n", actor="ann")
    assert services.import_map("trial", HEAD + "PAT-1,HOSP,X1\n", actor="ann").known == 1
    assert services.import_map("trial", HEAD + "PAT-1,OTHER,X2\n", actor="ann").added == 1


def test_many_problems_are_told_in_part(make_project):
    make_project()
    services.import_map("trial", HEAD + "".join(f"P{n},,X{n}\n" for n in range(30)), actor="ann")
    with pytest.raises(ConfigurationError, match="and 10 more"):
        services.import_map(
            "trial", HEAD + "".join(f"P{n},,Y{n}\n" for n in range(30)), actor="ann"
        )


def test_files_that_are_no_lists(make_project):
    make_project()
    for content in (b"\xff\xfe", b"PatientID\n", b""):
        with pytest.raises(ConfigurationError):
            services.import_map("trial", content, actor="ann")
    for content in (b"[]", b"{", b'{"x": {"anonymized_id": "A"}}'):
        with pytest.raises(ConfigurationError):
            services.import_netrt_map("trial", content, actor="ann")
    with pytest.raises(NotFound):
        services.import_map("other", CSV, actor="ann")


def netrt(**pseudonyms: str) -> str:
    return json.dumps(
        {f"{hashed:0>16}": {"anonymized_id": name} for hashed, name in pseudonyms.items()}
    )


def test_a_mapping_of_netrt(make_project):
    make_project(pseudonyms={"kind": "pattern", "site": "CH"})
    mapping = netrt(a="CH_0001", b="CH_0002")
    assert services.import_netrt_map("trial", mapping, actor="ann") == Imported(2, 0)
    assert services.import_netrt_map("trial", mapping, actor="ann") == Imported(0, 2)
    assert "0000000a" not in "".join(LegacyEntry.objects.values_list("digest", flat=True))
    alias = services.order_for("trial").pseudonyms.alias_for(PatientKey("", "PAT-1"), {})
    assert alias.patient_id == "CH_0003"
    with pytest.raises(ConfigurationError, match="entry 1: another patient has this"):
        services.import_netrt_map("trial", netrt(c="CH_0003"), actor="ann")
    with pytest.raises(ConfigurationError, match="entry 1: this patient has another"):
        services.import_netrt_map("trial", netrt(a="CH_0009"), actor="ann")
    [found] = services.look_up("trial", pseudonym="CH_0001", actor="ann")
    assert (found.origin, found.patient_id) == ("netrt", "")


def test_a_project_with_a_list_alone_takes_no_mapping(make_project):
    make_project(pseudonyms={"kind": "given"})
    with pytest.raises(ConfigurationError, match="list alone"):
        services.import_netrt_map("trial", netrt(a="N1"), actor="ann")


def test_rows_that_somebody_swapped_are_not_believed(make_project):
    make_project()
    services.import_map("trial", HEAD + "PAT-1,,X1\nPAT-2,,X2\n", actor="ann")
    one, two = MapEntry.objects.order_by("pk")
    MapEntry.objects.filter(pk=two.pk).update(sealed_patient=one.sealed_patient)
    with pytest.raises(ConfigurationError, match="was changed in the database"):
        services.export_map("trial", actor="ann")
    with pytest.raises(ConfigurationError, match="was changed in the database"):
        services.look_up("trial", pseudonym="X2", actor="ann")
    assert services.look_up("trial", pseudonym="X1", actor="ann")


def test_each_is_an_event(make_project):
    make_project()
    services.import_map("trial", CSV, actor="ann")
    services.import_netrt_map("trial", netrt(a="N1"), actor="bob")
    services.export_map("trial", actor="cid")
    services.secret_of("trial", actor="dan")
    told = [
        (event.kind, event.actor, event.detail)
        for event in Event.objects.exclude(kind="PROJECT_CHANGED").order_by("pk")
    ]
    imported = {"project": "trial", "form": "csv", "added": 4, "known": 0}
    assert told == [
        ("PSEUDONYMS_IMPORTED", "ann", imported),
        ("PSEUDONYMS_IMPORTED", "bob", {**imported, "form": "netrt", "added": 1}),
        ("PSEUDONYMS_EXPORTED", "cid", {"project": "trial", "entries": 4}),
        ("PROJECT_SECRET_EXPORTED", "dan", {"project": "trial"}),
    ]
