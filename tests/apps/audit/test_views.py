"""The events pages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync
from django.http import StreamingHttpResponse
from django.template.loader import render_to_string
from django.test import Client

from isocenter.apps.audit import queries, services
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.models import Event

ClientAs = Callable[[str], Client]
pytestmark = pytest.mark.django_db


def content(response: StreamingHttpResponse) -> bytes:
    async def read() -> bytes:
        return b"".join([piece async for piece in response])  # type: ignore[union-attr]

    return async_to_sync(read)()


def test_empty_says_what_will_be_here(client_as: ClientAs) -> None:
    page = client_as("staff").get("/events/").content.decode()
    assert "No events yet" in page


@pytest.mark.parametrize("url", ["/events/", "/events/export/", "/events/1/"])
def test_who_may_not_see_events(client_as: ClientAs, url: str) -> None:
    assert client_as("physician").get(url).status_code == 403
    assert Client().get(url).status_code == 302


def test_events_are_filtered_and_paged(client_as: ClientAs) -> None:
    services.record_many(
        services.Entry(Kind.C_ECHO if number % 2 else Kind.STUDY_HELD, f"1.2.{number}", "MODALITY")
        for number in range(120)
    )
    staff = client_as("staff")
    first = staff.get("/events/?kind=C_ECHO&actor=MODALITY")
    assert "1.2.119" in first.content.decode()
    assert "1.2.118" not in first.content.decode()
    second = staff.get("/events/" + first.context["page"].next_url).content.decode()
    assert "1.2.19" in second
    assert "kind=C_ECHO" in second
    group = staff.get("/events/?kind=group:Studies&part=1").content.decode()
    assert "1.2.118" in group
    assert "<html" not in group
    assert "No event matches" in staff.get("/events/?study=9.9").content.decode()


def test_what_is_wrong_with_a_filter_stands_at_its_field(client_as: ClientAs) -> None:
    staff = client_as("staff")
    page = staff.get("/events/?since=2026-02-01&until=2026-01-01").content.decode()
    assert "This day is before the first one." in page
    assert "Enter a valid date." in staff.get("/events/?since=yesterday").content.decode()
    assert staff.get("/events/?kind=NO_SUCH&page=no-place").status_code == 200


def test_one_event(client_as: ClientAs) -> None:
    services.record(Kind.C_ECHO, study_uid="1.2", actor="<b>", note="<script>", list=[1, {"a": 2}])
    event = Event.objects.get()
    page = client_as("staff").get(f"/events/{event.pk}/").content.decode()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "not sealed yet" in page
    assert client_as("staff").get("/events/999999999/").status_code == 404


def test_a_study_uid_that_is_no_uid_is_no_trouble(client_as: ClientAs) -> None:
    services.record(Kind.STUDY_FLAGGED, study_uid="../../x/y", actor="")
    assert "../../x/y" in client_as("staff").get("/events/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_an_export_is_streamed_and_an_event(client_as: ClientAs) -> None:
    services.record(Kind.C_ECHO, study_uid="1.2")
    response = client_as("staff").get("/events/export/?study=1.2&form=csv")
    assert isinstance(response, StreamingHttpResponse)
    assert "attachment" in response.headers["Content-Disposition"]
    assert content(response).decode().count("\n") == 2
    assert Event.objects.get(kind=Kind.EVENTS_EXPORTED).actor == "a-staff"
    assert client_as("staff").get("/events/export/?form=pdf").status_code == 400


def test_the_part_for_the_study_page(db: None) -> None:
    services.record(Kind.STUDY_COMPLETE, study_uid="1.2", instances=3)
    events = queries.events("1.2")
    page = render_to_string("audit/study_events.html", {"events": events, "study": {}})
    assert "Study complete" in page
    assert "instances 3" in page
    assert "href" not in page
