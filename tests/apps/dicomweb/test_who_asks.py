"""Sessions, tokens, pages of other origins; what this service says it can do."""

from __future__ import annotations

import base64
import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.test import Client, RequestFactory

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
from isocenter.apps.dicomweb.addresses import base_url

VIEWER = "https://viewer.example"


@pytest.fixture
def token(db: None) -> str:
    user = User.objects.create(username="somebody", role="administrator")
    return create_token(user, ["all"]).text


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_nobody_is_told_to_send_a_token_and_never_sent_to_a_page(db):
    answer = Client().get("/dicom-web/studies")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["hint"] == "send Authorization: Bearer TOKEN"


def test_a_token_may_stand_in_the_place_of_a_password(token):
    for name in ("somebody", ""):
        answer = Client().get("/dicom-web/studies", headers={"Authorization": basic(name, token)})
        assert answer.status_code == 204


@pytest.mark.parametrize("password", ["", "correct horse battery", "iso_x", "\x00"])
def test_a_password_is_no_token(token, password):
    User.objects.get().set_password("correct horse battery")
    answer = Client().get("/dicom-web/studies", headers={"Authorization": basic("a", password)})
    assert answer.status_code == 401
    assert "in the password's place" in answer.json()["hint"]
    broken = Client().get("/dicom-web/studies", headers={"Authorization": "Basic %%%"})
    assert broken.status_code == 401


def test_a_token_as_a_password_opens_dicomweb_alone(token):
    answer = Client().get("/api/v1/version", headers={"Authorization": basic("a", token)})
    assert answer.status_code == 401


def test_a_page_cannot_delete_with_what_a_browser_adds_by_itself(token):
    headers = {"Authorization": basic("a", token), "Origin": "https://evil.example"}
    client = Client(enforce_csrf_checks=True)
    assert client.delete("/dicom-web/studies/1.2.3", headers=headers).status_code == 403
    del headers["Origin"]
    assert client.delete("/dicom-web/studies/1.2.3", headers=headers).status_code == 404


def test_a_narrow_token_is_told_that_it_lacks_the_scope(client_of):
    narrow = client_of("administrator", "view").get("/dicom-web/studies/1.2.3")
    assert narrow.status_code == 403
    assert narrow.json()["error"] == "this token lacks the right download, which its owner has"
    assert narrow.json()["hint"] == "make a token with one of the scopes all, read, download"
    student = client_of("student").get("/dicom-web/studies/1.2.3")
    assert student.json()["error"] == "a-student (student) lacks the right download"


def test_a_session_proves_its_origin_before_it_deletes(db):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create(username="somebody", role="administrator"))
    refused = client.delete("/dicom-web/studies/1.2.3")
    assert (refused.status_code, "CSRF" in refused.json()["error"]) == (403, True)


def test_a_session_of_another_origin_is_told_to_use_a_token(db, web_settings):
    web_settings(cors_origins=[VIEWER])
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create(username="somebody", role="administrator"))
    secret = "a" * 32
    client.cookies["isocenter_csrf"] = secret
    own = {"X-CSRFToken": secret}
    assert client.delete("/dicom-web/studies/1.2.3", headers=own).status_code == 404
    other = own | {"Origin": VIEWER}
    refused = client.delete("/dicom-web/studies/1.2.3", headers=other)
    assert refused.status_code == 403
    assert "another origin" in refused.json()["error"]
    assert "Authorization: Bearer" in refused.json()["hint"]
    assert refused.headers["Access-Control-Allow-Origin"] == VIEWER
    assert "X-CSRFToken" not in preflight(VIEWER).headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    "path", ["studies/{}", "studies/{}/series/{}", "studies/{}/series/{}/instances/{}"]
)
@pytest.mark.parametrize("uid", ["1." * 5000 + "1", "1%20" * 3000])
def test_what_was_asked_for_is_shown_in_part(token, path, uid):
    headers = {"Authorization": f"Bearer {token}"}
    for method in ("get", "delete"):
        place = "/dicom-web/" + path.format(uid, uid, uid)
        answer = getattr(Client(), method)(place, headers=headers)
        assert answer.status_code == 404
        assert len(answer.content) < 800
    answer = Client().get("/dicom-web/" + path.format("1.2", "1.2", "1.2"), headers=headers)
    assert "…" not in answer.json()["error"]


def test_somebody_who_has_to_choose_a_password_is_told_so(db):
    client = Client()
    user = User.objects.create(username="a", role="administrator", must_change_password=True)
    client.force_login(user)
    answer = client.get("/dicom-web/studies")
    assert (answer.status_code, answer.json()["hint"][:4]) == (403, "open")


def preflight(origin: str) -> Any:
    return Client().options(
        "/dicom-web/studies",
        headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
    )


