"""People, groups, tokens and one's own account through the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isocenter.apps.accounts.models import User
from isocenter.apps.transfers.models import Node

Caller = Any
PASSWORD = "correct-Horse-battery-9"


def test_a_person_lives(admin: Caller) -> None:
    made = admin.post("people", {"name": "ana", "role": "physician", "full_name": "Ana"})
    assert made.status_code == 201, made.content
    assert len(made.json()["password"]) > 12
    again = admin.post("people", {"name": "ANA"})
    assert again.status_code == 422
    assert admin.call("PATCH", "people/ana", {"role": "staff"}).json()["role"] == "staff"
    assert admin.post("people/ana/disable").json()["state"] == "disabled"
    assert admin.post("people/ana/enable").json()["state"] == "active"
    weak = admin.post("people/ana/password", {"password": "short"})
    assert weak.status_code == 422
    assert weak.json()["problems"]
    assert admin.post("people/ana/password").json()["password"]
    assert [row["name"] for row in admin.get("people", text="ana").json()["items"]] == ["ana"]
    assert admin.get("people", role="nothing").status_code == 422
    last = admin.call("PATCH", "people/a-administrator", {"role": "student"})
    assert last.status_code == 422


def test_a_group_lives(admin: Caller, caller: Callable[..., Caller]) -> None:
    caller("researcher")
    Node.objects.create(name="pacs", kind="folder", folder="/tmp/x")
    assert admin.post("groups", {"name": "RT team", "rights": ["run"]}).status_code == 201
    assert admin.post("groups", {"name": "x", "rights": ["fly"]}).status_code == 422
    group = admin.put("groups/RT team/members/a-researcher").json()
    assert group["members"] == ["a-researcher"]
    group = admin.put("groups/RT team/nodes/pacs", {"destination": True}).json()
    assert group["nodes"] == [{"node": "pacs", "source": False, "destination": True}]
    assert caller("researcher").get("account").json()["destinations"] == ["pacs"]
    changed = admin.call("PATCH", "groups/RT team", {"description": "d"}).json()
    assert (changed["description"], changed["rights"]) == ("d", ["run"])
    assert admin.delete("groups/RT team/members/a-researcher").json()["members"] == []
    assert admin.delete("groups/RT team").status_code == 204
    assert admin.get("groups").json()["items"] == []


def test_tokens_of_a_service(admin: Caller, caller: Callable[..., Caller]) -> None:
    admin.post("people", {"name": "robot", "role": "service"})
    made = admin.post("tokens", {"user": "robot", "scopes": ["read"], "name": "nightly"}).json()
    robot = caller("")
    robot.token = made["token"]
    assert robot.get("studies").status_code == 200
    assert robot.get("account").json()["name"] == "robot"
    rows = admin.get("tokens", user="robot").json()["items"]
    assert [row["prefix"] for row in rows] == [made["prefix"]]
    assert "token" not in rows[0]
    assert admin.delete(f"tokens/{made['prefix']}").json()["state"] == "revoked"
    assert robot.get("studies").status_code == 401
    caller("physician")
    assert admin.post("tokens", {"user": "a-physician", "scopes": ["all"]}).status_code == 403


def test_ones_own_account(caller: Callable[..., Caller]) -> None:
    somebody = caller("student")
    found = somebody.get("account").json()
    assert (found["name"], found["rights"]) == ("a-student", ["view"])
    assert found["token"] == somebody.token[:12]
    made = somebody.post("account/tokens", {"scopes": ["view"], "name": "second"}).json()
    assert made["token"].startswith("iso_")
    assert len(somebody.get("account/tokens").json()["items"]) == 2
    assert somebody.delete(f"account/tokens/{made['prefix']}").json()["state"] == "revoked"
    assert somebody.put("account/group", {"group": "none"}).status_code == 422
    assert somebody.get("account/sessions").json()["items"] == []
    assert somebody.delete("account/sessions/nothing").status_code == 404


def test_the_present_password_is_not_guessed(caller: Callable[..., Caller]) -> None:
    somebody = caller("student")
    user = User.objects.get(username="a-student")
    user.set_password(PASSWORD)
    user.save()
    guesses = [
        somebody.post("account/password", {"old": f"guess {n}", "new": PASSWORD + "x"})
        for n in range(6)
    ]
    assert [answer.status_code for answer in guesses] == [422] * 5 + [429]
    assert 0 < int(guesses[-1].headers["Retry-After"]) <= 15 * 60
    assert somebody.post("account/password", {"old": PASSWORD, "new": "x"}).status_code == 429


def test_a_narrow_token_changes_nothing_about_its_owner(caller: Callable[..., Caller]) -> None:
    """Only revoke itself: what a program was given for one thing is no way into the account."""
    whole = caller("administrator")
    narrow = caller("administrator", scopes=["read", "manage-people", "run"])
    for method, path, body in (
        ("POST", "account/password", {"old": PASSWORD, "new": PASSWORD + "x"}),
        ("PUT", "account/group", {"group": ""}),
        ("POST", "account/tokens", {"scopes": ["view"], "name": "more"}),
        ("DELETE", f"account/tokens/{whole.token[:12]}", None),
        ("DELETE", f"tokens/{whole.token[:12]}", None),
        ("DELETE", "account/sessions/nothing", None),
    ):
        answer = narrow.call(method, path, body)
        assert answer.status_code == 403, path
        assert "scope all" in answer.json()["error"]
    assert narrow.get("account/tokens").status_code == 200
    assert narrow.delete(f"account/tokens/{narrow.token[:12]}").json()["state"] == "revoked"
    assert narrow.get("account").status_code == 401
    assert whole.get("account").status_code == 200


def test_a_token_makes_none_that_may_more(caller: Callable[..., Caller]) -> None:
    somebody = caller("administrator", scopes=["view"])
    assert somebody.post("account/tokens", {"scopes": ["all"]}).status_code == 403
