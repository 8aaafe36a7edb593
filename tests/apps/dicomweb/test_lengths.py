"""``Content-Length`` on the wire: what a GET would have, or nothing (RFC 9110 8.6)."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from http.client import HTTPMessage

import pytest
from django.db import connection

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
from isocenter.runtime.web.bodies import BoundedHandler
from stand.http_server import served

from .conftest import STUDY, image

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = f"/dicom-web/studies/{STUDY}"
INSTANCE = f"{ROOT}/series/{STUDY}.1/instances/{STUDY}.1.1"
AS_STORED = "application/dicom; transfer-syntax=*"
RLE = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.5'

Ask = Callable[..., tuple[int, HTTPMessage, bytes]]


@pytest.fixture
def ask(archived, monkeypatch) -> Iterator[Ask]:
    """Asks a server on a socket: ``ask("HEAD", path, Accept=…)``, over one connection."""
    # As the web server has it; else its threads keep the database of these tests open.
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    archived(image(1), image(2))
    user = User.objects.create(username="reader", role="administrator")
    token = create_token(user, ["all"]).text
    handler = BoundedHandler()
    with served(handler) as port:
        client = http.client.HTTPConnection("localhost", port, timeout=30)

        def asked(method: str, path: str, **headers: str) -> tuple[int, HTTPMessage, bytes]:
            more = {name.replace("_", "-"): value for name, value in headers.items()}
            client.request(method, path, headers={"Authorization": f"Bearer {token}", **more})
            answer = client.getresponse()
            return answer.status, answer.headers, answer.read()

        yield asked
        client.close()


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (ROOT, 'multipart/related; type="application/dicom"; transfer-syntax=*'),
        (ROOT, RLE),
        (ROOT, "application/zip"),
        (f"{ROOT}/metadata", "application/dicom+json"),
        (f"{ROOT}/metadata", 'multipart/related; type="application/dicom+xml"'),
        (f"{ROOT}/rendered", 'multipart/related; type="image/png"'),
        (INSTANCE, AS_STORED),
        ("/dicom-web/studies", "application/dicom+json"),
    ],
)
def test_head_has_the_length_of_get_or_none(ask, path, accept):
    status, head, _ = ask("HEAD", path, Accept=accept)
    assert status == 200
    again, got, body = ask("GET", path, Accept=accept)
    assert (again, bool(body)) == (200, True)
    assert head["Content-Length"] in (None, got["Content-Length"])
    assert head["Content-Type"].split(";")[0] == got["Content-Type"].split(";")[0]


@pytest.mark.parametrize(
    ("path", "accept"),
    [(INSTANCE, AS_STORED), (ROOT, RLE), (f"{ROOT}/metadata", "application/dicom+json")],
)
def test_a_304_claims_no_length(ask, path, accept):
    _, got, _ = ask("GET", path, Accept=accept)
    status, headers, body = ask("GET", path, Accept=accept, If_None_Match=got["ETag"])
    assert (status, body) == (304, b"")
    assert headers["Content-Length"] is None
    assert ask("GET", path, Accept=accept)[0] == 200  # the connection goes on


def test_a_204_has_no_length(ask):
    for method, path in (("GET", "/dicom-web/studies?PatientID=nobody"), ("OPTIONS", ROOT)):
        status, headers, _ = ask(method, path)
        assert status == 204
        assert headers["Content-Length"] is None
    assert ask("GET", "/dicom-web/studies")[0] == 200


def test_an_error_has_its_length(ask):
    status, headers, body = ask("GET", f"{ROOT}.404/metadata")
    assert (status, headers["Content-Length"]) == (404, str(len(body)))


@pytest.mark.parametrize("path", ["/", "/api/v1/studies", "/dicom-web/studies", "/health/ready"])
def test_who_asks_for_another_server_is_told_so_with_a_length(ask, path):
    status, headers, body = ask("GET", path, Host="elsewhere.example")
    assert status == 400
    assert headers["Transfer-Encoding"] is None
    assert headers["Content-Length"] == str(len(body))
    _, head, nothing = ask("HEAD", path, Host="elsewhere.example")
    assert (head["Content-Length"], nothing) == (str(len(body)), b"")
