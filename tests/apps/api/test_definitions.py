"""Nodes, pipelines and routes through the API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from isocenter.apps.audit.models import Event
from isocenter.apps.routing.models import Route
from isocenter.apps.transfers.models import Node

Caller = Any

STEPS = [{"step": "contours", "with": {"formats": ["overlay"]}}, {"step": "deliver"}]


def test_a_node_lives(admin: Caller, tmp_path: Path) -> None:
    folder = {"kind": "folder", "folder": str(tmp_path / "out")}
    answer = admin.post("nodes", folder | {"name": "out", "rate_mb_s": 5})
    assert answer.status_code == 201
    assert answer.json()["health"] == "unknown"
    again = admin.post("nodes", folder | {"name": "out"})
    assert again.status_code == 422
    assert again.json()["problems"][0]["path"] == "name"
    tested = admin.post("nodes/out/test").json()
    assert tested["ok"]
    assert admin.get("nodes/out").json()["health"] == "ok"
    assert admin.put("nodes/out", folder | {"enabled": False}).json()["rate_mb_s"] is None
    assert [row["enabled"] for row in admin.get("nodes").json()["items"]] == [False]
    assert admin.delete("nodes/out").status_code == 204
    assert admin.delete("nodes/out").status_code == 404
    actors = set(Event.objects.filter(kind="NODE_CHANGED").values_list("actor", flat=True))
    assert actors == {"a-administrator"}


def test_what_is_wrong_with_a_node_is_said_by_field(admin: Caller) -> None:
    answer = admin.post("nodes", {"name": "x", "kind": "dimse", "ae_title": "A\\B", "port": 0})
    assert answer.status_code == 422
    problems = {item["path"]: item["error"] for item in answer.json()["problems"]}
    assert set(problems) == {"ae_title", "host", "port"}
    assert not Node.objects.exists()


def test_a_node_that_a_route_names_stays(admin: Caller, tmp_path: Path) -> None:
    admin.post("nodes", {"name": "out", "kind": "folder", "folder": str(tmp_path)})
    admin.post("pipelines", {"name": "p", "steps": STEPS})
    made = admin.post("routes", {"name": "r", "pipeline": "p", "destinations": ["out"]})
    assert made.status_code == 201, made.content
    answer = admin.delete("nodes/out")
    assert answer.status_code == 422
    assert "destination of r" in answer.json()["error"]


def test_a_pipeline_says_where_it_is_wrong(admin: Caller) -> None:
    steps = [{"step": "contours", "with": {"formatz": ["overlay"]}}, {"step": "fly"}]
    answer = admin.post("pipelines", {"name": "p", "steps": steps})
    assert answer.status_code == 422
    problems = {item["path"]: item for item in answer.json()["problems"]}
    assert set(problems) == {"steps[0].with.formatz", "steps[1].step"}
    assert problems["steps[0].with.formatz"]["hint"] == "did you mean formats?"
    assert admin.get("pipelines/p").status_code == 404
    assert admin.post("pipelines", {"name": "p", "steps": STEPS}).status_code == 201
    again = admin.post("pipelines", {"name": "p", "steps": STEPS})
    assert again.json()["problems"][0]["path"] == "name"
    changed = admin.put("pipelines/p", {"description": "d", "steps": STEPS}).json()
    assert changed["description"] == "d"
    assert admin.put("pipelines/q", {"steps": STEPS}).status_code == 404


def test_a_route_lives(admin: Caller, study_uid: str) -> None:
    route = {"pipeline": "rt-overlay", "destinations": ["return-to-sender"], "enabled": False}
    made = admin.post("routes", route | {"name": "ct", "condition": '"CT" in ModalitiesInStudy'})
    assert made.status_code == 201, made.content
    assert admin.post("routes", route | {"name": "ct"}).json()["problems"][0]["path"] == "name"
    wrong = admin.put("routes/ct", route | {"condition": "Modality = 1 and"})
    assert wrong.status_code == 422
    assert wrong.json()["problems"][0]["path"] == "condition"
    assert admin.post("routes/ct/enable").json()["enabled"]
    off = admin.post("routes/ct/disable", {"reason": "not now"}).json()
    assert (off["enabled"], off["disabled_reason"]) == (False, "not now")
    (match,) = admin.post("routing/test", {"routes": ["ct"], "studies": [study_uid]}).json()
    assert match["matched"]
    assert match["study_uid"] == study_uid
    assert admin.get("routes/ct").json()["steps"]


def test_yaml_goes_out_and_in(admin: Caller, caller: Callable[..., Caller]) -> None:
    text = admin.get("routing/export", name="rt-overlay").content.decode()
    assert "rt-overlay" in text
    assert admin.post("routing/check", text).json()["routes"] == ["rt-overlay"]
    changed = admin.post("routing/import", text.replace("priority: 0", "priority: 3")).json()
    assert {"kind": "route", "name": "rt-overlay", "change": "changed"} in changed
    assert Route.objects.get().priority == 3
    wrong = admin.post("routing/import", text.replace("pipeline:", "pipelin:"))
    assert wrong.status_code == 422
    assert wrong.json()["problems"]
    assert admin.post("routing/import", "{").status_code == 422


def test_nodes_in_a_file_need_their_own_right(caller: Callable[..., Caller]) -> None:
    text = "nodes: [{name: out, kind: folder, folder: /tmp/out}]"
    some = caller("administrator", scopes=["manage-routes"])
    assert some.post("routing/import", text).status_code == 403
    assert not Node.objects.exists()


def test_what_somebody_else_changed_is_not_written_over(admin: Caller) -> None:
    admin.post("pipelines", {"name": "p", "steps": STEPS})
    seen = admin.get("pipelines/p").json()["changed_at"]
    mine = {"steps": STEPS, "description": "mine", "changed_at": seen}
    assert admin.put("pipelines/p", mine).status_code == 200
    late = admin.put("pipelines/p", mine | {"description": "late"})
    assert late.status_code == 409
    assert admin.get("pipelines/p").json()["description"] == "mine"


def test_changes_are_kept_and_can_be_undone(admin: Caller) -> None:
    route = {"pipeline": "rt-overlay", "destinations": ["return-to-sender"]}
    admin.post("routes", route | {"name": "r", "priority": 1})
    admin.put("routes/r", route | {"priority": 2})
    assert admin.delete("pipelines/rt-overlay").status_code == 409
    assert admin.delete("routes/r").status_code == 204
    changes = admin.get("routing/changes", kind="route", name="r").json()["items"]
    assert [row["change"] for row in changes] == ["removed", "changed", "made"]
    assert changes[0]["actor"] == "a-administrator"
    assert "priority: 2" in changes[0]["before"]
    answer = admin.post(f"routing/changes/{changes[2]['number']}/restore")
    assert answer.json()["change"] == "made", answer.content
    assert admin.get("routes/r").json()["priority"] == 1
    assert admin.post("routing/changes/999999/restore").status_code == 404


def test_routes_are_put_in_order(admin: Caller) -> None:
    route = {"pipeline": "rt-overlay", "destinations": ["return-to-sender"]}
    for name in ("a", "b"):
        admin.post("routes", route | {"name": name})
    wanted = ["b", "rt-overlay", "a"]
    found = admin.put("routing/order", {"names": wanted}).json()["items"]
    assert [row["name"] for row in found] == wanted
    assert admin.put("routing/order", {"names": ["a"]}).status_code == 422


def test_a_condition_may_name_a_patient(admin: Caller, caller: Callable[..., Caller]) -> None:
    route = {"pipeline": "rt-overlay", "enabled": False, "condition": 'PatientID == "0815"'}
    admin.post("routes", route | {"name": "r"})
    for path in ("routes", "routes/r"):
        assert "0815" in caller("physician").get(path).content.decode()
        assert "0815" not in caller("researcher").get(path).content.decode()
