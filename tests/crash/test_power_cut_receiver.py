"""The power goes while instances come in: what was acknowledged is there afterwards."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import generate_uid

from crash.disk_model import tosses
from crash.disk_recorder import DiskRecorder
from isocenter.apps.archive.spool import Spool, SpoolReader
from isocenter.apps.archive.spool import segment as segment_module
from isocenter.apps.archive.spool.sink import SpoolSinks
from isocenter.core.network.acceptor import Acceptor, AcceptorConfig
from isocenter.core.network.policy import ReceivePolicy
from isocenter.core.network.storage import StorageService
from stand.raw_peer import CT_IMAGE, IMPLICIT, SUCCESS, RawPeer, associate_rq, element, uid

SEGMENT_BYTES = 64 << 10


@contextmanager
def receiver(folder: Path) -> Iterator[Acceptor]:
    """The product's acceptor and spool, in this process."""
    spool = Spool(folder, segment_bytes=SEGMENT_BYTES)
    acceptor = Acceptor(
        AcceptorConfig(),
        services=[StorageService(SpoolSinks(spool))],
        policy=ReceivePolicy,
        events=lambda event: None,
    )
    acceptor.start()
    try:
        yield acceptor
    finally:
        acceptor.stop(5)
        spool.close()


def instance(size: int) -> tuple[str, bytes]:
    """A data set of about ``size`` bytes, in implicit VR little endian."""
    name = generate_uid()
    filling = (name.encode() * (size // len(name) + 1))[:size]
    return name, element(0x18, uid(name), group=8) + element(0x10, filling, group=0x7FE0)


def send(port: int, sizes: list[int], sent: dict[str, bytes], mark: Callable[[str], None]) -> None:
    with RawPeer(port) as peer:
        assert peer.associate(associate_rq([(CT_IMAGE, (IMPLICIT,))])) == 2
        for size in sizes:
            name, data_set = instance(size)
            sent[name] = data_set
            assert peer.store(name, data_set) == SUCCESS
            mark(name)
        peer.release()


def found_in(folder: Path) -> dict[str, bytes]:
    """What the restart code finds in a spool."""
    reader = SpoolReader(folder)
    found = {}
    for segment in reader.segments():
        assert reader.is_closed(segment), "its writer is gone"
        for record in reader.records(segment):
            whole = record.read()
            found[record.meta["sop_instance_uid"]] = whole[record.meta["dataset_offset"] :]
    return found


def assert_acknowledged_survive(
    recorder: DiskRecorder, sent: dict[str, bytes], folder: Path, *, every: int
) -> int:
    """Cut the power after every change, or every few, in every way; returns the number of cuts."""
    cuts = 0
    for count, disk in recorder.disks():
        is_promise = count > 0 and recorder.changes[count - 1].kind == "mark"
        if not is_promise and count % every and count != len(recorder.changes):
            continue
        promised = recorder.marks_before(count)
        for how, toss in tosses(count):
            cuts += 1
            left = folder / f"left-{cuts}"
            disk.write_left(left, toss)
            found = found_in(left / "spool") if (left / "spool").exists() else {}
            lost = [name for name in promised if found.get(name) != sent[name]]
            assert not lost, f"after change {count}, {how}: {len(lost)} of {len(promised)} lost"
            wrong = [name for name, data in found.items() if data != sent.get(name)]
            assert not wrong, f"after change {count}, {how}: a torn record counts as whole"
            shutil.rmtree(left)
    return cuts


SIZES = [100, 3000, 9000, 20000, 5000, 100, 90_000, 4096, 30000, 200_000, 700]


def test_one_association(tmp_path, monkeypatch, every_cut):
    """Small ones, one bigger than a segment, segments that get full."""
    root = tmp_path / "data"
    root.mkdir()
    sent: dict[str, bytes] = {}
    with monkeypatch.context() as patch:
        recorder = DiskRecorder(root).install(patch)
        with receiver(root / "spool") as acceptor:
            send(acceptor.addresses[0][1], SIZES, sent, recorder.mark)

    assert len(recorder.marks_before(len(recorder.changes))) == len(SIZES)
    cuts = assert_acknowledged_survive(recorder, sent, tmp_path, every=1 if every_cut else 5)
    assert cuts > 60


def test_three_associations_at_once(tmp_path, monkeypatch, every_cut):
    root = tmp_path / "data"
    root.mkdir()
    sent: dict[str, bytes] = {}
    with monkeypatch.context() as patch:
        recorder = DiskRecorder(root).install(patch)
        with receiver(root / "spool") as acceptor:
            port = acceptor.addresses[0][1]
            senders = [
                threading.Thread(target=send, args=(port, SIZES[n:][:6], sent, recorder.mark))
                for n in range(3)
            ]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join(30)

    assert len(recorder.marks_before(len(recorder.changes))) == 18
    assert_acknowledged_survive(recorder, sent, tmp_path, every=1 if every_cut else 9)


def test_segments_that_are_used_again_do_not_bring_old_records_back(
    tmp_path, monkeypatch, every_cut
):
    """Ingest took everything in and gave the segments back; then others come in."""
    root = tmp_path / "data"
    root.mkdir()
    first: dict[str, bytes] = {}
    with receiver(root / "spool") as acceptor:
        send(acceptor.addresses[0][1], SIZES, first, lambda name: None)
    reader = SpoolReader(root / "spool")
    for segment in reader.segments():
        reader.discard(segment)
    assert list((root / "spool" / "free").iterdir()), "there is something to use again"

    sent: dict[str, bytes] = {}
    with monkeypatch.context() as patch:
        recorder = DiskRecorder(root).install(patch)
        with receiver(root / "spool") as acceptor:
            send(acceptor.addresses[0][1], SIZES[:5], sent, recorder.mark)

    assert_acknowledged_survive(recorder, sent, tmp_path, every=1 if every_cut else 9)


@pytest.mark.parametrize("fault", ["answer before sync", "no sync of the folder"])
def test_the_proof_itself_finds_a_receiver_that_promises_too_early(tmp_path, monkeypatch, fault):
    """A check that cannot fail proves nothing."""
    root = tmp_path / "data"
    root.mkdir()
    sent: dict[str, bytes] = {}
    with monkeypatch.context() as patch:
        recorder = DiskRecorder(root).install(patch)
        if fault == "answer before sync":
            patch.setattr(os, "fdatasync", lambda descriptor: None)
        else:
            patch.setattr(segment_module, "sync_folder", lambda folder: None)
        with receiver(root / "spool") as acceptor:
            send(acceptor.addresses[0][1], SIZES, sent, recorder.mark)

    with pytest.raises(AssertionError, match="lost"):
        assert_acknowledged_survive(recorder, sent, tmp_path, every=1)
