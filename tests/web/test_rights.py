"""Every address, walked with every role, with nobody, and with tokens of every scope.

A new address has to be written into the tables below, or these tests fail. They say what is
needed to come in; a right that a view asks for besides stands with a plus.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from isocenter.apps.accounts.models import Group, User
from isocenter.apps.accounts.rights import ROLE_RIGHTS, SCOPES, Right, rights_for
from isocenter.apps.accounts.services import create_token

EVERYBODY = "sign-in sign-out register live ready api-openapi api-nothing"
SIGNED_IN = "account password account-group token-new token-revoke session-end api api-docs"
PAGES: dict[Right, str] = {
    Right.VIEW: """
        worklist filter-save filter-delete study series-thumbnail study-output study-previews
        study-report runs run run-step run-step-log routes pipelines quarantine
        quarantine-item""",
    Right.UPLOAD: "uploads upload-file uploaded-studies",
    Right.DOWNLOAD: "study-download",
    Right.RUN: """
        study-complete study-run study-delivery-retry run-retry run-again run-cancel run-priority
        run-delivery-retry""",
    Right.QUARANTINE: "quarantine-bulk quarantine-retry quarantine-release quarantine-export",
    Right.DELETE: "study-protect study-delete quarantine-delete",
    Right.VIEW_EVENTS: "events event events-export system",
    Right.MANAGE_ROUTES: """
        route route-new route-move route-switch route-remove routes-import routes-history
        routes-export routes-restore condition-check condition-try
        pipeline pipeline-new pipeline-draft pipeline-remove""",
    Right.MANAGE_NODES: "nodes node node-new node-test node-remove",
    Right.MANAGE_PEOPLE: """
        people person person-new person-password person-active person-unlock person-approve
        person-token person-token-revoke groups group group-new group-members group-nodes
        group-remove""",
    Right.MANAGE_SYSTEM: "settings",
}
# What a view asks for besides, before it looks for anything.
BESIDES = {
    ("study-download", "GET"): Right.VIEW_IDENTIFIED,
    ("quarantine-export", "GET"): Right.VIEW_IDENTIFIED,
}
# Operations of the API by method; ``-`` is "signed in".
API: dict[str, dict[str, str]] = {
    "api-list-studies": {"GET": "view"},
    "api-search-studies": {"POST": "view"},
    "api-get-study": {"GET": "view", "DELETE": "delete"},
    "api-list-series": {"GET": "view"},
    "api-list-instances": {"GET": "view"},
    "api-get-thumbnail": {"GET": "view"},
    "api-complete-study": {"POST": "run"},
    "api-download-study": {"GET": "download + view-identified"},
    "api-get-output": {"GET": "view"},
    "api-protect-study": {"PUT": "delete"},
    "api-delete-series": {"DELETE": "delete"},
    "api-list-runs": {"GET": "view", "POST": "run"},
    "api-get-run": {"GET": "view"},
    "api-get-log": {"GET": "view"},
    "api-cancel-run": {"POST": "run"},
    "api-retry-run": {"POST": "run"},
    "api-prioritise-run": {"POST": "run"},
    "api-retry-delivery": {"POST": "run"},
    "api-list-routes": {"GET": "view", "POST": "manage-routes"},
    "api-export-routes": {"GET": "manage-routes"},
    "api-import-routes": {"POST": "manage-routes"},
    "api-check-routes": {"POST": "manage-routes"},
    "api-test-routes": {"POST": "manage-routes"},
    "api-order-routes": {"PUT": "manage-routes"},
    "api-list-changes": {"GET": "manage-routes"},
    "api-restore-change": {"POST": "manage-routes"},
    "api-run-again": {"POST": "run"},
    "api-get-route": {"GET": "view", "PUT": "manage-routes", "DELETE": "manage-routes"},
    "api-enable-route": {"POST": "manage-routes"},
    "api-disable-route": {"POST": "manage-routes"},
    "api-list-pipelines": {"GET": "view", "POST": "manage-routes"},
    "api-get-pipeline": {"GET": "view", "PUT": "manage-routes", "DELETE": "manage-routes"},
    "api-list-nodes": {"GET": "manage-nodes", "POST": "manage-nodes"},
    "api-get-node": {"GET": "manage-nodes", "PUT": "manage-nodes", "DELETE": "manage-nodes"},
    "api-test-node": {"POST": "manage-nodes"},
    "api-list-items": {"GET": "view"},
    "api-get-item": {"GET": "view", "DELETE": "delete"},
    "api-export-item": {"GET": "quarantine + view-identified"},
    "api-retry-item": {"POST": "quarantine"},
    "api-release-item": {"POST": "quarantine"},
    "api-list-events": {"GET": "view-events"},
    "api-export-events": {"GET": "view-events"},
    "api-get-event": {"GET": "view-events"},
    "api-list-people": {"GET": "manage-people", "POST": "manage-people"},
    "api-get-person": {"GET": "manage-people", "PATCH": "manage-people"},
    "api-approve-person": {"POST": "manage-people"},
    "api-refuse-person": {"POST": "manage-people"},
    "api-enable-person": {"POST": "manage-people"},
    "api-disable-person": {"POST": "manage-people"},
    "api-unlock-person": {"POST": "manage-people"},
    "api-set-password": {"POST": "manage-people"},
    "api-list-tokens": {"GET": "manage-people", "POST": "manage-people"},
    "api-revoke-token": {"DELETE": "manage-people"},
    "api-list-groups": {"GET": "manage-people", "POST": "manage-people"},
    "api-get-group": {"GET": "manage-people", "PATCH": "manage-people", "DELETE": "manage-people"},
    "api-add-member": {"PUT": "manage-people", "DELETE": "manage-people"},
    "api-grant-node": {"PUT": "manage-people"},
    "api-account": {"GET": "-"},
    "api-change-password": {"POST": "-"},
    "api-choose-group": {"PUT": "-"},
    "api-own-tokens": {"GET": "-", "POST": "-"},
    "api-revoke-own-token": {"DELETE": "-"},
    "api-own-sessions": {"GET": "-"},
    "api-end-own-session": {"DELETE": "-"},
    "api-upload": {"POST": "upload"},
    "api-version": {"GET": "-"},
    "api-system": {"GET": "view-events"},
    "api-effective-settings": {"GET": "manage-system"},
}
SAMPLES: dict[str, Any] = {"int": 10**9, "uid": "1.2.3.4", "uuid": uuid.UUID(int=7)}


@dataclass(frozen=True)
class Expectation:
    """What an address asks for: nothing, to be signed in, or rights."""

    is_public: bool = False
    rights: tuple[Right, ...] = ()

    def lets_in(self, rights: frozenset[Right] | None) -> bool:
        """``rights`` is None for nobody."""
        return self.is_public or (rights is not None and set(self.rights) <= rights)


@dataclass(frozen=True)
class Address:
    """One address with one method, and who may come there."""

    name: str
    method: str
    path: str
    expected: Expectation

    @property
    def is_api(self) -> bool:
        return self.name.startswith("api-") and self.name not in ("api-docs", "api-openapi")


def patterns(found: list[Any] | None = None) -> Iterator[URLPattern]:
    for each in get_resolver().url_patterns if found is None else found:
        if isinstance(each, URLResolver):
            yield from patterns(each.url_patterns)
        else:
            yield each


def expectations() -> dict[str, dict[str, Expectation]]:
    """By name and method."""
    table: dict[str, dict[str, Expectation]] = {}

    def pages(names: str, expected: Expectation) -> None:
        for name in names.split():
            assert name not in table, f"{name} stands in two tables"
            table[name] = {"GET": expected, "POST": expected}

    pages(EVERYBODY, Expectation(is_public=True))
    pages(SIGNED_IN, Expectation())
    for right, names in PAGES.items():
        pages(names, Expectation(rights=(right,)))
    for name, methods in API.items():
        table[name] = {
            method: Expectation(rights=tuple(Right(r) for r in text.split(" + ") if r != "-"))
            for method, text in methods.items()
        }
    for (name, method), right in BESIDES.items():
        table[name][method] = Expectation(rights=(*table[name][method].rights, right))
    return table


TABLE = expectations()


def addresses() -> list[Address]:
    found = []
    for pattern in patterns():
        given = {
            key: SAMPLES.get(type(converter).__name__.removesuffix("Converter").lower(), "nil")
            for key, converter in pattern.pattern.converters.items()
        }
        if pattern.name == "api-nothing":
            given = {"path": "no/such/thing"}
        for method, expected in TABLE.get(pattern.name, {}).items():
            path = reverse(pattern.name, kwargs=given)
            found.append(Address(pattern.name, method, path, expected))
    return found


def one_of_each() -> list[Address]:
    """An address of each kind: the walk of what differs in nothing but who asks."""
    kinds = {(each.expected, each.method, each.is_api): each for each in addresses()}
    return list(kinds.values())


def test_every_address_has_an_expectation_and_a_mark():
    for pattern in patterns():
        assert pattern.name, f"{pattern.pattern} has no name"
        assert pattern.name in TABLE, f"write {pattern.name} into the tables of this test"
        assert hasattr(pattern.callback, "is_public"), (
            f"{pattern.name} needs public, signed_in or needs(...) of accounts.access"
        )


def test_marks_say_what_is_expected():
    """The navigation reads the marks; the walk below shows that they hold."""
    for pattern in patterns():
        rights = getattr(pattern.callback, "required_rights", None)
        for method, expected in TABLE.get(pattern.name, {}).items():
            marked = rights[method] if rights else pattern.callback.required_right
            first = expected.rights[0] if expected.rights else None
            assert (pattern.callback.is_public, marked) == (expected.is_public, first), pattern.name


def came_in(client: Client, address: Address, **headers: str) -> bool:
    """Whether the view itself answered; what it did is undone."""
    body = {"content_type": "application/json", "data": b"{}"} if address.is_api else {}
    with transaction.atomic():
        answer = client.generic(address.method, address.path, headers=headers, **body)
        transaction.set_rollback(True)
    where = f"{address.method} {address.path}: {answer.status_code}"
    if answer.status_code != 503 or address.name != "ready":
        assert answer.status_code < 500, where
    if address.is_api:
        if answer.status_code in (401, 403):
            assert set(answer.json()) >= {"error"}, where
        return answer.status_code not in (401, 403)
    if answer.status_code == 302:
        return not answer.headers["Location"].startswith("/sign-in/?next=") and (
            answer.headers["Location"] != "/sign-in/" or address.name == "sign-out"
        )
    return answer.status_code != 403


def differences(
    client: Client,
    rights: frozenset[Right] | None,
    where: Callable[[], list[Address]] = addresses,
    **headers: str,
) -> list[str]:
    cookies = dict(client.cookies.items())
    wrong = []
    for address in where():
        client.cookies.clear()  # the one before may have signed out
        client.cookies.update(cookies)
        if came_in(client, address, **headers) != address.expected.lets_in(rights):
            expected = address.expected.lets_in(rights)
            wrong.append(f"{address.method} {address.path} ({address.name}) {expected=}")
    return wrong


@pytest.fixture
def visitor(db: None) -> Client:
    return Client(raise_request_exception=False)


def test_nobody_comes_in_where_somebody_is_asked_for(visitor):
    assert differences(visitor, None) == []


def test_nobody_is_sent_to_sign_in_and_back_again(visitor):
    answer = visitor.get("/people/?q=a&role=staff")
    assert answer.headers["Location"] == "/sign-in/?next=%2Fpeople%2F%3Fq%3Da%26role%3Dstaff"
    htmx = visitor.get("/people/", headers={"HX-Request": "true"})
    assert (htmx.status_code, htmx.headers["HX-Redirect"][:9]) == (204, "/sign-in/")
    assert visitor.get("/api/v1/people").status_code == 401


@pytest.mark.parametrize("role", ROLE_RIGHTS)
def test_roles_come_in_where_their_rights_are_enough(visitor, role):
    visitor.force_login(User.objects.create(username="somebody", role=role))
    assert differences(visitor, ROLE_RIGHTS[role]) == []


def test_a_group_opens_what_it_has_the_right_for(visitor):
    student = User.objects.create(username="somebody", role="student")
    given = ("upload", "manage-nodes", "view-events", "no-such-right")
    Group.objects.create(name="trial", rights=given).members.add(student)
    visitor.force_login(student)
    assert differences(visitor, rights_for("student", given)) == []


@pytest.mark.parametrize("scope", SCOPES)
def test_tokens_open_what_their_scope_is_for(visitor, scope):
    owner = User.objects.create(username="somebody", role="administrator")
    token = create_token(owner, [scope]).text
    where = addresses if scope in ("all", "read") else one_of_each
    assert differences(visitor, SCOPES[scope], where, Authorization=f"Bearer {token}") == []


def test_tokens_never_open_more_than_their_owner_may(visitor):
    owner = User.objects.create(username="somebody", role="student")
    token = create_token(owner, ["all"]).text
    rights = ROLE_RIGHTS["student"]
    assert differences(visitor, rights, one_of_each, Authorization=f"Token {token}") == []


@pytest.mark.parametrize("state", [{"is_active": False}, {"is_approved": False}])
def test_disabled_and_waiting_people_are_nobody(visitor, state):
    user = User.objects.create(username="somebody", role="administrator")
    token = create_token(user, ["all"]).text
    visitor.force_login(user)
    User.objects.update(**state)
    assert differences(visitor, None, one_of_each) == []
    assert visitor.get("/", headers={"Authorization": f"Bearer {token}"}).status_code == 401