def test_no_other_origin_may_ask_unless_it_is_named(db, web_settings):
    assert "Access-Control-Allow-Origin" not in preflight(VIEWER).headers
    web_settings(cors_origins=[VIEWER + "/"])
    allowed = preflight(VIEWER)
    assert allowed.status_code == 204
    assert allowed.headers["Access-Control-Allow-Origin"] == VIEWER
    assert allowed.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Authorization" in allowed.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Origin" not in preflight("https://viewer.example.evil").headers


def test_a_page_of_a_named_origin_reads_why_it_was_refused(db, web_settings):
    web_settings(cors_origins=[VIEWER])
    answer = Client().get("/dicom-web/studies", headers={"Origin": VIEWER})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == VIEWER
    bad = {"Origin": VIEWER, "Authorization": "Bearer x"}
    assert Client().get("/dicom-web/studies", headers=bad).headers["Access-Control-Allow-Origin"]
    assert "Access-Control-Allow-Origin" not in Client().get("/sign-in/", headers=bad).headers


def test_any_origin_never_has_credentials(db, web_settings):
    web_settings(cors_origins=["*"])
    headers = preflight("https://anybody.example").headers
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize("origin", ["viewer.example", "https://a.example/path", "ftp://a", ""])
def test_what_is_no_origin_is_no_setting(web_settings, origin):
    with pytest.raises(ValueError, match="is no origin"):
        web_settings(cors_origins=[origin])


def test_capabilities_come_as_json_and_as_wadl(client):
    said = client.get("/dicom-web/").json()
    places = {each["path"] for each in said["resources"]}
    assert "/studies/{study}/series/{series}/metadata" in places
    assert {"keyword": "PatientID", "tag": "00100020", "vr": "LO"} in said["searchable"]["STUDY"]
    wadl = client.options("/dicom-web/", headers={"Accept": "application/vnd.sun.wadl+xml"})
    assert ET.fromstring(wadl.content).tag == "{http://wadl.dev.java.net/2009/02}application"


def test_every_address_is_among_the_capabilities(client):
    from django.urls import get_resolver

    from isocenter.apps.dicomweb import urls
    from isocenter.apps.dicomweb.capabilities import RESOURCES

    assert get_resolver()
    said = {(method, path.replace("{", "<").replace("}", ">")) for method, path, *_ in RESOURCES}
    names = {"uid:study_uid": "study", "uid:series_uid": "series", "uid:sop_uid": "instance"}
    names |= {"str:frames": "frames", "path:place": "place", "str:code": "code"}
    served = set()
    for pattern in urls.urlpatterns[1:-1]:
        path = "/" + str(pattern.pattern)
        for ours, theirs in names.items():
            path = path.replace(f"<{ours}>", f"<{theirs}>")
        served |= {(method, path) for method in pattern.callback.required_rights}
    assert served == said


def test_a_method_that_is_not_there_is_named(client):
    answer = client.put("/dicom-web/studies/1.2.3")
    assert (answer.status_code, answer.headers["Allow"]) == (
        405,
        "GET, POST, DELETE, HEAD, OPTIONS",
    )
    assert json.loads(answer.content)["error"] == "no PUT here"
    assert client.get("/dicom-web/no/such").status_code == 404


@pytest.mark.parametrize(
    ("public", "host", "headers", "expected"),
    [
        (None, "pacs:8080", {}, "http://pacs:8080"),
        (None, "127.0.0.1", {"SERVER_PORT": "8080"}, "http://127.0.0.1:8080"),
        (None, "[::1]", {"SERVER_PORT": "8080"}, "http://[::1]:8080"),
        (None, "pacs", {"SERVER_PORT": "8080", "HTTP_X_FORWARDED_FOR": "10.0.0.1"}, "http://pacs"),
        ("https://pacs.example", "pacs.example", {}, "https://pacs.example"),
        ("https://pacs.example:8443/", "x", {"HTTP_VIA": "1.1 p"}, "https://pacs.example:8443"),
        ("https://pacs.example", "10.0.0.1:8080", {}, "http://10.0.0.1:8080"),
    ],
)
def test_addresses_are_those_that_a_client_can_reach(
    db, settings, web_settings, public, host, headers, expected
):
    settings.ALLOWED_HOSTS = ["*"]
    web_settings(public_url=public)
    request = RequestFactory().get("/", HTTP_HOST=host, **headers)
    assert base_url(request) == f"{expected}/dicom-web"


@pytest.mark.parametrize("place", ["/dicom-web/studies", "/wado"])
def test_a_host_that_is_not_ours_is_told_so_as_json(token, settings, place):
    settings.ALLOWED_HOSTS = ["pacs.example"]
    answer = Client(headers={"Host": "evil.example", "Authorization": f"Bearer {token}"}).get(place)
    assert answer.status_code == 400
    assert "Host" in answer.json()["error"]
