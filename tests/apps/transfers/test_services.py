"""Nodes as they are kept: rights, credentials, what the audit says of them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from isocenter.apps.audit.queries import events
from isocenter.apps.deid.services import rotate_key
from isocenter.apps.transfers.models import Node
from isocenter.apps.transfers.queries import credentials_of, node_row
from isocenter.apps.transfers.services import NodeProblems, save_node, set_node

pytestmark = pytest.mark.django_db(transaction=True)

DIMSE = {"kind": "dimse", "ae_title": "PACS", "host": "10.0.0.5", "port": 104}
WEB = {"kind": "dicomweb", "url": "https://pacs.example/dicom-web", "username": "isocenter"}
PASSWORD = "correct horse"


def secret_of(name: str) -> str | None:
    credentials = credentials_of(Node.objects.get(name=name))
    return credentials and credentials.secret


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, ["store"]),
        ({"allows": None}, ["store"]),
        ({"allows": []}, []),
        ({"allows": ["commit", "query", "commit"]}, ["query", "commit"]),
        ({"kind": "folder", "allows": ["store"]}, []),
    ],
)
def test_rights_are_kept_in_order_and_once(given: dict[str, Any], kept: list[str]) -> None:
    node, _ = save_node("pacs", {**DIMSE, **given})
    assert node.allows == kept


def test_a_secret_is_sealed_and_in_no_row_and_no_event() -> None:
    node, _ = save_node("cloud", {**WEB, "secret": PASSWORD})
    assert PASSWORD not in node.secret
    assert secret_of("cloud") == PASSWORD
    row = node_row(node)
    assert row["has_secret"]
    assert PASSWORD not in str(row)
    event = next(event for event in events() if event.kind == "NODE_CHANGED")
    assert event.detail["values"]["secret"] == "changed"
    assert PASSWORD not in str(event.detail)
    assert node.secret not in str(event.detail)


def test_a_secret_stays_until_it_is_changed_or_taken_away() -> None:
    save_node("cloud", {**WEB, "secret": PASSWORD})
    save_node("cloud", {**WEB, "max_associations": 3})
    assert secret_of("cloud") == PASSWORD
    save_node("cloud", {**WEB, "secret": "another"})
    assert secret_of("cloud") == "another"
    save_node("cloud", {**WEB, "secret": ""})
    assert secret_of("cloud") is None


@pytest.mark.parametrize("url", ["https://elsewhere.example/dicom-web", "http://pacs.example/"])
def test_a_secret_is_not_sent_to_another_address(url: str) -> None:
    """Who may change nodes cannot have it told to a server of their own."""
    save_node("cloud", {**WEB, "secret": PASSWORD})
    save_node("cloud", {**WEB, "url": "https://PACS.example/other"})
    assert secret_of("cloud") == PASSWORD
    save_node("cloud", {**WEB, "url": url})
    assert secret_of("cloud") is None


def test_new_keys_seal_secrets_of_nodes_too() -> None:
    save_node("cloud", {**WEB, "secret": PASSWORD})
    before = Node.objects.get(name="cloud").secret
    rotate_key(actor="somebody")
    assert Node.objects.get(name="cloud").secret != before
    assert secret_of("cloud") == PASSWORD


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({**DIMSE, "allows": ["everything"]}, "allows"),
        ({**DIMSE, "demands": "password"}, "demands"),
        ({**DIMSE, "demands": "tls"}, "demands"),  # our receiver talks none
        ({**WEB, "wants_commitment": True}, "wants_commitment"),
        ({**WEB, "url": ""}, "url"),
        ({**WEB, "url": "ftp://pacs.example"}, "url"),
        ({**WEB, "url": "https://user:word@pacs.example"}, "url"),
        ({**WEB, "url": "https://pacs.example/dicom-web?x=1"}, "url"),
        ({**WEB, "url": "https://pacs.example:99999/"}, "url"),
        ({**WEB, "url": "https://[::1/"}, "url"),
        ({**WEB, "url": "https://pacs example/"}, "url"),
        ({**WEB, "username": "a:b"}, "username"),
        ({**WEB, "secret": "two\nlines"}, "secret"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(values: dict[str, Any], field: str) -> None:
    with pytest.raises(NodeProblems) as found:
        set_node("it", values, is_new=True)
    assert field in found.value.problems


def test_the_form_keeps_what_each_kind_has(staff: Client) -> None:
    form = {
        **{"name": "cloud", "kind": "dicomweb", "enabled": "on", "max_associations": "2"},
        **{"url": WEB["url"], "username": "isocenter", "secret": PASSWORD},
        **{"tls_verify": "on", "allows": ["store"], "wants_commitment": "on", "host": "10.0.0.5"},
    }
    assert staff.post("/nodes/new/", form).status_code == 302
    node = Node.objects.get(name="cloud")
    assert (node.kind, node.host, node.allows, node.wants_commitment) == ("dicomweb", "", [], False)
    assert node.tls["verify"]
    assert secret_of("cloud") == PASSWORD
    page = staff.get("/nodes/cloud/").content.decode()
    assert PASSWORD not in page
    assert node.secret not in page
    del form["secret"]
    assert staff.post("/nodes/cloud/", form).status_code == 302
    assert secret_of("cloud") == PASSWORD
    assert staff.post("/nodes/cloud/", {**form, "drop_secret": "on"}).status_code == 302
    assert secret_of("cloud") is None


def test_rights_are_given_on_the_page(staff: Client) -> None:
    form = {**DIMSE, "name": "pacs", "enabled": "on", "max_associations": "2", "demands": ""}
    answer = staff.post(
        "/nodes/new/", {**form, "allows": ["query", "retrieve"], "wants_commitment": "on"}
    )
    assert answer.status_code == 302
    node = Node.objects.get(name="pacs")
    assert (node.allows, node.wants_commitment) == (["query", "retrieve"], True)
    staff.post("/nodes/pacs/", form)
    node.refresh_from_db()
    assert (node.allows, node.wants_commitment) == ([], False)
