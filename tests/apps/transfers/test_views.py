"""Pages of the nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from isocenter.apps.audit.models import Event
from isocenter.apps.routing.models import Pipeline, Route
from isocenter.apps.transfers.models import Node, NodeHealth

pytestmark = pytest.mark.django_db

GOOD = {
    "name": "pacs",
    "kind": "dimse",
    "enabled": "on",
    "ae_title": "PACS",
    "host": "pacs.example",
    "port": "11112",
    "max_associations": "4",
    "rate_mb_s": "12.5",
    "tls_verify": "on",
}


def test_the_list_says_what_a_node_may_ask(staff: Client, tmp_path: Path) -> None:
    name = "a-name-that-is-long-as-names-of-wards-are"
    Node.objects.create(name=name, kind="dimse", ae_title="A", host="a", port=1, allows=["query"])
    Node.objects.create(name="shy", kind="dimse", ae_title="B", host="b", port=1, allows=[])
    Node.objects.create(name="out", kind="folder", folder=str(tmp_path))
    rows = staff.get("/nodes/").content.decode().split('<tr id="node-')
    found = {row.split('"')[0]: row for row in rows[1:]}
    assert '<span class="badge bg-secondary-lt me-1">query</span>' in found[name]
    assert "nothing" in found["shy"]
    assert "nothing" not in found["out"]
    assert f'class="text-nowrap" title="{name}"' in found[name]


def test_an_empty_list_says_what_a_node_is(staff: Client) -> None:
    page = staff.get("/nodes/").content.decode()
    assert "No nodes yet" in page
    assert "/nodes/new/" in page


def test_a_node_is_made_and_changed_and_both_are_events(staff: Client) -> None:
    answer = staff.post("/nodes/new/", GOOD)
    assert answer.headers["Location"] == "/nodes/pacs/"
    node = Node.objects.get(name="pacs")
    assert (node.port, node.max_associations, node.rate_mb_s, node.enabled, node.tls) == (
        11112,
        4,
        12.5,
        True,
        {},
    )
    assert "PACS" in staff.get("/nodes/").content.decode()
    staff.post("/nodes/pacs/", GOOD | {"port": "104", "name": "other"})
    assert Node.objects.get().port == 104
    events = list(Event.objects.filter(kind="NODE_CHANGED").order_by("pk"))
    assert [event.detail["change"] for event in events] == ["made", "changed"]
    assert events[1].detail["values"] == {"port": 104}
    assert events[1].actor == "a-staff"


def test_what_is_wrong_stands_at_its_field(staff: Client) -> None:
    answer = staff.post("/nodes/new/", GOOD | {"ae_title": "A\\B", "port": "99999", "host": ""})
    assert answer.status_code == 200
    errors = answer.context["form"].errors
    assert set(errors) == {"ae_title", "port", "host"}
    assert "backslash" in answer.content.decode()
    assert not Node.objects.exists()


def test_an_empty_form_says_what_is_needed(staff: Client) -> None:
    for kind, needed in (("dimse", "host"), ("dicomweb", "url"), ("folder", "folder")):
        answer = staff.post("/nodes/new/", {"kind": kind})
        assert answer.status_code == 200
        errors = answer.context["form"].errors
        assert {"name", "max_associations", needed} <= set(errors)
        assert errors["name"] == ["This field is required."]


def test_the_test_is_named_by_what_was_asked(staff: Client) -> None:
    node = Node.objects.create(name="web", kind="dicomweb", url="https://pacs.example/dicom-web")
    NodeHealth.objects.create(
        node=node, checked_at=timezone.now(), since=timezone.now(), is_ok=True, took_ms=3
    )
    page = staff.get("/nodes/web/").content.decode()
    assert "Search for one study" in page
    assert "C-ECHO</div>" not in page
    assert "what is kept stays" in page
    assert "what is kept stays" not in staff.get("/nodes/new/").content.decode()


def test_spaces_of_an_ae_title_are_kept(staff: Client) -> None:
    staff.post("/nodes/new/", GOOD | {"ae_title": " PACS"})
    assert Node.objects.get().ae_title == " PACS"


def test_a_name_is_taken_once(staff: Client, folder_node: Node) -> None:
    answer = staff.post("/nodes/new/", GOOD | {"name": "OUT"})
    assert "There is a node OUT already." in answer.context["form"].errors["name"]


def test_a_folder_keeps_nothing_of_a_dicom_system(staff: Client, tmp_path: Path) -> None:
    staff.post("/nodes/new/", GOOD | {"kind": "folder", "folder": str(tmp_path), "tls": "on"})
    node = Node.objects.get()
    assert (node.folder, node.host, node.port, node.tls) == (str(tmp_path), "", None, {})


def test_the_test_button_answers_in_place(staff: Client, folder_node: Node) -> None:
    answer = staff.post("/nodes/out/test/", headers={"HX-Request": "true"})
    text = answer.content.decode()
    assert "can be written" in text
    assert "<html" not in text
    assert NodeHealth.objects.get().is_ok
    row = staff.post("/nodes/out/test/", {"place": "row"}, headers={"HX-Request": "true"})
    assert row.content.decode().lstrip().startswith("<tr")
    assert staff.post("/nodes/out/test/").headers["Location"] == "/nodes/out/"


def test_a_node_that_a_route_names_is_not_removed(staff: Client, folder_node: Node) -> None:
    pipeline = Pipeline.objects.create(name="p", steps=[])
    route = Route.objects.create(name="to-out", pipeline=pipeline, destinations=["out"])
    page = staff.post("/nodes/out/remove/", follow=True).content.decode()
    assert "to-out" in page
    assert Node.objects.exists()
    route.delete()
    staff.post("/nodes/out/remove/")
    assert not Node.objects.exists()


def test_the_list_can_be_had_without_its_frame(staff: Client, folder_node: Node) -> None:
    text = staff.get("/nodes/?part=1").content.decode()
    assert "out" in text
    assert "<html" not in text


@pytest.mark.parametrize("role", ["student", "physician", "researcher", "service"])
def test_nodes_are_for_those_who_manage_them(
    client_as: Callable[[str], Client], folder_node: Node, role: str
) -> None:
    client = client_as(role)
    for path in ("/nodes/", "/nodes/new/", "/nodes/out/"):
        assert client.get(path).status_code == 403
    for path in ("/nodes/out/", "/nodes/out/test/", "/nodes/out/remove/"):
        assert client.post(path).status_code == 403
    assert Node.objects.exists()


def test_a_node_that_is_not_there(staff: Client) -> None:
    assert staff.get("/nodes/nothing/").status_code == 404
