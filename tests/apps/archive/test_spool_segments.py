"""The spool: what was committed comes back byte for byte, nothing else ever does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isocenter.apps.archive.spool import Spool, SpoolReader
from isocenter.apps.archive.spool.segment_format import (
    BLOCK,
    FIRST_RECORD,
    RecordHeader,
    decode_segment_block,
)
from isocenter.core.errors import SpoolError

SEGMENT = 256 * 1024


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path, segment_bytes=SEGMENT) as opened:
        yield opened


def store(spool: Spool, *payloads: bytes) -> None:
    with spool.writer() as writer:
        for number, payload in enumerate(payloads):
            writer.begin({"number": number}).commit(payload)


def read_all(folder: Path) -> list[bytes]:
    reader = SpoolReader(folder)
    return [record.read() for name in reader.segments() for record in reader.records(name)]


def segment_file(folder: Path) -> Path:
    (path,) = (folder / "segments").glob("*.seg")
    return path


def test_records_come_back_in_order_with_their_meta(spool: Spool, tmp_path: Path) -> None:
    with spool.writer() as writer:
        record = writer.begin({"kind": "dimse", "number": 1}, b"head")
        record.write(b"a" * 5000, b"b")
        record.commit(b"end")
        writer.begin({"kind": "import"}).commit(b"second")

    reader = SpoolReader(tmp_path)
    (name,) = reader.segments()
    first, second = reader.records(name)
    assert first.meta == {"kind": "dimse", "number": 1}
    assert first.payload_length == 4 + 5000 + 1 + 3
    assert second.meta == {"kind": "import"}
    assert read_all(tmp_path) == [b"head" + b"a" * 5000 + b"bend", b"second"]


def test_reading_goes_on_where_a_cursor_says(spool: Spool, tmp_path: Path) -> None:
    store(spool, b"one", b"two", b"three")
    reader = SpoolReader(tmp_path)
    (name,) = reader.segments()
    first = next(iter(reader.records(name)))
    assert [record.read() for record in reader.records(name, first.next_offset)] == [
        b"two",
        b"three",
    ]


def test_a_record_is_read_in_parts(spool: Spool, tmp_path: Path) -> None:
    payload = os.urandom(200_000)
    store(spool, payload)
    reader = SpoolReader(tmp_path)
    for record in reader.records(reader.segments()[0]):
        assert record.read(10, at=100) == payload[100:110]
        assert record.read(at=199_990) == payload[-10:]
        assert b"".join(map(bytes, record.chunks(4097, at=3))) == payload[3:]


def test_an_aborted_record_leaves_nothing(spool: Spool, tmp_path: Path) -> None:
    with spool.writer() as writer:
        record = writer.begin({})
        record.write(b"x" * 10_000)
        record.abort()
        writer.begin({}).commit(b"kept")
        with writer.begin({}) as forgotten:
            forgotten.write(b"y")
    assert read_all(tmp_path) == [b"kept"]


def test_only_one_record_at_a_time(spool: Spool) -> None:
    with spool.writer() as writer:
        writer.begin({})
        with pytest.raises(SpoolError):
            writer.begin({})


def test_an_instance_bigger_than_a_segment_grows_it_and_discard_shrinks_it(
    spool: Spool, tmp_path: Path
) -> None:
    big = os.urandom(3 * SEGMENT)
    with spool.writer() as writer:
        record = writer.begin({})
        for first in range(0, len(big), 50_000):
            record.write(big[first : first + 50_000])
        record.commit()
        writer.begin({}).commit(b"small")
    assert read_all(tmp_path) == [big, b"small"]
    spool.close()
    reader = SpoolReader(tmp_path)
    for name in reader.segments():
        assert reader.is_closed(name)
        reader.discard(name)
    assert {path.stat().st_size for path in (tmp_path / "free").iterdir()} == {SEGMENT}


def test_a_full_segment_is_followed_by_another(spool: Spool, tmp_path: Path) -> None:
    payloads = [os.urandom(100_000) for _ in range(7)]
    store(spool, *payloads)
    assert len(SpoolReader(tmp_path).segments()) > 2
    assert read_all(tmp_path) == payloads


def test_segments_are_reused_by_the_next_association(spool: Spool, tmp_path: Path) -> None:
    store(spool, b"one")
    store(spool, b"two")
    assert len(SpoolReader(tmp_path).segments()) == 1
    assert read_all(tmp_path) == [b"one", b"two"]


def test_a_segment_is_open_while_its_writer_lives(spool: Spool, tmp_path: Path) -> None:
    store(spool, b"one")
    reader = SpoolReader(tmp_path)
    (name,) = reader.segments()
    assert not reader.is_closed(name)
    spool.close()
    assert reader.is_closed(name)


def test_records_of_a_segments_earlier_life_never_come_back(tmp_path: Path) -> None:
    with Spool(tmp_path, segment_bytes=SEGMENT) as spool:
        store(spool, b"old one", b"old two", b"old three")
    reader = SpoolReader(tmp_path)
    reader.discard(reader.segments()[0])
    with Spool(tmp_path, segment_bytes=SEGMENT) as spool:
        store(spool, b"new")
        assert read_all(tmp_path) == [b"new"]
        assert list((tmp_path / "free").iterdir()) == []


def test_prepared_segments_are_taken_first(tmp_path: Path) -> None:
    with Spool(tmp_path, segment_bytes=SEGMENT) as spool:
        spool.prepare(2)
        assert len(list((tmp_path / "free").iterdir())) == 2
        store(spool, b"one")
        assert len(list((tmp_path / "free").iterdir())) == 1
        assert read_all(tmp_path) == [b"one"]


def test_segments_of_another_size_are_not_reused(tmp_path: Path) -> None:
    with Spool(tmp_path, segment_bytes=SEGMENT) as spool:
        spool.prepare(1)
    with Spool(tmp_path, segment_bytes=2 * SEGMENT) as spool:
        store(spool, b"one")
    assert segment_file(tmp_path).stat().st_size == 2 * SEGMENT


def test_few_free_segments_are_kept(tmp_path: Path) -> None:
    with Spool(tmp_path, segment_bytes=SEGMENT) as spool:
        store(spool, *[os.urandom(200_000) for _ in range(6)])
    reader = SpoolReader(tmp_path, keep_free=2)
    for name in reader.segments():
        reader.discard(name)
    assert len(list((tmp_path / "free").iterdir())) == 2


def test_names_from_outside_are_no_paths(tmp_path: Path) -> None:
    reader = SpoolReader(tmp_path)
    for name in ("../x", "", ".hidden", "a/b"):
        with pytest.raises(SpoolError):
            list(reader.records(name))


def test_no_room_below_the_reserve(tmp_path: Path) -> None:
    with Spool(tmp_path, segment_bytes=SEGMENT, reserve_bytes=1 << 62) as spool:
        assert not spool.has_room()


def test_a_disk_that_is_full_undoes_the_record(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for the full disk: the kernel refuses the write in the same place."""
    program = f"""
import resource, signal
from pathlib import Path
from isocenter.apps.archive.spool import Spool, SpoolReader
from isocenter.core.errors import SpoolError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path({str(tmp_path)!r}), segment_bytes={SEGMENT})
writer = spool.writer()
writer.begin({{}}).commit(b"fits")
resource.setrlimit(resource.RLIMIT_FSIZE, ({SEGMENT}, resource.RLIM_INFINITY))
record = writer.begin({{}})
try:
    for _ in range(20):
        record.write(b"x" * 50_000)
    record.commit()
except SpoolError as error:
    print("refused")
writer.begin({{}}).commit(b"goes on")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=150
    )
    assert done.stdout.split() == ["refused"]
    assert read_all(tmp_path) == [b"fits", b"goes on"]


def test_a_writer_that_is_killed_leaves_a_closed_segment(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from isocenter.apps.archive.spool import Spool
writer = Spool(Path({str(tmp_path)!r}), segment_bytes={SEGMENT}).writer()
writer.begin({{}}).commit(b"acknowledged")
record = writer.begin({{}})
record.write(b"x" * 20_000)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False, timeout=150)
    reader = SpoolReader(tmp_path)
    (name,) = reader.segments()
    assert reader.is_closed(name)
    assert read_all(tmp_path) == [b"acknowledged"]


def test_success_means_synced(tmp_path: Path) -> None:
    """The system calls in their order: data, sync; a new segment's file, name and folder first."""
    program = f"""
import os
from pathlib import Path
calls = []
def spy(name):
    real = getattr(os, name)
    def call(*arguments, **keywords):
        calls.append(name)
        return real(*arguments, **keywords)
    setattr(os, name, call)
for name in ("pwrite", "pwritev", "fsync", "fdatasync"):
    spy(name)
rename = Path.rename
Path.rename = lambda self, target: (calls.append("rename"), rename(self, target))[1]
from isocenter.apps.archive.spool import Spool
writer = Spool(Path({str(tmp_path)!r}), segment_bytes={SEGMENT}).writer()
record = writer.begin({{}})
record.write(b"x" * 9000)
record.commit(b"end")
print(*calls)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=150
    )
    assert done.stdout.split() == [
        *("fsync", "fsync"),  # names of the folders
        *("pwrite", "fsync", "rename", "fsync"),  # key, file, name, folder
        *("pwritev", "pwritev", "pwritev", "fdatasync"),  # payload, its end, header, sync
    ]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_hides_records_but_never_makes_any(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Overwrite any run of bytes: each record that is still given out is one that was written."""
    folder = tmp_path_factory.mktemp("spool")
    payloads = data.draw(st.lists(st.binary(max_size=9000), min_size=1, max_size=4))
    with Spool(folder, segment_bytes=SEGMENT) as spool:
        store(spool, *payloads)
    path = segment_file(folder)
    at = data.draw(st.integers(0, 50_000))
    damage = data.draw(st.binary(min_size=1, max_size=5000))
    with path.open("r+b") as stream:
        stream.seek(at)
        before = stream.read(len(damage))
        stream.seek(at)
        stream.write(damage)
    found = read_all(folder)
    assert found == payloads[: len(found)]
    if before == damage:
        assert found == payloads


