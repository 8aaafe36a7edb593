"""The chain: what is sealed, when, and that whoever touches it is found out."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import InternalError, ProgrammingError, connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from append_only import unguarded
from isocenter.apps.audit import sealing, services
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.models import Event, EventSeal

REFUSED = (InternalError, ProgrammingError)


def record(count: int = 1, **detail: Any) -> None:
    services.record_many(
        services.Entry(Kind.C_ECHO, f"1.2.{number}", "someone", {"number": number, **detail})
        for number in range(count)
    )


def raw(*statements: str) -> None:
    """What somebody with the database's password and no scruples can do."""
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in unguarded(*statements):
            cursor.execute(statement)


@pytest.mark.parametrize("table", ["audit_event", "audit_eventseal"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET at = now()", "DELETE FROM {}", "TRUNCATE {}"])
def test_raw_sql_cannot_change_what_is_written(
    transactional_db: None, table: str, statement: str
) -> None:
    record()
    services.seal_events()
    with pytest.raises(REFUSED, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement.format(table))
    assert Event.objects.count() == EventSeal.objects.count() == 1


def test_the_orm_cannot_either(transactional_db: None) -> None:
    record()
    with pytest.raises(REFUSED, match="append-only"):
        Event.objects.update(actor="another")
    with pytest.raises(REFUSED, match="append-only"):
        Event.objects.get().delete()


def test_events_are_sealed_once_and_verify(transactional_db: None) -> None:
    record(3)
    assert services.seal_events() == 3
    assert services.seal_events() == 0
    record(2, text="Grüße 頭", number_2=0.1, deep={"a": [1, None, True]})
    assert services.seal_events() == 2
    record()
    found = services.verify()
    assert found.ok, found
    assert (found.seals, found.events, found.unsealed, found.log_lines) == (2, 5, 1, 2)


def test_a_seal_has_a_bounded_number_of_events(transactional_db: None) -> None:
    record(25)
    assert sealing.seal_events(at_once=10) == 25
    assert list(EventSeal.objects.order_by("number").values_list("count", flat=True)) == [10, 10, 5]
    assert services.verify().ok


def test_an_event_that_is_committed_late_is_sealed_later(transactional_db: None) -> None:
    """Its id is lower than those of events that were committed, and could be sealed, before."""
    written, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        try:
            with transaction.atomic():
                record()
                written.set()
                assert may_commit.wait(30)
        finally:
            connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(30)
    record(2)
    assert services.seal_events() == 0  # in the order of turns these come after the open one
    may_commit.set()
    thread.join()
    assert services.seal_events() == 3
    assert services.verify().ok


def test_what_is_rolled_back_leaves_no_gap_that_counts(transactional_db: None) -> None:
    record()
    with transaction.atomic():
        record(3)
        transaction.set_rollback(True)
    record()
    assert services.seal_events() == 2
    assert services.verify().ok


def test_many_writers_and_sealers_cover_everything_once(transactional_db: None) -> None:
    def in_threads(*work: Callable[[], object]) -> None:
        def run(each: Callable[[], object]) -> None:
            try:
                for _ in range(20):
                    each()
            finally:
                connection.close()

        threads = [threading.Thread(target=run, args=(each,)) for each in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    in_threads(*[lambda: record(3)] * 4, *[services.seal_events] * 2)
    services.seal_events()
    found = services.verify()
    assert found.ok, found
    assert (found.events, found.unsealed) == (240, 0)


def test_a_restored_database_goes_on(transactional_db: None) -> None:
    """A new server counts its transactions from the start."""
    record(2)
    services.seal_events()
    raw("UPDATE audit_event SET turn = turn + 1000000000", "DELETE FROM audit_eventseal")
    settings.LAYOUT.logs.joinpath("transactions.jsonl").unlink()
    assert services.go_on_growing()
    assert not services.go_on_growing()
    try:
        assert services.seal_events() == 2
        record()
        assert services.seal_events() == 1
        assert services.verify().ok
    finally:
        raw("SELECT setval('audit_turn_offset', 0, true)")


EVENT_CHANGES = {
    "change": "UPDATE audit_event SET actor = 'another' WHERE id = {id}",
    "change the time": "UPDATE audit_event SET at = at + interval '1 us' WHERE id = {id}",
    "change a detail": "UPDATE audit_event SET detail = detail || '{{\"x\": 1}}' WHERE id = {id}",
    "remove": "DELETE FROM audit_event WHERE id = {id}",
    "insert": "INSERT INTO audit_event (id, at, kind, study_uid, actor, detail, turn)"
    " SELECT id + 100000, at, kind, study_uid, actor, detail, turn FROM audit_event"
    " WHERE id = {id}",
    "swap": "UPDATE audit_event SET study_uid = CASE WHEN id = {id} THEN 'b' ELSE 'a' END"
    " WHERE id IN ({id}, {other})",
    "move": "UPDATE audit_event SET turn = {other_turn} WHERE id = {id}",
}
SEAL_CHANGES = {
    "change": "UPDATE audit_eventseal SET at = at - interval '1 day' WHERE number = {seal}",
    "remove": "DELETE FROM audit_eventseal WHERE number = {seal}",
    "cut the tail": "DELETE FROM audit_eventseal WHERE number >= {seal}",
    "cut the tail with its events": "DELETE FROM audit_event WHERE turn > (SELECT coalesce("
    "max(last_turn), -1) FROM audit_eventseal WHERE number < {seal});"
    "DELETE FROM audit_eventseal WHERE number >= {seal}",
    "change the hash": "UPDATE audit_eventseal SET hash = repeat('a', 64) WHERE number = {seal}",
}


def _sealed(groups: list[int]) -> list[tuple[int, int]]:
    """Groups of events, each sealed; (turn, id) of all."""
    for count in groups:
        record(count)
        services.seal_events()
    assert services.verify().ok
    with connection.cursor() as cursor:
        cursor.execute("SELECT turn, id FROM audit_event ORDER BY turn, id")
        return list(cursor.fetchall())


def _empty() -> None:
    raw("DELETE FROM audit_eventseal", "DELETE FROM audit_event")
    settings.LAYOUT.logs.joinpath("transactions.jsonl").unlink(missing_ok=True)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), groups=st.lists(st.integers(1, 4), min_size=2, max_size=4))
def test_whatever_is_done_to_an_event_is_found(
    transactional_db: None, data: st.DataObject, groups: list[int]
) -> None:
    _empty()
    places = _sealed(groups)
    change = data.draw(st.sampled_from(sorted(EVENT_CHANGES)))
    if change == "insert":  # behind the last seal it is an event like any other
        places = [place for place in places if place[0] < places[-1][0]]
    turn, key = data.draw(st.sampled_from(places))
    others = [place for place in places if place[0] != turn] or [(turn + 1, key + 1)]
    other_turn, other = data.draw(st.sampled_from(others))
    raw(EVENT_CHANGES[change].format(id=key, other=other, other_turn=other_turn))
    assert not services.verify().ok, change


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), groups=st.lists(st.integers(1, 4), min_size=2, max_size=4))
def test_whatever_is_done_to_a_seal_is_found(
    transactional_db: None, data: st.DataObject, groups: list[int]
) -> None:
    _empty()
    _sealed(groups)
    change = data.draw(st.sampled_from(sorted(SEAL_CHANGES)))
    seal = data.draw(st.integers(1, len(groups)))
    raw(*SEAL_CHANGES[change].format(seal=seal).split(";"))
    found = services.verify()
    assert found.problem is not None, change
    assert found.problem.seal is not None
    assert found.problem.seal in (seal, seal + 1)


def test_the_first_place_that_is_wrong_is_said(transactional_db: None) -> None:
    places = _sealed([2, 2, 2])
    raw(f"UPDATE audit_event SET kind = 'STUDY_HELD' WHERE id = {places[3][1]}")
    problem = services.verify().problem
    assert problem is not None
    assert "seal 2" in problem.text
    assert (problem.after_id, problem.up_to_id) == (places[1][1], places[3][1])


def test_a_seal_is_a_line_in_the_transaction_log(transactional_db: None) -> None:
    record(2)
    services.seal_events()
    lines = (settings.LAYOUT.logs / "transactions.jsonl").read_text().splitlines()
    line = json.loads(lines[-1])
    seal = EventSeal.objects.get()
    assert (line["event"], line["seal"], line["hash"]) == ("EVENTS_SEALED", 1, seal.hash)


def test_a_line_that_a_crash_tore_is_no_reason_for_alarm(transactional_db: None) -> None:
    record()
    services.seal_events()
    with (settings.LAYOUT.logs / "transactions.jsonl").open("a") as stream:
        stream.write('{"event": "EVENTS_SEALED", "seal": 7')
    assert services.verify().ok
