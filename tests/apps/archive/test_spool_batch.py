"""Records that are accepted together or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.apps.archive.spool import Spool, SpoolReader
from isocenter.core.errors import SpoolError

SEGMENT = 1 << 20


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool", segment_bytes=SEGMENT) as spool:
        yield spool


def stored(spool: Spool) -> list[tuple[str, bytes]]:
    reader = SpoolReader(spool.folder)
    return [
        (record.meta["name"], record.read())
        for segment in reader.segments()
        for record in reader.records(segment)
    ]


def damaged(spool: Spool) -> list[str]:
    """Segments that a reader would set aside."""
    reader = SpoolReader(spool.folder)
    found = []
    for segment in reader.segments():
        end = max((r.next_offset for r in reader.records(segment)), default=0)
        if reader.is_closed(segment) and reader.damage(segment, end) is not None:
            found.append(segment)
    return found


def put(spool: Spool, names: list[str], payload: bytes = b"x", *, commit: bool = True) -> None:
    with spool.batch() as batch:
        for name in names:
            record = batch.begin({"name": name})
            record.write(payload)
            record.finish()
        if commit:
            assert stored_before_is_hidden(spool, names)
            batch.commit()


def stored_before_is_hidden(spool: Spool, names: list[str]) -> bool:
    return not {name for name, _ in stored(spool)} & set(names)


def test_all_are_there_when_it_is_committed(spool: Spool) -> None:
    put(spool, ["a", "b", "c"], b"payload  \r\n")
    assert stored(spool) == [(name, b"payload  \r\n") for name in "abc"]


def test_nothing_is_there_when_it_is_given_up(spool: Spool) -> None:
    put(spool, ["a"])
    put(spool, ["b", "c"], commit=False)
    put(spool, ["d"])
    assert [name for name, _ in stored(spool)] == ["a", "d"]
    spool.close()
    assert damaged(spool) == []


def test_a_record_that_is_given_up_leaves_the_others(spool: Spool) -> None:
    with spool.batch() as batch:
        for name in ("a", "b", "c"):
            record = batch.begin({"name": name})
            record.write(b"x" * 5000)
            if name == "b":
                record.abort()
            else:
                record.finish()
        assert batch.records == 2
        batch.commit()
    assert [name for name, _ in stored(spool)] == ["a", "c"]


def test_more_than_the_segments_that_are_held_open(spool: Spool) -> None:
    names = [f"n{number}" for number in range(60)]
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    with spool.batch() as batch:
        for name in names:
            record = batch.begin({"name": name})
            record.write(b"y" * (SEGMENT // 2))
            record.finish()
        assert sum(1 for _ in Path("/proc/self/fd").iterdir()) - before <= 16
        batch.commit()
    assert [name for name, _ in stored(spool)] == names
    spool.close()
    assert damaged(spool) == []


def test_a_record_larger_than_a_segment(spool: Spool) -> None:
    put(spool, ["big", "small"], os.urandom(3 * SEGMENT))
    assert [len(payload) for _, payload in stored(spool)] == [3 * SEGMENT] * 2


def test_what_a_dead_process_left_is_nothing(spool: Spool) -> None:
    batch = spool.batch()
    record = batch.begin({"name": "a"})
    record.write(b"x")
    record.finish()
    for held in batch._held:  # the process ends here
        held.segment.close()
    batch._held.clear()
    assert stored(spool) == []
    assert damaged(spool) == []


def test_a_failing_disk_accepts_nothing(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.fdatasync, []

    def fail(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        real(fd)

    with spool.batch() as batch:
        record = batch.begin({"name": "a"})
        record.write(b"x")
        record.finish()
        monkeypatch.setattr(os, "fdatasync", fail)
        with pytest.raises(SpoolError, match="Input/output error"):
            batch.commit()
    monkeypatch.undo()
    assert stored(spool) == []
    put(spool, ["b"])
    assert [name for name, _ in stored(spool)] == ["b"]


def test_one_record_at_a_time(spool: Spool) -> None:
    with spool.batch() as batch:
        batch.begin({"name": "a"})
        with pytest.raises(SpoolError):
            batch.begin({"name": "b"})


STEPS = st.lists(
    st.tuples(st.sampled_from(["finish", "abort", "commit", "give up"]), st.integers(0, 400_000)),
    max_size=12,
)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_whatever_happens_exactly_the_committed_is_there(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    with Spool(tmp_path_factory.mktemp("spool"), segment_bytes=SEGMENT) as spool:
        expected: list[str] = []
        waiting: list[str] = []
        batch = spool.batch()
        for number, (step, size) in enumerate(steps):
            name = f"n{number}"
            if step in ("finish", "abort"):
                record = batch.begin({"name": name})
                record.write(b"z" * size)
                getattr(record, step)()
                waiting += [name] if step == "finish" else []
            elif step == "commit":
                batch.commit()
                expected, waiting = expected + waiting, []
            else:
                batch.close()
                waiting = []
        batch.close()
        assert sorted(name for name, _ in stored(spool)) == sorted(expected)
