"""Searches: what is found, in which form, and for whom."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from isocenter.apps.audit.models import Event

from .conftest import STUDY, image, parts_of

SERIES = f"{STUDY}.1"


@pytest.fixture(autouse=True)
def stock(archived: Any) -> None:
    """Two series, of two and of one instance."""
    request = image(1, series=f"{STUDY}.2", Modality="MR")
    item = type(request)()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = "STEP7", "RP1"
    request.RequestAttributesSequence = [item]
    archived(image(1), image(2), request)


def found(client: Any, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/dicom-web/{path}", query)
    assert answer.status_code in (200, 204), answer.content
    if answer.status_code == 204:
        assert answer.content == b""
        return []
    assert answer.headers["Content-Type"] == "application/dicom+json"
    return answer.json()


def value(answer: dict[str, Any], tag: str) -> Any:
    values = answer[tag].get("Value", [])
    return values[0] if len(values) == 1 else values


def test_a_study_has_what_the_standard_requires(client):
    (study,) = found(client, "studies", PatientID="P1")
    assert value(study, "00100010") == {"Alphabetic": "Müller^Jörg"}
    assert value(study, "0020000D") == STUDY
    assert sorted(value(study, "00080061")) == ["CT", "MR"]
    assert (value(study, "00201206"), value(study, "00201208")) == (2, 3)
    assert value(study, "00080056") == "ONLINE"
    assert value(study, "00081190") == f"http://testserver/dicom-web/studies/{STUDY}"
    assert list(study) == sorted(study)


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("studies", 1),
        ("series", 2),
        ("instances", 3),
        (f"studies/{STUDY}/series", 2),
        (f"studies/{STUDY}/instances", 3),
        (f"studies/{STUDY}/series/{SERIES}/instances", 2),
        ("studies/1.2.3/series", 0),
        (f"studies/{STUDY}/series/1.2.3/instances", 0),
    ],
)
def test_every_nesting_is_answered(client, path, count):
    assert len(found(client, path)) == count


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"PatientName": "mull*"}, 1),
        ({"00100010": "MÜLLER^J*"}, 1),
        ({"PatientName": "jorg", "fuzzymatching": "true"}, 1),
        ({"PatientName": "jorg"}, 0),
        ({"StudyDate": "20260101-20260131"}, 1),
        ({"StudyDate": "-20251231"}, 0),
        ({"ModalitiesInStudy": "MR"}, 1),
        ({"ModalitiesInStudy": "PT,MR"}, 1),
        ({"ModalitiesInStudy": ["PT", "US"]}, 0),
        ({"StudyInstanceUID": f"1.2.3,{STUDY}"}, 1),
        ({"StudyDescription": "HE?D"}, 1),
        ({"AccessionNumber": "A1", "PatientID": "P2"}, 0),
    ],
)
def test_studies_match(client, query, count):
    assert len(found(client, "studies", **query)) == count


@pytest.mark.parametrize(
    "key", ["RequestAttributesSequence.ScheduledProcedureStepID", "00400275.00400009"]
)
def test_keys_inside_a_sequence_match(client, key):
    assert len(found(client, "series", **{key: "STEP7"})) == 1
    assert found(client, "series", **{key: "STEP8"}) == []


def test_series_of_all_studies_tell_whose_they_are(client):
    first = found(client, "series", Modality="CT")[0]
    assert value(first, "00100020") == "P1"
    inside = found(client, f"studies/{STUDY}/series", Modality="CT")[0]
    assert "00100020" not in inside


def test_fields_that_the_index_lacks_come_from_the_metadata(client):
    client.get(f"/dicom-web/studies/{STUDY}/metadata").getvalue()  # builds it
    path = f"studies/{STUDY}/series/{SERIES}/instances"
    assert value(found(client, path, includefield="KVP")[0], "00180060") == 120
    assert value(found(client, path, includefield="all")[0], "00180060") == 120
    assert "00180060" not in found(client, path)[0]


def test_fields_that_a_level_has_not_are_named_in_a_warning(client):
    answer = client.get("/dicom-web/studies", {"includefield": "KVP,PatientID"})
    assert answer.headers["Warning"] == (
        '299 http://testserver/dicom-web: "Answers of this level have no KVP."'
    )


def test_pages_follow_each_other(client):
    path = f"studies/{STUDY}/instances"
    whole = [value(each, "00080018") for each in found(client, path)]
    pages = [found(client, path, limit=1, offset=at) for at in range(4)]
    assert [value(page[0], "00080018") for page in pages[:3]] == whole
    assert pages[3] == []
    assert found(client, path, limit=0) == []


def test_an_answer_that_is_cut_says_so(client, web_settings):
    web_settings(search_limit=2)
    answer = client.get("/dicom-web/instances")
    assert len(answer.json()) == 2
    assert "cut at 2 results" in answer.headers["Warning"]
    assert "offset=2" in answer.headers["Warning"]
    assert "Warning" not in client.get("/dicom-web/instances", {"limit": 2}).headers


def test_xml_comes_in_parts(client):
    answer = client.get(
        "/dicom-web/series",
        headers={"Accept": 'multipart/related; type="application/dicom+xml"'},
    )
    parts = parts_of(answer)
    assert [headers["Content-Type"] for headers, _ in parts] == ["application/dicom+xml"] * 2
    assert all(ET.fromstring(content).tag.endswith("NativeDicomModel") for _, content in parts)


@pytest.mark.parametrize(
    "query",
    [
        {"PatientNam": "x"},
        {"KVP": "120"},
        {"limit": "-1"},
        {"StudyDate": "2026-01-01"},
        {"StudyInstanceUID": "1.2.*"},
        {"NumberOfStudyRelatedInstances": "3"},
        {"includefield": "nonsense"},
        {"PatientID": "a\x00b"},
    ],
)
def test_what_cannot_be_asked_is_a_sentence(client, query):
    answer = client.get("/dicom-web/studies", query)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_an_address_and_a_parameter_that_disagree_are_refused(client):
    answer = client.get(f"/dicom-web/studies/{STUDY}/series", {"StudyInstanceUID": "1.2"})
    assert answer.status_code == 400


def test_who_may_not_see_identities_sees_none(client_of):
    nobody = client_of("researcher")
    (study,) = found(nobody, "studies", ModalitiesInStudy="CT")
    assert value(study, "0020000D") == STUDY
    for tag in ("00100010", "00100020", "00100030", "00080050"):
        assert tag not in study
    assert nobody.get("/dicom-web/studies", {"PatientID": "P1"}).status_code == 403
    path = f"studies/{STUDY}/instances"
    nobody.get(f"/dicom-web/studies/{STUDY}/metadata").getvalue()
    assert "00100010" not in found(nobody, path, includefield="all")[0]


def test_a_search_is_an_event_that_names_keys_and_no_values(client):
    found(client, "studies", PatientName="Müller*", StudyDate="")
    event = Event.objects.get(kind="QUERY")
    assert event.detail == {
        "by": "QIDO-RS",
        "level": "STUDY",
        "keys": ["PatientName"],
        "found": 1,
    }


def test_looking_into_a_study_is_one_view_of_it(client):
    for _ in range(3):
        found(client, f"studies/{STUDY}/series")
    (event,) = Event.objects.filter(kind="STUDY_VIEWED")
    assert (event.study_uid, event.detail["what"]) == (STUDY, "index")


def test_a_form_that_is_not_there_is_406(client):
    answer = client.get("/dicom-web/studies", headers={"Accept": "text/csv"})
    assert answer.status_code == 406
    assert "application/dicom+json" in answer.json()["hint"]
