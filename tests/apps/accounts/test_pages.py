"""The pages of people, as a browser gets them."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from isocenter.apps.accounts.models import Group, Token, User
from isocenter.apps.audit.models import Event
from isocenter.apps.transfers.models import Node

PASSWORD = "correct-horse-battery"  # of everybody that the fixture `person` makes

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(person, browser) -> Client:
    person("root", "administrator")
    return browser("root")


def text(answer) -> str:
    return answer.content.decode()


def kinds() -> list[str]:
    return list(Event.objects.order_by("id").values_list("kind", flat=True))


def test_sign_in_page_has_no_navigation_and_leads_to_the_wanted_page(person):
    person("anna")
    client = Client()
    page = client.get("/sign-in/?next=/account/%23tokens")
    assert "<nav" not in text(page)
    answer = client.post(
        "/sign-in/", {"username": "Anna", "password": PASSWORD, "next": "/account/#tokens"}
    )
    assert answer.headers["Location"] == "/account/#tokens"
    assert "Tokens" in text(client.get("/account/"))


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:/x",
    ],
)
def test_sign_in_never_leads_elsewhere(person, target):
    person("anna")
    given = {"username": "anna", "password": PASSWORD, "next": target}
    answer = Client().post("/sign-in/", given)
    assert answer.headers["Location"] == "/"


def test_wrong_password_says_the_same_for_everybody(person):
    person("anna")
    known = Client().post("/sign-in/", {"username": "anna", "password": "wrong"})
    nobody = Client().post("/sign-in/", {"username": "bert", "password": "wrong"})
    assert known.status_code == nobody.status_code == 200
    assert "Name or password is wrong" in text(known)
    cleaned = [
        re.sub(r'value="[^"]*"|content="[^"]*"', "", text(answer)) for answer in (known, nobody)
    ]
    assert cleaned[0] == cleaned[1]


def test_sign_out_ends_the_session_and_takes_a_post(person, browser):
    person("anna")
    client = browser("anna")
    assert client.get("/sign-out/").status_code == 405
    client.post("/sign-out/")
    assert client.get("/account/").status_code == 302
    assert kinds()[-2:] == ["SIGNED_IN", "SIGNED_OUT"]


def test_first_password_has_to_be_changed_before_anything_else(admin):
    page = text(admin.post("/people/new/", {"username": "carla", "role": "physician"}))
    first = re.search(r'id="secret" value="([^"]+)"', page)[1]
    assert "shown this once" in page
    client = Client()
    client.post("/sign-in/", {"username": "carla", "password": first})
    answer = client.get("/people/?q=a")
    assert answer.headers["Location"] == "/account/password/?next=%2Fpeople%2F%3Fq%3Da"
    assert client.get("/api/v1/studies").status_code == 403
    htmx = client.get("/account/", headers={"HX-Request": "true"})
    assert (htmx.status_code, htmx.headers["HX-Redirect"]) == (204, "/account/password/")
    weak = client.post("/account/password/", {"old": first, "new": "carla", "again": "carla"})
    assert "too short" in text(weak)
    same = client.post("/account/password/", {"old": first, "new": first, "again": first})
    assert "present password" in text(same)
    given = {"old": first, "new": "my own long words", "again": "my own long words"}
    done = client.post("/account/password/", {**given, "next": "/account/"})
    assert done.headers["Location"] == "/account/"
    assert client.get("/account/").status_code == 200


def test_people_are_found_changed_disabled_and_enabled(admin, person, browser):
    user = person("anna", "student", full_name="山田 花子")
    client = browser("anna")
    assert "山田 花子" in text(admin.get("/people/?q=山田"))
    assert "anna" not in text(admin.get("/people/?q=山田&role=staff")).split("<table")[-1]
    admin.post("/people/anna/", {"full_name": "Anna", "email": "a@b.example", "role": "staff"})
    user.refresh_from_db()
    assert (user.full_name, user.email, user.role) == ("Anna", "a@b.example", "staff")
    admin.post("/people/anna/active/", {"active": "no"})
    assert client.get("/account/").status_code == 302
    assert "disabled" in text(admin.get("/people/anna/"))
    admin.post("/people/anna/active/", {"active": "yes"})
    assert browser("anna").get("/account/").status_code == 200


def test_wrong_values_are_shown_where_they_were_typed(admin):
    page = text(admin.post("/people/new/", {"username": "no name", "role": "student"}))
    assert "cannot be a name" in page
    assert "is taken" in text(admin.post("/people/new/", {"username": "ROOT", "role": "student"}))
    last = admin.post("/people/root/", {"role": "staff"})
    assert "only administrator" in text(last)


def test_unknown_people_and_groups_are_not_found(admin):
    for path in ("/people/nobody-here/", "/groups/nothing/"):
        assert admin.get(path).status_code == 404
    assert admin.post("/people/nobody-here/active/").status_code == 404
    assert admin.post("/groups/nothing/members/", {"username": "root"}).status_code == 404


def test_own_tokens_are_shown_once_used_and_revoked(person, browser):
    person("anna", "researcher")
    client = browser("anna")
    assert "manage-people" not in text(client.get("/account/"))
    given = {"name": "script", "scopes": ["read"], "days": "30"}
    page = client.post("/account/tokens/", given)
    token = re.search(r'value="(iso_[^"]+)"', text(page))[1]
    assert page.headers["Cache-Control"] == "no-store"
    assert token not in text(client.get("/account/"))
    bearer = {"Authorization": f"Bearer {token}"}
    assert Client().get("/account/", headers=bearer).status_code == 200
    prefix = Token.objects.get().prefix
    client.post(f"/account/tokens/{prefix}/revoke/")
    assert Client().get("/account/", headers=bearer).status_code == 401
    assert "revoked" in text(client.get("/account/"))
    assert kinds()[-2:] == ["TOKEN_CREATED", "TOKEN_REVOKED"]


def test_nobody_revokes_the_token_of_somebody_else(person, browser):
    from isocenter.apps.accounts.services import create_token

    token = create_token(person("anna"), ["read"])
    person("bert")
    answer = browser("bert").post(f"/account/tokens/{token.row.prefix}/revoke/")
    assert answer.status_code == 404
    assert Token.objects.get().revoked_at is None


def test_sessions_are_listed_and_ended_one_by_one(person, browser):
    person("anna")
    firefox = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko Firefox/128.0"}
    other, mine = browser("anna", headers=firefox), browser("anna")
    page = text(mine.get("/account/"))
    assert "Firefox on Linux" in page
    ident = re.search(r"/account/sessions/([0-9a-f]+)/end/", page)[1]
    mine.post(f"/account/sessions/{ident}/end/")
    assert other.get("/account/").status_code == 302
    assert mine.get("/account/").status_code == 200


def test_changing_the_password_ends_the_other_sessions(person, browser):
    person("anna")
    other, mine = browser("anna"), browser("anna")
    given = {"old": PASSWORD, "new": "something else entirely", "again": "something else entirely"}
    mine.post("/account/password/", given)
    assert mine.get("/account/").status_code == 200
    assert other.get("/account/").status_code == 302


def test_groups_are_made_filled_and_removed(admin, person):
    person("anna", "student")
    Node.objects.create(name="pacs", kind="dimse")
    admin.post("/groups/new/", {"name": "Trial / 1"})
    assert not Group.objects.exists()  # a slash would not fit into an address
    made = admin.post("/groups/new/", {"name": "Trial α", "rights": ["download"]})
    assert made.status_code == 302
    path = made.headers["Location"]
    admin.post(f"{path}members/", {"username": "anna"})
    admin.post(f"{path}nodes/", {"node": "pacs", "destination": "yes"})
    page = text(admin.get(path))
    assert "anna" in page
    assert "pacs" in page
    assert "download" in text(admin.get("/people/anna/"))
    admin.post(f"{path}members/", {"username": "anna", "act": "remove"})
    admin.post(f"{path}nodes/", {"node": "pacs"})
    assert not Group.objects.get().members.exists()
    assert not Group.objects.get().node_grants.exists()
    admin.post(path, {"name": "Trial β", "description": "d", "rights": []})
    assert Group.objects.get().name == "Trial β"
    admin.post("/groups/Trial β/remove/")
    assert not Group.objects.exists()


def test_services_get_tokens_from_those_who_manage_people(admin, person):
    person("robot", "service")
    page = admin.post("/people/robot/tokens/", {"name": "x", "scopes": ["upload"], "days": "0"})
    token = re.search(r'value="(iso_[^"]+)"', text(page))[1]
    me = Client().get("/account/", headers={"Authorization": f"Token {token}"})
    assert "import studies" in text(me)
    person("anna")
    refused = admin.post("/people/anna/tokens/", {"name": "x", "scopes": ["read"], "days": "30"})
    assert refused.status_code == 200
    assert Token.objects.filter(user__username="anna").count() == 0
    admin.post(f"/people/robot/tokens/{Token.objects.get().prefix}/revoke/")
    assert Token.objects.get().revoked_at is not None


def test_registration_is_off_unless_the_setting_says_so(db):
    client = Client()
    assert client.get("/register/").status_code == 404
    assert "/register/" not in text(client.get("/sign-in/"))


def test_people_register_and_wait_for_a_yes(admin, accounts_settings):
    accounts_settings(registration="approval")
    client = Client()
    given = {"username": "dora", "full_name": "Dora", "new": PASSWORD, "again": PASSWORD}
    assert client.post("/register/", given).headers["Location"] == "/sign-in/"
    credentials = {"username": "dora", "password": PASSWORD}
    assert "waits for an administrator" in text(client.post("/sign-in/", credentials))
    assert "1 person waits" in text(admin.get("/people/"))
    admin.post("/people/dora/approve/", {"answer": "yes", "role": "researcher"})
    assert client.post("/sign-in/", credentials).status_code == 302
    assert User.objects.get(username="dora").role == "researcher"
    client = Client()
    client.post("/register/", {**given, "username": "emil"})
    admin.post("/people/emil/approve/", {"answer": "no"})
    assert not User.objects.filter(username="emil").exists()


def test_refused_pages_leave_an_event(person, browser):
    person("anna", "student")
    assert browser("anna").get("/people/").status_code == 403
    event = Event.objects.filter(kind="ACCESS_REFUSED").get()
    assert (event.actor, event.detail["right"]) == ("anna", "manage-people")
