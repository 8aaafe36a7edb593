"""Exports: complete, with seals, and verifiable by themselves."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from isocenter.apps.audit import chain, exporting, sealing, services
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.models import Event, EventSeal
from isocenter.apps.audit.queries import EventFilter
from isocenter.core.errors import ConfigurationError


def record(*studies: str, actor: str = "someone") -> None:
    services.record_many(services.Entry(Kind.C_ECHO, uid, actor, {"ü": "é頭"}) for uid in studies)


def lines(wanted: EventFilter | None = None) -> list[dict[str, Any]]:
    text = b"".join(exporting.export(wanted or EventFilter()))
    return [json.loads(line) for line in text.splitlines()]


def test_an_export_can_be_verified_with_nothing_but_sha_256(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_AT_ONCE", 2)
    monkeypatch.setattr(exporting._Seals, "_AT_ONCE", 1)
    for studies in (("1", "2", "3"), ("4",), ("5", "6")):
        record(*studies)
        services.seal_events()
    record("7")
    covered: list[bytes] = []
    previous, seals = chain.FIRST, 0
    for line in b"".join(exporting.export(EventFilter())).splitlines(keepends=True):
        found = json.loads(line)
        if "seal" not in found:
            covered.append(line)
            continue
        hash_ = found.pop("hash")
        assert found["previous_hash"] == previous
        assert hashlib.sha256(chain.canonical(found) + b"".join(covered)).hexdigest() == hash_
        previous, covered, seals = hash_, [], seals + 1
    assert seals == 3
    assert json.loads(covered[0])["study_uid"] == "7"  # not sealed yet


def test_a_filter_leaves_out_events_and_seals_that_are_not_concerned(
    transactional_db: None,
) -> None:
    for studies in (("1", "2"), ("2",), ("1", "1")):
        record(*studies)
        services.seal_events()
    found = lines(EventFilter(study_uid="1"))
    assert [line.get("seal", line.get("study_uid")) for line in found] == ["1", 1, "1", "1", 3]


def test_time_kind_and_actor(transactional_db: None) -> None:
    record("1", actor="alice")
    services.record(Kind.STUDY_HELD, study_uid="2", actor="alice")
    record("3", actor="bob")
    first, second, third = Event.objects.order_by("pk")
    assert len(lines(EventFilter(since=second.at))) == 2
    assert len(lines(EventFilter(until=third.at))) == 2
    assert len(lines(EventFilter(kinds=("STUDY_HELD", "C_ECHO"), actor="alice"))) == 2
    assert lines(EventFilter(kinds=("STUDY_HELD",)))[0]["id"] == second.pk
    assert first.pk


def test_csv_has_a_row_per_event_and_no_formula(transactional_db: None) -> None:
    record("1", actor="=cmd()")
    services.seal_events()
    record("2")
    text = b"".join(exporting.export(EventFilter(), "csv")).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["seal"], row["study_uid"]) for row in rows] == [("1", "1"), ("", "2")]
    assert rows[0]["actor"] == "'=cmd()"
    assert json.loads(rows[0]["detail"]) == {"ü": "é頭"}


def test_nothing_is_an_empty_export(transactional_db: None) -> None:
    assert lines() == []
    assert b"".join(exporting.export(EventFilter(), "csv")).startswith(b"seal,turn,id")


def test_another_form_is_refused_and_no_event(transactional_db: None) -> None:
    with pytest.raises(ConfigurationError, match="pdf"):
        services.export(EventFilter(), "pdf", actor="alice")
    assert not Event.objects.exists()


def test_an_export_is_an_event(transactional_db: None) -> None:
    b"".join(services.export(EventFilter(study_uid="1.2"), "csv", actor="alice"))
    event = Event.objects.get()
    assert (event.kind, event.actor) == ("EVENTS_EXPORTED", "alice")
    assert event.detail == {"form": "csv", "study_uid": "1.2"}


def test_the_seal_of_an_event(transactional_db: None) -> None:
    from isocenter.apps.audit import queries

    for _ in range(3):
        record("1", "2")
        services.seal_events()
    record("3")
    rows = list(Event.objects.order_by("pk"))
    numbers = [seal.number if (seal := queries.seal_of(row)) else None for row in rows]
    assert numbers == [1, 1, 2, 2, 3, 3, None]
    assert EventSeal.objects.count() == 3
    assert sealing.unsealed() == 1


def test_the_program_in_the_guide_proves_an_export(
    transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = Path(__file__).parents[3] / "docs" / "guides" / "audit.md"
    program = guide.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    for studies in (("1", "2"), ("3",)):
        record(*studies)
        services.seal_events()
    whole = b"".join(exporting.export(EventFilter()))
    monkeypatch.chdir(tmp_path)
    Path("events.jsonl").write_bytes(whole)
    exec(program)
    for changed in (
        whole.replace(b"someone", b"another", 1),
        b"".join(whole.splitlines(keepends=True)[1:]),
        whole.replace(b'"seal":2', b'"seal":3'),
    ):
        Path("events.jsonl").write_bytes(changed)
        with pytest.raises(AssertionError, match="is broken"):
            exec(program)
