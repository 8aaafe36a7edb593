"""Signing in: lock-out of names and addresses, sessions and their ends."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from isocenter.apps.accounts import limits
from isocenter.apps.accounts.models import Session, SignInLimit, User
from isocenter.apps.accounts.rights import COMMAND_LINE
from isocenter.apps.accounts.services import set_active, set_password, unlock
from isocenter.apps.accounts.sessions import browser_name
from isocenter.apps.audit.models import Event

PASSWORD = "correct-horse-battery"


def attempt(name: str, password: str = "wrong", address: str = "10.0.0.1", client=None) -> int:
    """Status of a try to sign in: 302 in, 200 wrong, 429 has to wait."""
    client = client or Client()
    given = {"username": name, "password": password}
    return client.post("/sign-in/", given, REMOTE_ADDR=address).status_code


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["anna", "nobody-has-this-name"])
def test_five_wrong_passwords_lock_a_name_whoever_has_it(person, name):
    person("anna")
    assert [attempt(name) for _ in range(7)] == [200] * 5 + [429] * 2
    assert attempt(name.upper(), PASSWORD, "10.0.0.2") == 429
    assert attempt("root") == 200


@pytest.mark.django_db
def test_a_lock_ends_by_time_or_by_an_administrator(person, accounts_settings):
    accounts_settings(lock_after_failures=2, lock_minutes=10)
    person("anna")
    assert [attempt("anna") for _ in range(3)] == [200, 200, 429]
    past = timezone.now() - timedelta(minutes=11)
    SignInLimit.objects.update(first_at=past, locked_until=past + timedelta(minutes=10))
    assert attempt("anna", PASSWORD) == 302
    assert [attempt("anna") for _ in range(3)] == [200, 200, 429]
    assert limits.locked_until("ANNA") is not None
    unlock("anna", by=COMMAND_LINE)
    assert attempt("anna", PASSWORD) == 302


@pytest.mark.django_db
def test_a_right_password_takes_the_failures_back(person):
    person("anna")
    assert [attempt("anna") for _ in range(4)] == [200] * 4
    assert attempt("anna", PASSWORD) == 302
    assert [attempt("anna") for _ in range(5)] == [200] * 5


@pytest.mark.django_db
def test_an_address_has_to_wait_whatever_the_names(person, accounts_settings):
    accounts_settings(address_failures=4)
    person("anna")
    assert [attempt(f"name-{n}") for n in range(5)] == [200] * 4 + [429]
    assert attempt("anna", PASSWORD) == 429
    assert attempt("anna", PASSWORD, "10.0.0.2") == 302


@pytest.mark.django_db
def test_failures_leave_events_that_never_name_what_was_typed(person):
    person("anna")
    attempt("anna")
    attempt("my secret passphrase")
    events = Event.objects.filter(kind="SIGN_IN_FAILED").order_by("id")
    assert [event.actor for event in events] == ["anna", ""]
    assert all("secret" not in str(event.detail) for event in events)
    for _ in range(5):
        attempt("anna")
    assert Event.objects.get(kind="ACCOUNT_LOCKED").actor == "anna"
    assert not SignInLimit.objects.filter(key__contains="anna").exists()


@pytest.mark.django_db(transaction=True)
def test_attempts_at_the_same_moment_are_no_more_than_the_limit(person):
    person("anna")
    outcomes: list[int] = []

    def tries() -> None:
        outcomes.append(attempt("anna"))
        connection.close()

    threads = [threading.Thread(target=tries) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(200) == 5
    assert outcomes.count(429) == 7


@pytest.mark.django_db
def test_the_present_password_is_guessed_under_the_same_limits(person, browser, accounts_settings):
    accounts_settings(lock_after_failures=3)
    person("anna")
    client = browser("anna")
    given = {"new": "another-horse-9-battery", "again": "another-horse-9-battery"}

    def guess(old: str) -> int:
        return client.post("/account/password/", {"old": old, **given}).status_code

    assert [guess(f"guess {n}") for n in range(4)] == [200, 200, 200, 429]
    assert guess(PASSWORD) == 429
    assert attempt("anna", PASSWORD, "10.0.0.2") == 429
    failed = Event.objects.filter(kind="SIGN_IN_FAILED")
    assert [(event.actor, event.detail["where"]) for event in failed] == [("anna", "password")] * 3
    assert "guess" not in str([event.detail for event in failed])
    assert Event.objects.get(kind="ACCOUNT_LOCKED").actor == "anna"
    unlock("anna", by=COMMAND_LINE)
    assert guess(PASSWORD) == 302


@pytest.mark.django_db
def test_old_counts_go(person):
    attempt("made-up")
    SignInLimit.objects.update(first_at=timezone.now() - timedelta(days=1))
    attempt("another")
    assert SignInLimit.objects.count() == 2  # of the name and of the address


@pytest.mark.django_db
def test_a_service_never_signs_in_with_a_password(person):
    service = person("robot", "service")
    service.set_password(PASSWORD)
    assert attempt("robot", "") == 200  # the form asks for one
    assert attempt("robot", PASSWORD) == 200


@pytest.mark.django_db
def test_disabled_people_are_told_so_only_with_the_right_password(person):
    person("anna")
    set_active("anna", False, by=COMMAND_LINE)
    wrong = Client().post("/sign-in/", {"username": "anna", "password": "wrong"})
    right = Client().post("/sign-in/", {"username": "anna", "password": PASSWORD})
    assert "disabled" not in wrong.content.decode()
    assert "This account is disabled" in right.content.decode()


@pytest.mark.django_db
def test_the_session_key_is_new_after_signing_in(person, accounts_settings):
    accounts_settings(registration="approval")
    client = Client()
    form = {"full_name": "B", "new": PASSWORD, "again": PASSWORD}
    client.post("/register/", {"username": "bert", **form})  # leaves a message in a session
    before = client.cookies["isocenter_session"].value
    person("anna")
    attempt("anna", PASSWORD, client=client)
    assert client.cookies["isocenter_session"].value != before
    assert not Session.objects.filter(session_key=before).exists()
    row = Session.objects.get(user__username="anna")
    assert (row.address, row.browser) == ("10.0.0.1", "unknown")


@pytest.mark.django_db
def test_unused_sessions_end(person, browser, accounts_settings):
    accounts_settings(session_idle_minutes=30, session_hours=2)
    person("anna")
    client = browser("anna")
    _age(minutes=29)
    assert client.get("/account/").status_code == 200
    _age(minutes=29)
    assert client.get("/account/").status_code == 200, "it was used meanwhile"
    _age(minutes=31)
    assert client.get("/account/").status_code == 302


@pytest.mark.django_db
def test_pages_that_renew_themselves_do_not_keep_a_session(person, browser, accounts_settings):
    accounts_settings(session_idle_minutes=30)
    person("anna")
    client = browser("anna")
    _age(minutes=20)
    client.get("/account/?part=1", headers={"HX-Request": "true"})
    _age(minutes=20)
    assert client.get("/account/").status_code == 302


@pytest.mark.django_db
def test_sessions_end_after_their_whole_time(person, browser, accounts_settings):
    accounts_settings(session_idle_minutes=60, session_hours=1)
    person("anna")
    client = browser("anna")
    started_at = timezone.now() - timedelta(minutes=59)
    session = client.session
    session["started_at"] = started_at.isoformat()
    session.save()
    row = Session.objects.get()
    assert row.expire_date - started_at == timedelta(hours=1)
    Session.objects.update(last_seen_at=started_at)
    client.get("/account/")
    assert Session.objects.get().expire_date - started_at == timedelta(hours=1)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "act",
    [
        lambda: set_active("anna", False, by=COMMAND_LINE),
        lambda: set_password("anna", by=COMMAND_LINE),
    ],
    ids=["disabled", "new password"],
)
def test_sessions_end_with_the_account_and_with_its_password(person, browser, act):
    person("anna")
    client = browser("anna")
    act()
    assert client.get("/account/").headers["Location"].startswith("/sign-in/")
    assert not Session.objects.filter(user__username="anna").exists()


@pytest.mark.django_db
def test_passwords_are_hashed_anew_with_what_is_in_force(person, settings):
    person("anna")
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    assert attempt("anna", PASSWORD) == 302
    assert User.objects.get(username="anna").password.startswith("pbkdf2_sha1")


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Firefox on Linux",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/130 Safari/537",
            "Chrome on Windows",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/130 Safari/537 Edg/130", "Edge on Windows"),
        ("Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) Version/17 Safari/604", "Safari on iOS"),
        ("curl/8.5.0", "curl"),
        ("", "unknown"),
    ],
)
def test_browsers_are_named(agent, name):
    assert browser_name(agent) == name


def test_cookies_are_safe():
    assert settings.SESSION_COOKIE_SAMESITE == "Lax"
    assert settings.SESSION_COOKIE_HTTPONLY is True


def _age(**time: float) -> None:
    """Let time go by for all sessions."""
    for row in Session.objects.all():
        row.last_seen_at -= timedelta(**time)
        row.expire_date -= timedelta(**time)
        row.save()
