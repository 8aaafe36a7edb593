"""The receiver as a process: readiness, policy snapshot, events, a graceful end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from isocenter.apps.archive.spool import EventReader, SpoolReader
from isocenter.core.errors import AssociationRejected, ConfigurationError
from isocenter.core.network.client import Peer
from isocenter.core.network.policy import ReceivePolicy
from isocenter.core.network.requestor import echo, send
from isocenter.runtime.receiver import PolicySnapshot, policy_of_snapshot

_PROGRAM = """
import sys
from isocenter.runtime.receiver import run_receiver
from isocenter.runtime.settings import Receiver, Settings
receiver = Receiver(hosts=("127.0.0.1",), port=0, check_called_ae_title="--check" in sys.argv)
sys.exit(run_receiver(Settings(data_dir=sys.argv[1], receiver=receiver)))
"""


class Running:
    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(data), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.state_file = data / "run" / "receiver.json"
        deadline = time.monotonic() + 120
        while not self.is_ready():
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.state = json.loads(self.state_file.read_text())
        self.peer = Peer("127.0.0.1", self.state["addresses"][0]["port"], timeout_s=30)

    def is_ready(self) -> bool:
        if not self.state_file.exists():
            return False
        return bool(json.loads(self.state_file.read_text())["pid"] == self.process.pid)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def event_kinds(self) -> list[str]:
        reader = EventReader(self.data / "spool")
        return [event.kind for file in reader.files() for event in reader.events(file)]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def start(*options: str) -> Running:
        running.append(Running(tmp_path / "data", *options))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.stop(signal.SIGKILL)


def test_what_it_received_is_in_the_spool(run: Callable[..., Running], shared_data: Path) -> None:
    receiver = run()
    paths = sorted((shared_data / "rt_STS_001" / "CT").rglob("*.dcm"))
    assert send(paths, receiver.peer).is_complete
    assert receiver.state["ae_title"] == "ISOCENTER"
    assert receiver.state["pid"] == receiver.process.pid
    reader = SpoolReader(receiver.data / "spool")
    records = [record for name in reader.segments() for record in reader.records(name)]
    assert len(records) == len(paths)
    meta = records[0].meta
    assert meta["kind"] == "dimse"
    assert meta["calling_ae_title"] == "ISOCENTER"
    assert meta["address"] == "127.0.0.1"
    for name in reader.segments():
        for record in reader.records(name):
            head = record.read(132)
            assert head[128:] == b"DICM"
    assert receiver.stop() == 0
    assert not receiver.state_file.exists()
    assert receiver.event_kinds() == ["ASSOCIATION_ACCEPTED", "ASSOCIATION_RELEASED"]
    assert all(reader.is_closed(name) for name in reader.segments())


def test_what_it_acknowledged_survives_a_kill(
    run: Callable[..., Running], shared_data: Path
) -> None:
    receiver = run()
    paths = sorted((shared_data / "rt_STS_001" / "CT").rglob("*.dcm"))[:10]
    assert send(paths, receiver.peer).is_complete
    receiver.stop(signal.SIGKILL)
    again = run()
    reader = SpoolReader(again.data / "spool")
    found = [record for name in reader.segments() for record in reader.records(name)]
    assert len(found) == len(paths)
    assert echo(again.peer) > 0
    assert again.stop(signal.SIGINT) == 0


def test_the_policy_snapshot_is_followed(run: Callable[..., Running], shared_data: Path) -> None:
    receiver = run()
    assert echo(receiver.peer) > 0
    policy = receiver.data / "run" / "receive-policy.json"
    replace(policy, {"allowed_calling_ae_titles": ["SOMEBODY"]})
    with pytest.raises(AssociationRejected):
        echo(receiver.peer)
    replace(policy, {"paused": "quarantine is full"})
    path = next((shared_data / "rt_STS_001" / "CT").rglob("*.dcm"))
    (result,) = send([path], receiver.peer).results
    assert result.status == 0xA700
    assert "quarantine is full" in result.note
    policy.unlink()
    time.sleep(0.7)
    assert send([path], receiver.peer).is_complete
    assert receiver.stop() == 0


def replace(path: Path, policy: dict[str, object]) -> None:
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(policy))
    draft.replace(path)
    time.sleep(0.7)


def test_a_broken_snapshot_opens_no_door(tmp_path: Path) -> None:
    path = tmp_path / "receive-policy.json"
    path.write_text('{"allowed_calling_ae_titles": ["A"]}')
    snapshot = PolicySnapshot(path, ReceivePolicy(), check_s=0)
    assert snapshot().allowed_calling_ae_titles == {"A"}
    path.write_text('{"allowed_calling_ae')
    assert snapshot().allowed_calling_ae_titles == {"A"}
    path.unlink()
    assert snapshot() == ReceivePolicy()


def test_a_snapshot_that_is_broken_from_the_start_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "receive-policy.json"
    path.write_text("broken")
    assert PolicySnapshot(path, ReceivePolicy(), check_s=0)().paused is not None


@pytest.mark.parametrize(
    "snapshot",
    [{"unknown": 1}, {"allowed_networks": ["nowhere"]}, {"denied_sop_classes": 3}],
)
def test_snapshots_that_say_nonsense(snapshot: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        policy_of_snapshot(snapshot)


def test_a_port_that_is_taken_is_told(run: Callable[..., Running], tmp_path: Path) -> None:
    receiver = run()
    program = _PROGRAM.replace("port=0", f"port={receiver.peer.port}")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "other")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 1
    assert "cannot listen" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert receiver.stop() == 0
