"""Write, sync, name, sync, answer: in this order, by what the kernel was really asked.

strace watches a real receiver while DCMTK sends to it, and a real ingest while it takes that in.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from crash.disk_model import Disk
from crash.system_calls import OPTIONS, Call, Translator, calls, traced
from isocenter.core.phantoms import head_phantom
from stand.raw_peer import response_status
from stand.receiver import ReceiverProcess

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("tools")]


@pytest.fixture(scope="module")
def tools() -> None:
    missing = [name for name in ("strace", "dcmsend") if not shutil.which(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (make peers)")
    if os.geteuid() != 0:
        scope = Path("/proc/sys/kernel/yama/ptrace_scope")
        if scope.exists() and scope.read_text().strip() != "0":
            pytest.skip("this system lets only root attach strace to a process")


def dcmsend(port: int, files: list[Path]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["dcmsend", "-aec", "ISOCENTER", "127.0.0.1", str(port), *map(str, files)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def success(call: Call) -> str:
    """SOP Instance UID when the call answers a C-STORE with success, else nothing."""
    if call.name not in ("sendmsg", "sendto") or call.result <= 0:
        return ""
    sent = b"".join(call.texts)
    if len(sent) < 12 or sent[0] != 4 or struct.unpack_from(">L", sent, 2)[0] != len(sent) - 6:
        return ""
    status, instance = response_status(sent[6:])
    return instance if status == 0 else ""


def segment_of(name: str) -> bool:
    return "/spool/segments/" in name


def test_receiver_answers_only_when_bytes_and_names_are_synced(tmp_path):
    trace = tmp_path / "trace"
    receiver = ReceiverProcess(tmp_path / "data", prefix=("strace", *OPTIONS, "-o", str(trace)))
    receiver.start()
    try:
        small = head_phantom("a", slices=40, rows=64, columns=64).write(tmp_path / "a")
        large = head_phantom("b", slices=3, rows=1024, columns=1024, spacing_mm=0.3)
        senders = [dcmsend(receiver.port, files) for files in (small, large.write(tmp_path / "b"))]
        assert [sender.wait(60) for sender in senders] == [0, 0]
    finally:
        receiver.stop()

    root = tmp_path / "data"
    translator, disk = Translator(root), Disk()
    last: dict[int, Call] = {}  # by thread: what it last did to a segment
    synced: dict[int, Call] = {}
    answered = []
    for call in calls(trace):
        if change := translator.change(call):
            disk.apply(change)
        if segment_of(call.path):
            if call.name in ("fsync", "fdatasync"):
                synced[call.thread] = call
            elif call.name != "ftruncate":
                last[call.thread] = call
        if instance := success(call):
            answered.append(instance)
            write, sync = last[call.thread], synced[call.thread]
            assert sync.path == write.path, "another file was synced"
            assert sync.result == 0
            assert write.ended < sync.started, "it wrote after it began to sync"
            assert sync.ended < call.started, "it answered before the sync was over"
            where = str(Path(write.path).relative_to(root))
            assert where in disk.names, "the segment is not known by this name"
            assert not disk.unsafe_paths(where), "the segment's name or bytes are not safe"
    assert len(answered) == len(set(answered)) == 41 + 4


def test_ingest_commits_only_what_is_synced_and_discards_only_what_is_committed(tmp_path, platform):
    trace = tmp_path / "trace"
    files = head_phantom("c", slices=30, rows=64, columns=64).write(tmp_path / "c")
    running = platform({"storage": {"segment_mb": 1, "reserve_mb": 0}})
    # One sender at a time: the second goes on in the first one's segment, fills it and so ends it.
    more = head_phantom("d", slices=60, rows=128, columns=128).write(tmp_path / "d")
    big = head_phantom("e", slices=3, rows=512, columns=512).write(tmp_path / "e")  # direct
    with traced(running.runtime["parts"]["ingest"]["pid"], trace):
        for batch in (files, more, big):
            assert dcmsend(running.dicom_port, batch).wait(60) == 0
        running.wait_for(
            lambda: sum(s["instances"] for s in running.json("studies", "list")) == 31 + 61 + 4
        )

    root = running.data_dir.resolve()
    translator, disk = Translator(root), Disk()
    commits, discards, placed = 0, 0, 0
    uncommitted: set[str] = set()
    for call in calls(trace):
        change = translator.change(call)
        is_commit = call.name in ("sendto", "sendmsg", "write") and any(
            b"COMMIT" in text for text in call.texts
        )
        if is_commit:
            unsafe = {p for p in disk.unsafe_paths("archive") if "/.staging" not in p}
            assert not unsafe, f"committed, but a power cut could take {sorted(unsafe)[:3]}"
            commits += bool(uncommitted)
            uncommitted.clear()
        if change is None:
            continue
        disk.apply(change)
        if change.kind == "rename" and change.target.endswith(".dcm"):
            placed += 1
            uncommitted.add(change.target)
        from_spool = change.kind in ("rename", "unlink") and change.path.startswith("spool/seg")
        if from_spool:
            discards += 1
            assert not uncommitted, "a segment went before its instances were committed"
    assert placed == 31 + 61 + 4
    assert commits > 0
    assert discards > 0
