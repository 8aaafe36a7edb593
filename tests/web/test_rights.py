"""Every address, walked with every role, with nobody, and with tokens of every scope.

A new address has to be written into the table below, or these tests fail. It says what is needed
to come in; a right that a view asks for besides stands with a plus.
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

# What is needed, pages, operations of the API. Whoever may do something on a page may do it by
# the API and the other way round, so both stand in one row. ``everybody`` needs no account, ``-``
# one, ``own`` a session or a token with the scope ``all``.
ACTIONS: tuple[tuple[str, str, str], ...] = (
    ("everybody", "sign-in sign-out register live ready api-openapi api-nothing", ""),
    ("-", "api api-docs", "GET version"),
    # One's own account.
    ("-", "account", "GET account, GET own-tokens, GET own-sessions"),
    ("own", "password", "POST change-password"),
    ("own", "account-group", "PUT choose-group"),
    ("own", "token-new", "POST own-tokens"),
    ("-", "token-revoke", "DELETE revoke-own-token"),
    ("own", "session-end", "DELETE end-own-session"),
    # Studies.
    ("view", "worklist", "GET list-studies, POST search-studies, GET list-filters"),
    ("view", "filter-save", "POST list-filters"),
    ("view", "filter-delete", "DELETE delete-filter"),
    ("view", "study", "GET get-study, GET list-series, GET list-instances"),
    ("view", "series-thumbnail", "GET get-thumbnail"),
    ("view", "study-output", "GET get-output"),
    ("view", "study-previews", "GET list-previews"),
    ("view", "study-report", "GET get-report"),
    ("upload", "uploads upload-file uploaded-studies", "POST upload"),
    (
        "download + view-identified",
        "study-download series-download",
        "GET download-study, POST download-study, GET download-series, POST download-series",
    ),
    ("run", "study-complete", "POST complete-study"),
    ("delete", "study-protect", "PUT protect-study"),
    ("delete", "study-delete", "DELETE get-study, DELETE delete-series"),
    # Runs.
    ("view", "runs", "GET list-runs"),
    ("view", "run run-step run-step-log", "GET get-run, GET get-log"),
    ("run", "study-run", "POST list-runs"),
    ("run", "run-again", "POST run-again"),
    ("run", "run-retry", "POST retry-run"),
    ("run", "run-cancel", "POST cancel-run"),
    ("run", "run-priority", "POST prioritise-run"),
    ("run", "study-delivery-retry run-delivery-retry", "POST retry-delivery"),
    # Quarantine.
    ("view", "quarantine quarantine-item", "GET list-items, GET get-item"),
    ("quarantine", "quarantine-bulk", "POST retry-items, POST release-items"),
    ("quarantine", "quarantine-retry", "POST retry-item"),
    ("quarantine", "quarantine-release", "POST release-item"),
    ("quarantine + view-identified", "quarantine-export", "GET export-item"),
    ("delete", "quarantine-delete", "DELETE get-item"),
    # Routes and pipelines; a page with a form to change one is for those who may change it.
    ("view", "routes", "GET list-routes, GET get-route"),
    ("view", "pipelines", "GET list-pipelines, GET get-pipeline"),
    ("manage-routes", "route", "PUT get-route"),
    ("manage-routes", "route-new", "POST list-routes"),
    ("manage-routes", "route-move", "PUT order-routes"),
    ("manage-routes", "route-switch", "POST enable-route, POST disable-route"),
    ("manage-routes", "route-remove", "DELETE get-route"),
    ("manage-routes", "routes-import", "POST import-routes, POST check-routes"),
    ("manage-routes", "routes-export", "GET export-routes"),
    ("manage-routes", "routes-history", "GET list-changes"),
    ("manage-routes", "routes-restore", "POST restore-change"),
    ("manage-routes", "condition-check condition-try", "POST test-routes"),
    ("manage-routes", "pipeline pipeline-draft", "PUT get-pipeline"),
    ("manage-routes", "pipeline-new", "POST list-pipelines"),
    ("manage-routes", "pipeline-remove", "DELETE get-pipeline"),
    # Nodes.
    ("manage-nodes", "nodes node", "GET list-nodes, GET get-node, PUT get-node"),
    ("manage-nodes", "node-new", "POST list-nodes"),
    ("manage-nodes", "node-test", "POST test-node"),
    ("manage-nodes", "node-remove", "DELETE get-node"),
    # Projects of de-identification; whose a pseudonym is needs a right of its own.
    ("manage-projects", "projects project", "GET list-projects, GET get-project, PUT get-project"),
    ("manage-projects", "project-new", "POST list-projects"),
    ("manage-projects", "project-draft", ""),
    ("manage-projects", "project-attribute", "GET explain-attribute"),
    ("manage-projects", "project-history", "GET list-project-changes"),
    ("manage-projects", "project-restore", ""),  # by the API: PUT with that document
    ("manage-projects", "project-remove", "DELETE get-project"),
    ("manage-projects", "project-patients", "GET list-pseudonyms"),
    ("manage-projects", "project-import", "POST import-pseudonyms"),
    ("reidentify", "look-ups", ""),
    ("reidentify", "project-look-up", "POST look-up-patient"),
    ("reidentify", "project-export", "GET export-pseudonyms"),
    ("reidentify", "project-secret", "GET get-project-secret"),
    # The platform.
    ("view-events", "events event", "GET list-events, GET get-event"),
    ("view-events", "events-export", "GET export-events"),
    ("view-events", "system", "GET system"),
    ("manage-system", "settings", "GET effective-settings"),
    # People.
    ("manage-people", "people person", "GET list-people, GET get-person, PATCH get-person"),
    ("manage-people", "person-new", "POST list-people"),
    ("manage-people", "person-password", "POST set-password"),
    ("manage-people", "person-active", "POST enable-person, POST disable-person"),
    ("manage-people", "person-unlock", "POST unlock-person"),
    ("manage-people", "person-approve", "POST approve-person, POST refuse-person"),
    ("manage-people", "person-token", "GET list-tokens, POST list-tokens"),
    ("manage-people", "person-token-revoke", "DELETE revoke-token"),
    ("manage-people", "groups group", "GET list-groups, GET get-group, PATCH get-group"),
    ("manage-people", "group-new", "POST list-groups"),
    ("manage-people", "group-members", "PUT add-member, DELETE add-member"),
    ("manage-people", "group-nodes", "PUT grant-node"),
    ("manage-people", "group-remove", "DELETE get-group"),
)
# DICOMweb: what is needed, methods and addresses.
DICOMWEB: tuple[tuple[str, str], ...] = (
    ("everybody", "GET nothing"),
    ("view", "GET capabilities, OPTIONS capabilities, GET wado-uri"),
    ("view", "GET studies, GET all-series, GET all-instances"),
    ("view", "GET study-series, GET study-instances, GET series-instances"),
    ("view", "GET study-metadata, GET series-metadata, GET instance-metadata"),
    ("view", "GET study-rendered, GET series-rendered, GET instance-rendered"),
    ("view", "GET study-thumbnail, GET series-thumbnail, GET instance-thumbnail"),
    ("view", "GET frames, GET frames-rendered, GET frames-thumbnail, GET bulk-data"),
    ("download + view-identified", "GET study, GET one-series, GET instance"),
    ("upload", "POST studies, POST study"),
    ("delete", "DELETE study, DELETE one-series, DELETE instance"),
    ("delete", "POST reject-study, POST reject-series, POST reject-instance"),
)
SAMPLES: dict[str, Any] = {"int": 10**9, "uid": "1.2.3.4", "uuid": uuid.UUID(int=7)}


@dataclass(frozen=True)
class Expectation:
    """What an address asks for: nothing, to be signed in, or rights."""

    is_public: bool = False
    is_own_account: bool = False
    rights: tuple[Right, ...] = ()

    @classmethod
    def of(cls, text: str) -> Expectation:
        if text in ("everybody", "-", "own"):
            return cls(is_public=text == "everybody", is_own_account=text == "own")
        return cls(rights=tuple(Right(each) for each in text.split(" + ")))

    def lets_in(self, rights: frozenset[Right] | None, *, is_narrow: bool = False) -> bool:
        """``rights`` is None for nobody; ``is_narrow``: a token without the scope ``all``."""
        if self.is_public:
            return True
        if rights is None or (self.is_own_account and is_narrow):
            return False
        return set(self.rights) <= rights


@dataclass(frozen=True)
class Address:
    """One address with one method, and who may come there."""

    name: str
    method: str
    path: str
    expected: Expectation

    @property
    def is_api(self) -> bool:
        is_program = self.name.startswith(("api-", "dicomweb-"))
        return is_program and self.name not in ("api-docs", "api-openapi")


def patterns(found: list[Any] | None = None) -> Iterator[URLPattern]:
    for each in get_resolver().url_patterns if found is None else found:
        if isinstance(each, URLResolver):
            yield from patterns(each.url_patterns)
        else:
            yield each


def expectations() -> dict[str, dict[str, Expectation]]:
    """By name and method."""
    table: dict[str, dict[str, Expectation]] = {}
    for needed, pages, operations in ACTIONS:
        expected = Expectation.of(needed)
        for name in pages.split():
            assert name not in table, f"{name} stands in two rows"
            table[name] = {"GET": expected, "POST": expected}
        for operation in filter(None, operations.split(", ")):
            method, name = operation.split(" ")
            methods = table.setdefault(f"api-{name}", {})
            assert method not in methods, f"{operation} stands in two rows"
            methods[method] = expected
    for needed, operations in DICOMWEB:
        for operation in operations.split(", "):
            method, name = operation.split(" ")
            methods = table.setdefault(f"dicomweb-{name}", {})
            assert method not in methods, f"{operation} stands in two rows"
            methods[method] = Expectation.of(needed)
    return table


TABLE = expectations()


def addresses() -> list[Address]:
    found = []
    for pattern in patterns():
        given = {
            key: SAMPLES.get(type(converter).__name__.removesuffix("Converter").lower(), "nil")
            for key, converter in pattern.pattern.converters.items()
        }
        if pattern.name in ("api-nothing", "dicomweb-nothing"):
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
        view = pattern.callback
        rights = getattr(view, "required_rights", None)
        if rights:
            assert set(rights) == set(TABLE[pattern.name]), f"methods of {pattern.name}"
        for method, expected in TABLE.get(pattern.name, {}).items():
            marked = rights[method] if rights else view.required_right
            own = method in view.own_account if rights else view.is_own_account
            first = expected.rights[0] if expected.rights else None
            found = (view.is_public, marked, own)
            wanted = (expected.is_public, first, expected.is_own_account)
            assert found == wanted, f"{method} {pattern.name}"


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
    *,
    is_narrow: bool = False,
    **headers: str,
) -> list[str]:
    cookies = dict(client.cookies.items())
    wrong = []
    for address in where():
        client.cookies.clear()  # the one before may have signed out
        client.cookies.update(cookies)
        expected = address.expected.lets_in(rights, is_narrow=is_narrow)
        if came_in(client, address, **headers) != expected:
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
    narrow, sent = scope != "all", f"Bearer {token}"
    assert differences(visitor, SCOPES[scope], where, is_narrow=narrow, Authorization=sent) == []


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
