"""Events and wakes between the receiver and ingest."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from isocenter.apps.archive.spool import EventJournal, EventReader, WakeListener, WakeSender
from isocenter.core.errors import SpoolError


def test_events_come_back_and_files_rotate(tmp_path: Path) -> None:
    journal = EventJournal(tmp_path, rotate_bytes=300)
    for number in range(10):
        journal.append("C_ECHO", {"number": number})
    reader = EventReader(tmp_path)
    files = reader.files()
    assert len(files) > 2
    events = [event for file in files for event in reader.events(file)]
    assert [event.detail["number"] for event in events] == list(range(10))
    assert {event.kind for event in events} == {"C_ECHO"}
    assert [reader.is_closed(file) for file in files] == [True] * (len(files) - 1) + [False]
    journal.close()
    assert all(reader.is_closed(file) for file in files)
    for file in files:
        reader.discard(file)
    assert reader.files() == []


def test_reading_goes_on_behind_an_event(tmp_path: Path) -> None:
    journal = EventJournal(tmp_path)
    for number in range(3):
        journal.append("C_ECHO", {"number": number})
    reader = EventReader(tmp_path)
    (file,) = reader.files()
    first = next(iter(reader.events(file)))
    rest = reader.events(file, first.next_offset)
    assert [event.detail["number"] for event in rest] == [1, 2]
    journal.close()


def test_lines_that_are_no_events_are_passed_over(tmp_path: Path) -> None:
    journal = EventJournal(tmp_path)
    journal.append("C_ECHO", {})
    journal.close()
    reader = EventReader(tmp_path)
    (file,) = reader.files()
    with (tmp_path / "events" / file).open("ab") as stream:
        stream.write(b'garbage\n[1]\n{"kind": 3}\n{"at": "cut off')
    assert [event.kind for event in reader.events(file)] == ["C_ECHO"]


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    journal = EventJournal(tmp_path, rotate_bytes=5000)
    threads = [
        threading.Thread(target=lambda: [journal.append("C_ECHO", {"x": "y"}) for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    reader = EventReader(tmp_path)
    assert sum(1 for file in reader.files() for _ in reader.events(file)) == 400


def test_event_files_are_named_by_us_only(tmp_path: Path) -> None:
    with pytest.raises(SpoolError):
        list(EventReader(tmp_path).events("../x.jsonl"))


def test_a_wake_arrives_once(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)  # longer than a socket address may be
    with WakeListener(folder) as listener:
        sender = WakeSender(folder)
        assert not listener.wait(0)
        sender.send()
        sender.send()
        assert listener.wait(5)
        assert not listener.wait(0)
        sender.close()


def test_waking_nobody_is_harmless(tmp_path: Path) -> None:
    sender = WakeSender(tmp_path)
    sender.send()
    sender.close()
