"""What the doctor says of nodes."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from isocenter.apps.dimse.models import CommitmentPromise
from isocenter.apps.transfers.models import Node
from isocenter.runtime import doctor_nodes
from isocenter.runtime.doctor_nodes import look_at_nodes
from isocenter.runtime.postgres import EmbeddedPostgres
from isocenter.runtime.settings import Settings

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _database(monkeypatch: pytest.MonkeyPatch, postgres: EmbeddedPostgres) -> None:
    """The test's own, and not the one of the settings."""
    from django.db import connection

    values = connection.settings_dict
    address = (
        f"host={values['HOST']} port={values['PORT']} user={values['USER']} "
        f"password={values['PASSWORD']} dbname={values['NAME']}"
    )
    monkeypatch.setattr(doctor_nodes, "database_url", lambda _: address)


def node(name: str = "pacs", **values: Any) -> Node:
    given = {"ae_title": "PACS", "host": "192.0.2.1", "port": 104, "allows": ["store"]}
    return Node.objects.create(name=name, kind="dimse", **{**given, **values})


def said(**receiver: Any) -> str:
    return "\n".join(text for _, text, _ in look_at_nodes(Settings(receiver=receiver)))


def test_nothing_is_wrong_with_good_nodes() -> None:
    node()
    assert said() == ""


@pytest.mark.parametrize(
    ("values", "receiver", "text"),
    [
        ({"allows": []}, {"unknown_callers": "refuse"}, "nothing can come in"),
        ({"demands": "tls"}, {}, "our receiver talks none"),
        ({"host": "pacs.invalid"}, {}, "no address"),
        ({}, {"allowed_calling_ae_titles": ("OTHER",)}, "is not let in"),
    ],
    ids=["refused", "tls", "name", "title"],
)
def test_what_keeps_callers_out_is_said(
    values: dict[str, Any], receiver: dict[str, Any], text: str
) -> None:
    node(**values)
    assert text in said(**receiver)


def test_a_title_at_two_places_is_no_destination() -> None:
    node("a")
    node("b", port=105)
    assert "PACS is 2 nodes at different places" in said()


def test_commitments_that_nobody_took() -> None:
    node()
    now = timezone.now()
    CommitmentPromise.objects.create(
        node_name="pacs",
        transaction_uid="2.25.1",
        references=[],
        state="given up",
        asked_at=now,
        next_at=now,
        ended_at=now,
    )
    assert "pacs took no result of 1 storage commitments" in said()


def test_without_a_database_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = "host=127.0.0.1 port=1 dbname=x connect_timeout=1"
    monkeypatch.setattr(doctor_nodes, "database_url", lambda _: nowhere)
    assert said() == ""
