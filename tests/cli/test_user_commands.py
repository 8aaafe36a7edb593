"""The commands around people: what they print, in tables and as JSON, and how they fail."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.queries import person
from isocenter.apps.accounts.services import first_administrator, principal_of_token
from isocenter.apps.audit.models import Event
from isocenter.apps.transfers.models import Node

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def as_json(cli):
    """Runs a command with ``--json`` and reads what it prints."""

    def run(*arguments: str, stdin: str = ""):
        code, out, err = cli(*arguments, "--json", stdin=stdin)
        assert code == 0, err
        return json.loads(out)

    return run


def test_a_token_of_the_first_administrator(as_json):
    first_administrator()
    made = as_json("token", "create", "--user", "admin", "--scope", "all")
    assert set(made) == {"token", "prefix", "user", "name", "scopes", "expires_at"}
    assert made["token"].startswith(made["prefix"])
    assert made["scopes"] == ["all"]
    assert principal_of_token(made["token"]).role == "administrator"


def test_tokens_are_made_with_an_end_listed_and_revoked(cli, as_json):
    as_json("user", "create", "robot", "--role", "service")
    scopes = ("--scope", "upload", "--scope", "view")
    made = as_json("token", "create", "--user", "robot", *scopes, "--days", "3", "--name", "x")
    ends = datetime.fromisoformat(made["expires_at"])
    assert timedelta(days=2) < ends - timezone.now() < timedelta(days=4)
    forever = as_json("token", "create", "--user", "robot", "--scope", "view", "--forever")
    assert forever["expires_at"] is None
    rows = as_json("token", "list", "--user", "robot")
    assert [row["prefix"] for row in rows] == [forever["prefix"], made["prefix"]]
    assert "token" not in rows[0]
    assert as_json("token", "revoke", made["prefix"])["state"] == "revoked"
    assert principal_of_token(made["token"]) is None
    assert made["prefix"] in cli("token", "list")[1]
    assert cli("token", "create", "--user", "robot", "--scope", "fly")[0] == 1
    assert cli("token", "create", "--user", "nobody", "--scope", "all")[0] == 1
    assert cli("token", "revoke", "iso_nothing")[0] == 1
    wrong = ("--days", "3", "--forever")
    assert cli("token", "create", "--user", "robot", "--scope", "view", *wrong)[0] == 2


def test_people_from_first_to_last(cli, as_json):
    made = as_json("user", "create", "anna", "--role", "physician", "--full-name", "Anna A")
    assert person("anna").check_password(made["password"])
    code, out, _ = cli("user", "create", "bert")
    assert code == 0
    assert "shown this once" in out
    assert as_json("user", "change", "anna", "--role", "staff")["role"] == "staff"
    assert as_json("user", "disable", "anna")["state"] == "disabled"
    assert [row["name"] for row in as_json("user", "list", "--state", "disabled")] == ["anna"]
    assert as_json("user", "enable", "anna")["state"] == "active"
    assert as_json("user", "show", "anna")["full_name"] == "Anna A"
    assert "Anna A" in cli("user", "list", "ann")[1]
    given = as_json("user", "password", "anna")
    assert person("anna").check_password(given["password"])
    assert set(Event.objects.values_list("actor", flat=True)) == {"cli"}


def test_passwords_from_standard_input_are_not_printed(cli):
    code, out, _ = cli("user", "create", "anna", "--stdin", stdin="three brown bears\n")
    assert code == 0
    assert "bears" not in out
    code, out, _ = cli("user", "password", "anna", "--stdin", stdin="four brown bears\r\n")
    assert person("anna").check_password("four brown bears")
    assert "bears" not in out
    code, _, err = cli("user", "password", "anna", "--stdin", stdin="short\n")
    assert code == 1
    assert "too short" in err


def test_people_who_registered_are_approved(as_json):
    User.objects.create(username="dora", is_approved=False)
    assert as_json("user", "list", "--state", "waiting")[0]["name"] == "dora"
    approved = as_json("user", "approve", "dora", "--role", "researcher")
    assert (approved["state"], approved["role"]) == ("active", "researcher")


def test_groups_from_first_to_last(cli, as_json):
    as_json("user", "create", "anna")
    Node.objects.create(name="pacs", kind="dimse")
    as_json("group", "create", "trial", "--right", "download", "--description", "d")
    as_json("group", "add", "trial", "anna")
    group = as_json("group", "grant", "trial", "pacs", "--destination")
    assert group["members"] == ["anna"]
    assert group["nodes"] == [{"node": "pacs", "source": False, "destination": True}]
    assert as_json("group", "change", "trial", "--no-rights", "--new-name", "t2")["rights"] == []
    assert as_json("group", "grant", "t2", "pacs", "--none")["nodes"] == []
    assert as_json("group", "remove", "t2", "anna")["members"] == []
    assert "t2" in cli("group", "list")[1]
    assert cli("group", "grant", "t2", "pacs")[0] == 2
    assert cli("group", "change", "t2")[0] == 2
    assert cli("group", "delete", "t2")[0] == 0
    assert as_json("group", "list") == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("create", "anna", "--role", "boss"), 1),
        (("create", "two words"), 1),
        (("change", "nobody", "--role", "staff"), 1),
        (("change", "nobody"), 2),
        (("password", "nobody"), 1),
        (("list", "--state", "sleepy"), 2),
    ],
)
def test_what_cannot_be_done_says_why(cli, arguments, code):
    found, out, err = cli("user", *arguments)
    assert found == code
    assert err
    assert "Traceback" not in out + err
