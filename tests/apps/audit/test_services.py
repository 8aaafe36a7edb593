"""Events as rows and as log lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from isocenter.apps.accounts.rights import Principal
from isocenter.apps.audit import queries, services
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.models import Event
from isocenter.runtime.layout import Layout

Commit = Callable[..., AbstractContextManager[Any]]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_event_is_a_row_and_after_the_commit_a_line(
    db: None, installation: Layout, django_capture_on_commit_callbacks: Commit
) -> None:
    log = installation.logs / "transactions.jsonl"
    with django_capture_on_commit_callbacks(execute=True):
        services.record(Kind.STUDY_COMPLETE, study_uid="1.2", actor="cli", revision=1)
        assert not log.exists()
    (event,) = queries.events("1.2")
    assert (event.kind, event.actor, event.detail) == ("STUDY_COMPLETE", "cli", {"revision": 1})
    (line,) = lines(log)
    assert line["event"] == "STUDY_COMPLETE"
    assert (line["study_uid"], line["revision"]) == ("1.2", 1)
    assert line["at"] == event.at.isoformat()


def test_what_is_rolled_back_leaves_no_line(db: None, installation: Layout) -> None:
    with transaction.atomic():
        services.record(Kind.C_ECHO)
        transaction.set_rollback(True)
    assert Event.objects.count() == 0
    assert not (installation.logs / "transactions.jsonl").exists()


def test_an_unknown_kind_is_an_error(db: None) -> None:
    with pytest.raises(ValueError, match="NO_SUCH"):
        services.record("NO_SUCH")


def test_identity_and_bytes_that_postgresql_does_not_take_are_left_out(db: None) -> None:
    services.record(Kind.C_ECHO, patient_name="X", note="a\0b\ud800")
    assert Event.objects.get().detail == {"note": "a\ufffdb?"}


def test_events_are_asked_for_by_kind(db: None) -> None:
    services.record_many(
        services.Entry(kind, "1.2") for kind in (Kind.C_ECHO, Kind.STUDY_HELD, Kind.C_ECHO)
    )
    assert len(queries.events("1.2", kinds=[Kind.C_ECHO])) == 2
    assert len(queries.events("1.2", limit=1)) == 1


def test_a_study_that_is_looked_at_again_and_again_is_one_view(db: None) -> None:
    alice, bob = Principal("alice", user_id=1), Principal("bob", user_id=2, token="iso_ab")
    assert services.record_view(alice, "1.2")
    assert not services.record_view(alice, "1.2")
    assert services.record_view(alice, "1.3")
    assert services.record_view(alice, "1.2", "images")
    assert services.record_view(bob, "1.2")
    assert Event.objects.filter(study_uid="1.2", kind=Kind.STUDY_VIEWED).count() == 3
    assert Event.objects.get(actor="bob").detail == {"what": "study", "token": "iso_ab"}


def test_a_view_long_ago_is_another_one(db: None) -> None:
    long_ago = timezone.now() - services.ONE_VIEW
    detail = {"what": "study"}
    services.record_many([services.Entry(Kind.STUDY_VIEWED, "1.2", "alice", detail, long_ago)])
    assert services.record_view(Principal("alice", user_id=1), "1.2")