@pytest.mark.parametrize("keep", [0, 17, BLOCK, FIRST_RECORD + 60, FIRST_RECORD + 5000])
def test_a_file_that_was_cut_off_gives_only_whole_records(
    spool: Spool, tmp_path: Path, keep: int
) -> None:
    store(spool, b"a" * 20_000, b"b")
    os.truncate(segment_file(tmp_path), keep)
    assert read_all(tmp_path) == []


def test_a_record_forged_inside_a_payload_is_not_there(spool: Spool, tmp_path: Path) -> None:
    """A sender hides a perfect record at a block boundary, then its instance is aborted and a
    short one takes its place: the reader now looks exactly where the forgery lies."""
    forged = RecordHeader(2 * BLOCK, 1, 6, 0, 2).encode(b"guess" * 3 + b"!", b"{}") + b"{}forged"
    with spool.writer() as writer:
        record = writer.begin({})
        record.write(b"\0" * (BLOCK - 130) + forged.ljust(2 * BLOCK, b"\0"))
        record.abort()
        writer.begin({}).commit(b"real")
    raw = segment_file(tmp_path).read_bytes()
    assert raw[2 * BLOCK :].startswith(forged[:8])  # it lies where the next record would begin
    assert read_all(tmp_path) == [b"real"]


def test_a_record_copied_to_another_place_is_not_there(spool: Spool, tmp_path: Path) -> None:
    store(spool, b"one")
    path = segment_file(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[2 * BLOCK : 3 * BLOCK] = raw[BLOCK : 2 * BLOCK]
    path.write_bytes(raw)
    assert read_all(tmp_path) == [b"one"]


def test_the_first_block_is_checked(spool: Spool, tmp_path: Path) -> None:
    store(spool, b"one")
    block = segment_file(tmp_path).read_bytes()[:BLOCK]
    assert decode_segment_block(block) is not None
    assert decode_segment_block(bytes(BLOCK)) is None
    assert decode_segment_block(block[:20] + b"\xff" + block[21:]) is None
    assert decode_segment_block(block[:100]) is None


def spoil(path: Path, at: int) -> None:
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(b"rot")


@pytest.mark.parametrize("at", [FIRST_RECORD + 20, FIRST_RECORD + 5000])
def test_what_follows_a_spoilt_record_is_found(spool: Spool, tmp_path: Path, at: int) -> None:
    """Header or payload of the first record rot; the second one was acknowledged too."""
    store(spool, b"a" * 20_000, b"second")
    spoil(segment_file(tmp_path), at)
    reader = SpoolReader(tmp_path)
    (name,) = reader.segments()
    assert list(reader.records(name)) == []

    behind = reader.damage(name, 0)

    assert behind is not None
    assert [record.read() for record in reader.records(name, behind)] == [b"second"]


def test_the_end_of_a_segment_is_no_damage(spool: Spool, tmp_path: Path) -> None:
    store(spool, b"one", b"two")
    reader = SpoolReader(tmp_path)
    (name,) = reader.segments()
    *_, last = reader.records(name)
    assert reader.damage(name, last.next_offset) is None


def test_a_segment_without_its_key_is_damaged_to_its_end(spool: Spool, tmp_path: Path) -> None:
    store(spool, b"one")
    path = segment_file(tmp_path)
    spoil(path, 10)
    reader = SpoolReader(tmp_path)
    assert reader.damage(path.stem, 0) == path.stat().st_size
    assert reader.damage(path.stem, path.stat().st_size) is None


def test_a_segment_set_aside_is_kept_and_never_written_again(spool: Spool, tmp_path: Path) -> None:
    store(spool, b"one")
    spool.close()
    reader = SpoolReader(tmp_path)
    (name,) = reader.segments()
    kept = reader.set_aside(name)
    before = kept.read_bytes()
    reader.discard(name)
    with Spool(tmp_path, segment_bytes=SEGMENT) as again:
        store(again, b"x" * 50_000)
    assert kept.read_bytes() == before
