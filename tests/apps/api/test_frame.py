"""What all operations share: who may call them, errors, paging, the description."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.rights import Right
from isocenter.apps.api import paging, urls
from isocenter.apps.api.schemas import Paging
from isocenter.apps.api.views import the_api
from isocenter.apps.audit.models import Event

Caller = Any

# Every operation with what it needs; a new one without a row here fails.
RIGHTS: dict[str, Right | None] = {
    "GET account": None,
    "POST account/password": None,
    "PUT account/group": None,
    "GET account/tokens": None,
    "POST account/tokens": None,
    "DELETE account/tokens/{prefix}": None,
    "GET account/sessions": None,
    "DELETE account/sessions/{session_id}": None,
    "GET events": Right.VIEW_EVENTS,
    "GET events/export": Right.VIEW_EVENTS,
    "GET events/{event_id}": Right.VIEW_EVENTS,
    "GET groups": Right.MANAGE_PEOPLE,
    "POST groups": Right.MANAGE_PEOPLE,
    "GET groups/{name}": Right.MANAGE_PEOPLE,
    "PATCH groups/{name}": Right.MANAGE_PEOPLE,
    "DELETE groups/{name}": Right.MANAGE_PEOPLE,
    "PUT groups/{name}/members/{person}": Right.MANAGE_PEOPLE,
    "DELETE groups/{name}/members/{person}": Right.MANAGE_PEOPLE,
    "PUT groups/{name}/nodes/{node}": Right.MANAGE_PEOPLE,
    "GET people": Right.MANAGE_PEOPLE,
    "POST people": Right.MANAGE_PEOPLE,
    "GET people/{name}": Right.MANAGE_PEOPLE,
    "PATCH people/{name}": Right.MANAGE_PEOPLE,
    "POST people/{name}/approve": Right.MANAGE_PEOPLE,
    "POST people/{name}/refuse": Right.MANAGE_PEOPLE,
    "POST people/{name}/enable": Right.MANAGE_PEOPLE,
    "POST people/{name}/disable": Right.MANAGE_PEOPLE,
    "POST people/{name}/unlock": Right.MANAGE_PEOPLE,
    "POST people/{name}/password": Right.MANAGE_PEOPLE,
    "GET tokens": Right.MANAGE_PEOPLE,
    "POST tokens": Right.MANAGE_PEOPLE,
    "DELETE tokens/{prefix}": Right.MANAGE_PEOPLE,
    "GET nodes": Right.MANAGE_NODES,
    "POST nodes": Right.MANAGE_NODES,
    "GET nodes/{name}": Right.MANAGE_NODES,
    "PUT nodes/{name}": Right.MANAGE_NODES,
    "DELETE nodes/{name}": Right.MANAGE_NODES,
    "POST nodes/{name}/test": Right.MANAGE_NODES,
    "GET pipelines": Right.VIEW,
    "POST pipelines": Right.MANAGE_ROUTES,
    "GET pipelines/{name}": Right.VIEW,
    "PUT pipelines/{name}": Right.MANAGE_ROUTES,
    "GET projects": Right.MANAGE_PROJECTS,
    "POST projects": Right.MANAGE_PROJECTS,
    "GET projects/{name}": Right.MANAGE_PROJECTS,
    "PUT projects/{name}": Right.MANAGE_PROJECTS,
    "DELETE projects/{name}": Right.MANAGE_PROJECTS,
    "GET projects/{name}/explain": Right.MANAGE_PROJECTS,
    "GET projects/{name}/changes": Right.MANAGE_PROJECTS,
    "GET projects/{name}/pseudonyms": Right.MANAGE_PROJECTS,
    "POST projects/{name}/import": Right.MANAGE_PROJECTS,
    "POST projects/{name}/look-up": Right.REIDENTIFY,
    "GET projects/{name}/export": Right.REIDENTIFY,
    "GET projects/{name}/secret": Right.REIDENTIFY,
    "GET filters": Right.VIEW,
    "POST filters": Right.VIEW,
    "DELETE filters/{filter_id}": Right.VIEW,
    "GET runs/{run_id}/previews": Right.VIEW,
    "GET runs/{run_id}/reports/{form}": Right.VIEW,
    "POST quarantine/retry": Right.QUARANTINE,
    "POST quarantine/release": Right.QUARANTINE,
    "GET quarantine": Right.VIEW,
    "GET quarantine/{item_id}": Right.VIEW,
    "DELETE quarantine/{item_id}": Right.DELETE,
    "GET quarantine/{item_id}/export": Right.QUARANTINE,
    "POST quarantine/{item_id}/retry": Right.QUARANTINE,
    "POST quarantine/{item_id}/release": Right.QUARANTINE,
    "GET routes": Right.VIEW,
    "POST routes": Right.MANAGE_ROUTES,
    "GET routing/export": Right.MANAGE_ROUTES,
    "POST routing/import": Right.MANAGE_ROUTES,
    "POST routing/check": Right.MANAGE_ROUTES,
    "POST routing/test": Right.MANAGE_ROUTES,
    "GET routes/{name}": Right.VIEW,
    "PUT routes/{name}": Right.MANAGE_ROUTES,
    "POST routes/{name}/enable": Right.MANAGE_ROUTES,
    "POST routes/{name}/disable": Right.MANAGE_ROUTES,
    "DELETE routes/{name}": Right.MANAGE_ROUTES,
    "DELETE pipelines/{name}": Right.MANAGE_ROUTES,
    "PUT routing/order": Right.MANAGE_ROUTES,
    "GET routing/changes": Right.MANAGE_ROUTES,
    "POST routing/changes/{number}/restore": Right.MANAGE_ROUTES,
    "POST runs/{run_id}/again": Right.RUN,
    "GET runs": Right.VIEW,
    "POST runs": Right.RUN,
    "GET runs/{run_id}": Right.VIEW,
    "GET runs/{run_id}/log": Right.VIEW,
    "POST runs/{run_id}/cancel": Right.RUN,
    "POST runs/{run_id}/retry": Right.RUN,
    "POST runs/{run_id}/priority": Right.RUN,
    "POST runs/{run_id}/deliveries/{delivery_id}/retry": Right.RUN,
    "GET settings": Right.MANAGE_SYSTEM,
    "GET studies": Right.VIEW,
    "POST studies/search": Right.VIEW,
    "GET studies/{study_uid}": Right.VIEW,
    "GET studies/{study_uid}/series": Right.VIEW,
    "GET studies/{study_uid}/instances": Right.VIEW,
    "GET studies/{study_uid}/series/{series_uid}/thumbnail": Right.VIEW,
    "POST studies/{study_uid}/complete": Right.RUN,
    "GET studies/{study_uid}/download": Right.DOWNLOAD,
    "POST studies/{study_uid}/download": Right.DOWNLOAD,
    "GET studies/{study_uid}/series/{series_uid}/download": Right.DOWNLOAD,
    "POST studies/{study_uid}/series/{series_uid}/download": Right.DOWNLOAD,
    "GET studies/{study_uid}/outputs/{output_id}": Right.VIEW,
    "PUT studies/{study_uid}/protection": Right.DELETE,
    "DELETE studies/{study_uid}": Right.DELETE,
    "DELETE studies/{study_uid}/series/{series_uid}": Right.DELETE,
    "GET system": Right.VIEW_EVENTS,
    "POST uploads": Right.UPLOAD,
    "GET version": None,
}


#: They need `view-identified` besides.
WITH_IDENTITY = (
    "studies/{study_uid}/download",
    "studies/{study_uid}/series/{series_uid}/download",
    "quarantine/{item_id}/export",
)


def operations() -> Iterator[tuple[str, str, Right | None]]:
    """Method, path as it is described, and what the view says it needs."""
    for pattern in urls.urlpatterns:
        if isinstance(pattern, URLPattern) and hasattr(pattern.callback, "required_rights"):
            path = str(pattern.pattern).replace("<", "{").replace(">", "}")
            for method, right in pattern.callback.required_rights.items():
                yield method, path, right


OPERATIONS = sorted(operations(), key=lambda item: (item[1], item[0]))


def test_every_operation_stands_in_the_table() -> None:
    assert {f"{method} {path}": right for method, path, right in OPERATIONS} == RIGHTS


def address(path: str) -> str:
    """An address of an operation, of things that are not there."""
    return (
        path.replace("{run_id}", "12345678")
        .replace("{item_id}", "12345678")
        .replace("{study_uid}", "1.2.3")
        .replace("{series_uid}", "1.2.3.4")
        .replace("{event_id}", "1")
        .replace("{name}", "nothing")
        .replace("{prefix}", "iso_nothing0")
        .replace("{session_id}", "nothing")
        .replace("{delivery_id}", "1")
        .replace("{output_id}", "1")
        .replace("{number}", "1")
        .replace("{person}", "nobody")
        .replace("{node}", "nothing")
        .replace("{filter_id}", "1")
        .replace("{form}", "txt")
    )


@pytest.mark.parametrize(("method", "path", "right"), OPERATIONS)
def test_nobody_is_told_to_send_a_token(
    caller: Callable[..., Caller], method: str, path: str, right: Right | None
) -> None:
    answer = caller("").call(method, address(path), {})
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "hint"}
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("role", ["staff", "physician", "researcher", "student", "service"])
def test_each_role_gets_what_its_rights_say(caller: Callable[..., Caller], role: str) -> None:
    from isocenter.apps.accounts.rights import ROLE_RIGHTS

    somebody = caller(role)
    for method, path, right in OPERATIONS:
        answer = somebody.call(method, address(path), {})
        is_allowed = right is None or right in ROLE_RIGHTS[role]
        if path in WITH_IDENTITY:
            is_allowed = is_allowed and Right.VIEW_IDENTIFIED in ROLE_RIGHTS[role]
        assert (answer.status_code != 403) == is_allowed, f"{role}: {method} {path}"
        assert answer.status_code < 500, f"{role}: {method} {path}: {answer.content!r}"


def test_a_scope_takes_rights_away(caller: Callable[..., Caller]) -> None:
    reader = caller("administrator", scopes=["read"])
    assert reader.get("studies").status_code == 200
    answer = reader.post("nodes", {})
    assert answer.status_code == 403
    assert "manage-nodes" in answer.json()["error"]


def test_a_wrong_token_is_no_session(caller: Callable[..., Caller]) -> None:
    somebody = caller("administrator")
    somebody.token = "iso_wrong"
    assert somebody.get("studies").status_code == 401


def test_a_session_needs_the_csrf_token_to_change_something(db: None) -> None:
    user = User.objects.create(username="someone", role="administrator")
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.get("/api/v1/version").status_code == 200
    answer = client.post("/api/v1/routing/test", "{}", content_type="application/json")
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["error"]
    page = client.get("/api/v1/docs").content.decode()
    token = page.partition('name="csrf-token" content="')[2].partition('"')[0]
    answer = client.post(
        "/api/v1/routing/test",
        "{}",
        content_type="application/json",
        headers={"X-CSRFToken": token},
    )
    assert answer.status_code == 200


def test_the_description_has_every_operation(caller: Callable[..., Caller]) -> None:
    description = caller("").get("openapi.json").json()
    assert description["openapi"].startswith("3.1")
    described = {
        f"{method.upper()} {path.removeprefix('/api/v1/')}"
        for path, methods in description["paths"].items()
        for method in methods
    }
    assert described == set(RIGHTS)


def test_the_description_is_sound() -> None:
    description = json.loads(json.dumps(the_api().get_openapi_schema(path_prefix="/api/v1/")))
    schemas = description["components"]["schemas"]
    wanted = set(_references(description))
    assert wanted <= {f"#/components/schemas/{name}" for name in schemas}
    ids = [
        operation["operationId"]
        for methods in description["paths"].values()
        for operation in methods.values()
    ]
    assert len(ids) == len(set(ids))
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path} says nothing"
            assert operation["security"] == [{"Token": []}]
            named = {item["name"] for item in operation["parameters"] if item["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def test_addresses_that_are_none(admin: Caller) -> None:
    for path in ("nothing", "studies/", "runs/1/2/3/4"):
        answer = admin.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"]
    answer = admin.call("PATCH", "nodes", {})
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[" * 100_000, 400),
        ('{"study_uid": NaN}', 400),
        ('{"study_uid": "\\u0000"}', 400),
        ('{"study_uid": "\\ud800"}', 400),
        (b"\xff\xfe", 400),
        ("null", 422),
        ("[]", 422),
        ('{"study_uid": 1, "route": {}}', 422),
        ('{"study_uid": "1.2", "route": "x", "colour": "red"}', 422),
        ("{}", 422),
    ],
)
def test_bodies_that_cannot_be_read(admin: Caller, body: str | bytes, status: int) -> None:
    answer = admin.post("runs", body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_body_that_is_too_large(admin: Caller) -> None:
    assert admin.post("runs", '"' + "x" * (5 << 20) + '"').status_code == 413


def test_an_unexpected_error_shows_a_number_and_no_trace(
    admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isocenter.apps.transfers import queries

    def fail() -> None:
        raise RuntimeError("secret name")

    monkeypatch.setattr(queries, "nodes", fail)
    answer = admin.get("nodes")
    assert answer.status_code == 500
    assert set(answer.json()) == {"error", "hint"}
    assert "secret name" not in answer.content.decode()


@pytest.mark.django_db
def test_a_list_is_complete_although_rows_share_a_time() -> None:
    now = timezone.now()
    for number in range(7):
        Event.objects.create(at=now - timedelta(seconds=number // 3), kind="C_ECHO")
    seen: list[int] = []
    cursor = ""
    while True:
        page = paging.newest_first(
            Event.objects.all(), "at", Paging(limit=2, cursor=cursor), lambda row: {"id": row.pk}
        )
        seen += [row["id"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = page["next"]
    ordered = Event.objects.order_by("-at", "-pk").values_list("pk", flat=True)
    assert seen == list(ordered)


LISTS = (
    "studies",
    "people",
    "groups",
    "tokens",
    "runs",
    "quarantine",
    "events",
    "studies/1.2/instances",
    "routing/export",
)
NAMES = [
    *("limit", "cursor", "state", "kind", "study_uid", "route", "pipeline", "actor", "since"),
    *("until", "modality", "source", "sort", "study_from", "received_to", "instances_min"),
    *("flagged", "name", "step"),
]
VALUES = st.one_of(
    st.text(max_size=40),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(
        [
            "\x00",
            "0001-01-01",
            "9999-12-31",
            "0001-01-01T00:00:00+14:00",
            "W10",
            "WzFd",
            "WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwgIjEiXQ",
            "-patient_name",
            "' or 1=1 --",
        ]
    ),
)


@given(
    path=st.sampled_from(LISTS),
    query=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4),
)
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_is_asked_is_answered_or_refused(
    admin: Caller, path: str, query: dict[str, str]
) -> None:
    query = {name: value.encode("utf-8", "replace").decode() for name, value in query.items()}
    answer = admin.get(path, **query)
    assert answer.status_code in (200, 400, 404, 422), answer.content
    if answer.status_code != 200:
        assert answer.json()["error"]


@given(st.text(max_size=60))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_named_is_there_or_not(admin: Caller, name: str) -> None:
    from urllib.parse import quote

    name = quote(name.encode("utf-8", "replace").decode(), safe="")
    for path in (
        *("runs", "quarantine", "nodes", "studies", "routes", "pipelines", "people", "groups"),
        *("events", "routing/test", "account/tokens"),
    ):
        answer = admin.get(f"{path}/{name}")
        assert answer.status_code in (200, 400, 404, 405, 422), (path, answer.content)
