"""Tokens: hashed, with scopes, an end, a last use; for oneself and for services alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from isocenter.apps.accounts import known_tokens, queries, services
from isocenter.apps.accounts.models import Group, Token, User
from isocenter.apps.accounts.queries import principal_of_user
from isocenter.apps.accounts.rights import COMMAND_LINE, Right
from isocenter.apps.audit.models import Event
from isocenter.core.errors import ConfigurationError, NotAllowed, NotFound

pytestmark = pytest.mark.django_db


def test_a_token_is_kept_as_a_hash(person):
    made = services.create_token(person("anna"), ["read", "read"], name="nightly")
    row = Token.objects.get()
    assert made.text.startswith(row.prefix)
    assert made.text not in str(Token.objects.values())
    assert made.text not in str(Event.objects.values())
    assert row.scopes == ["read"]
    principal = services.principal_of_token(made.text)
    assert (principal.name, principal.token) == ("anna", row.prefix)
    assert principal.may(Right.VIEW)
    assert not principal.may(Right.RUN)


@pytest.mark.parametrize("text", ["", "iso_", "no", "iso_12345678wrong", "x" * 5000, "a\x00b", "é"])
def test_what_is_no_token_opens_nothing(person, text):
    services.create_token(person("anna"), ["all"])
    assert services.principal_of_token(text) is None


def test_a_wrong_end_opens_nothing(person):
    made = services.create_token(person("anna"), ["all"])
    assert services.principal_of_token(made.text[:-1] + "_") is None
    assert services.principal_of_token(made.text + "x") is None


def test_tokens_end(person):
    anna = person("anna")
    now = timezone.now()
    past = services.create_token(anna, ["all"], expires_at=now - timedelta(seconds=1))
    assert services.principal_of_token(past.text) is None
    assert queries.token_row(past.row)["state"] == "expired"
    made = services.create_token(anna, ["all"], expires_at=services.default_expiry())
    assert abs(made.row.expires_at - now - timedelta(days=365)) < timedelta(minutes=1)
    services.revoke_token(made.row.prefix, by=principal_of_user(anna))
    assert services.principal_of_token(made.text) is None
    other = services.create_token(anna, ["all"])
    services.set_active("anna", False, by=COMMAND_LINE)
    assert services.principal_of_token(other.text) is None
    with pytest.raises(ConfigurationError, match="disabled"):
        services.create_token(queries.person("anna"), ["all"], by=COMMAND_LINE)


def test_the_last_use_is_known_to_the_minute(person):
    made = services.create_token(person("anna"), ["all"])
    services.principal_of_token(made.text)
    first = Token.objects.get().last_used_at
    assert first is not None
    services.principal_of_token(made.text)
    assert Token.objects.get().last_used_at == first
    Token.objects.update(last_used_at=first - timedelta(minutes=2))
    known_tokens.forget()
    services.principal_of_token(made.text)
    assert Token.objects.get().last_used_at >= first


def test_a_token_is_known_for_a_moment_and_no_longer(person, monkeypatch):
    """What another process changes counts within `KNOWN_FOR_S`; the clock is set on for that."""
    made = services.create_token(person("anna"), ["all"])
    now = 1000.0
    monkeypatch.setattr(known_tokens.time, "monotonic", lambda: now)
    assert services.principal_of_token(made.text) is not None
    Token.objects.update(revoked_at=timezone.now())  # sends no signal, like another process
    now += known_tokens.KNOWN_FOR_S - 0.01
    assert services.principal_of_token(made.text) is not None
    now += 0.02
    assert services.principal_of_token(made.text) is None


def test_a_token_is_not_known_past_its_end(person, monkeypatch):
    ends = timezone.now() + timedelta(seconds=0.5)
    made = services.create_token(person("anna"), ["all"], expires_at=ends)
    now = 1000.0
    monkeypatch.setattr(known_tokens.time, "monotonic", lambda: now)
    assert services.principal_of_token(made.text) is not None
    now += 0.51
    monkeypatch.setattr(timezone, "now", lambda: ends + timedelta(seconds=0.01))
    assert services.principal_of_token(made.text) is None


def test_what_changes_here_counts_at_once(person):
    anna = person("anna", "student")
    text = services.create_token(anna, ["all"]).text
    assert not services.principal_of_token(text).may(Right.RUN)
    group = Group.objects.create(name="lab", rights=["run"])
    group.members.add(anna)
    assert services.principal_of_token(text).may(Right.RUN)
    group.rights = []
    group.save()
    assert not services.principal_of_token(text).may(Right.RUN)
    anna.role = User.Role.PHYSICIAN
    anna.save()
    assert services.principal_of_token(text).may(Right.RUN)


def test_an_answer_that_is_older_than_a_change_is_not_kept(person):
    made = services.create_token(person("anna"), ["all"])
    found = services.principal_of_token(made.text)

    def read_before_the_change():
        known_tokens.forget()
        return found, 60.0

    assert known_tokens.known("digest", read_before_the_change) == found
    assert known_tokens.known("digest", lambda: None) is None


def test_scopes_are_checked(person):
    anna = person("anna")
    with pytest.raises(ConfigurationError, match="no scope fly"):
        services.create_token(anna, ["read", "fly"])
    with pytest.raises(ConfigurationError, match="needs a scope"):
        services.create_token(anna, [])


def test_a_token_makes_none_that_can_more_or_lives_longer(person):
    anna = person("anna")
    ends = timezone.now() + timedelta(days=2)
    whole = services.principal_of_token(services.create_token(anna, ["all"], expires_at=ends).text)
    assert services.create_token(anna, ["view"], by=whole).row.expires_at == ends
    soon = timezone.now() + timedelta(days=1)
    assert services.create_token(anna, ["view"], expires_at=soon, by=whole).row.expires_at == soon
    reader = services.principal_of_token(services.create_token(anna, ["read"]).text)
    with pytest.raises(NotAllowed, match="scope all"):
        services.create_token(anna, ["view"], by=reader)
    manager = services.principal_of_token(
        services.create_token(person("bea", "administrator"), ["manage-people"]).text
    )
    with pytest.raises(NotAllowed, match="nobody gives"):
        services.create_token(person("robot", "service"), ["upload"], by=manager)


def test_nobody_acts_in_the_name_of_another_person(person, administrator):
    with pytest.raises(NotAllowed, match="alone"):
        services.create_token(person("anna"), ["read"], by=administrator)
    robot = person("robot", "service")
    assert services.create_token(robot, ["upload"], by=administrator).text
    with pytest.raises(NotAllowed):
        services.create_token(robot, ["upload"], by=principal_of_user(person("bert", "staff")))


def test_tokens_of_others_are_revoked_by_those_who_manage_people(person, administrator):
    token = services.create_token(person("anna"), ["read"]).row
    with pytest.raises(NotAllowed):
        services.revoke_token(token.prefix, by=principal_of_user(person("bert")))
    with pytest.raises(NotFound):
        services.revoke_token(token.prefix, by=administrator, owner="bert")
    with pytest.raises(NotFound):
        services.revoke_token("iso_nothing", by=administrator)
    assert services.revoke_token(token.prefix, by=administrator).revoked_at
    assert Event.objects.get(kind="TOKEN_REVOKED").detail["token"] == token.prefix
