"""kill -9 of every part at random moments while studies come in, run and go out."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from isocenter.core.phantoms import HeadPhantom, head_phantom
from stand.destination import StoringPeer, data_set_digest
from stand.raw_peer import CT_IMAGE, EXPLICIT, SUCCESS, RawPeer, associate_rq, encoded

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(7200)]

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
PARTS = ("receiver", "ingest", "worker-1", "web", "database")
IMAGES = 6
SETTINGS: dict[str, Any] = {
    # Complete is only what is whole: otherwise a receiver that is down for long makes two of one.
    "completion": {"debounce_s": 1, "min_instances": IMAGES + 1, "force_complete_s": 3600},
    "workers": {"processes": 1, "runs": 2, "deliveries": 2, "heartbeat_s": 1, "dead_after_s": 4},
    "delivery": {"attempts": 1000, "first_wait_s": 0.5, "max_wait_s": 2, "timeout_s": 10},
    "storage": {"reserve_mb": 64, "segment_mb": 1},
}


@dataclass
class Sender(threading.Thread):
    """Sends studies, instance by instance; says each again until it is acknowledged."""

    number: int
    platform: Any
    seed: int
    enough: threading.Event
    studies: int
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    sent: list[HeadPhantom] = field(default_factory=list)
    repeats: int = 0
    failure: str = ""

    def __post_init__(self) -> None:
        super().__init__(name=f"sender-{self.number}", daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        dice = random.Random(f"{self.seed} {self.number}")
        try:
            for count in range(self.studies):
                study = head_phantom(
                    f"{self.seed}-{self.number}-{count}", slices=IMAGES, rows=64, columns=96,
                    spacing_mm=3.0, slice_distance_mm=24.0,
                )  # fmt: skip
                self.sent.append(study)
                for ds in (*study.images, study.structure_set):
                    self._insist(str(ds.SOPInstanceUID), encoded(ds), len(study.images))
                    self.enough.wait(dice.uniform(0, 0.4))
                if self.enough.is_set() and count >= 1:
                    return
        except Exception as error:
            self.failure = repr(error)

    def _insist(self, uid: str, data_set: bytes, images: int) -> None:
        context = 1 if CT_IMAGE.encode() in data_set[:200] else 3
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, AssertionError, KeyError, TypeError):
                if self._try(uid, data_set, context) == SUCCESS:
                    self.acknowledged[uid] = data_set
                    return
            self.repeats += 1
            time.sleep(0.3)
        raise AssertionError(f"{uid} was not taken in 180 s")

    def _try(self, uid: str, data_set: bytes, context: int) -> int:
        sop_class = CT_IMAGE if context == 1 else RT_STRUCTURE_SET
        with RawPeer(self.platform.dicom_port, timeout_s=10) as peer:
            contexts = [(CT_IMAGE, (EXPLICIT,)), (RT_STRUCTURE_SET, (EXPLICIT,))]
            peer.associate(associate_rq(contexts, calling=f"SENDER{self.number}"))
            status = peer.store(uid, data_set, context, sop_class)
            if status == SUCCESS:
                self.acknowledged[uid] = data_set  # even if the release never gets through
                peer.release()
            return status


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[StoringPeer]:
    destination = StoringPeer(tmp_path / "destination")
    yield destination
    destination.stop()


@pytest.fixture
def running(platform: Any, peer: StoringPeer, tmp_path: Path) -> Any:
    """A platform that draws every structure set and sends the overlays to the peer."""
    started = platform(SETTINGS)
    document = {
        "nodes": [
            {"name": "dest", "kind": "dimse", "ae_title": "DEST", "host": "127.0.0.1",
             "port": peer.port}
        ],
        "pipelines": [
            {"name": "overlay",
             "steps": [{"step": "contours", "with": {"formats": ["overlay"]}},
                       {"step": "deliver"}]}
        ],
        "routes": [
            {"name": "overlay", "condition": '"RTSTRUCT" in ModalitiesInStudy',
             "pipeline": "overlay", "destinations": ["dest"]}
        ],
    }  # fmt: skip
    routes = tmp_path / "routes.yaml"
    routes.write_text(yaml.safe_dump(document))
    started.cli("routes", "apply", routes)
    return started


def kill_parts(platform: Any, kills: int, dice: random.Random) -> Counter[str]:
    """SIGKILL to a random part that lives, ``kills`` times, at random moments."""
    killed: Counter[str] = Counter()
    while killed.total() < kills:
        time.sleep(dice.uniform(0.1, 2.0))
        parts = platform.runtime.get("parts", {})
        alive = [p for p in PARTS if parts.get(p, {}).get("pid") and _lives(parts[p]["pid"])]
        if not alive:
            continue
        part = dice.choice(alive)
        with contextlib.suppress(ProcessLookupError):
            os.kill(parts[part]["pid"], signal.SIGKILL)
            killed[part] += 1
    return killed


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def wait_until_done(platform: Any, studies: int, timeout_s: float) -> None:
    """Until each study has a run that ended, and nothing is under way."""
    deadline = time.monotonic() + timeout_s
    seen: Any = None
    while time.monotonic() < deadline:
        done = platform.cli("runs", "list", "--limit", "10000", "--json", check=False)
        if done.returncode == 0:
            runs = yaml.safe_load(done.stdout)
            seen = Counter(run["state"] for run in runs)
            if len(runs) >= studies and set(seen) <= {"done", "failed", "cancelled"}:
                return
        time.sleep(1)
    raise AssertionError(f"not done after {timeout_s:.0f} s: {seen}\n{platform.output(20)[-3000:]}")


def test_kills_lose_nothing_and_repeat_nothing(request, running, peer):
    kills = request.config.getoption("--crash-kills", default=10)
    seed = request.config.getoption("--crash-seed", default=None) or random.randrange(1 << 30)
    print(f"seed {seed}, {kills} kills")
    enough = threading.Event()
    most = 2 + kills // 4
    senders = [Sender(number, running, seed, enough, most) for number in range(4)]
    for sender in senders:
        sender.start()
    killed = kill_parts(running, kills, random.Random(seed))
    enough.set()
    for sender in senders:
        sender.join(300)
    print(f"killed: {dict(killed)}; sent again: {sum(s.repeats for s in senders)}")
    assert [s.failure for s in senders if s.failure or s.is_alive()] == []

    studies = [study for sender in senders for study in sender.sent]
    acknowledged = {uid: data for s in senders for uid, data in s.acknowledged.items()}
    wait_until_done(running, len(studies), 240 + kills)

    assert_archive_has(running, acknowledged)
    assert_studies_are_whole(running, studies)
    assert_destination_has_each_once(running, peer, studies)
    assert running.wait_for(lambda: running.health()["http_status"] == 200)


def assert_archive_has(platform: Any, acknowledged: dict[str, bytes]) -> None:
    """Every acknowledged instance, byte for byte."""
    archive = platform.data_dir / "archive"
    files = {path.stem: path for path in archive.glob("*/*/*.dcm")}
    missing = [uid for uid in acknowledged if uid not in files]
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged instances are lost"
    changed = [
        uid
        for uid, data_set in acknowledged.items()
        if data_set_digest(files[uid]) != hashlib.sha256(data_set).hexdigest()
    ]
    assert not changed, f"{len(changed)} instances are not what was sent"


def assert_studies_are_whole(platform: Any, studies: list[HeadPhantom]) -> None:
    """Each study complete once, its run done, and nothing in quarantine without a reason."""
    rows = {row["study_uid"]: row for row in platform.json("studies", "list", "--limit", 10000)}
    for study in studies:
        row = rows[study.study_uid]
        assert (row["state"], row["instances"], row["revision"]) == ("complete", IMAGES + 1, 1)
    runs = platform.json("runs", "list", "--limit", 10000)
    quarantined = platform.json("quarantine", "list", "--limit", 10000)
    assert all(item["reason"] for item in quarantined)
    states = Counter((run["study_uid"], run["state"]) for run in runs)
    held = {item["study_uid"] for item in quarantined if item["state"] == "held"}
    for study in studies:
        is_done = states[study.study_uid, "done"] == 1
        assert is_done or study.study_uid in held, "a run is neither done nor in quarantine"
    assert not held, f"kills alone must not end in quarantine: {quarantined}"


def assert_destination_has_each_once(
    platform: Any, peer: StoringPeer, studies: list[HeadPhantom]
) -> None:
    """One overlay per image; what was sent twice (it was not known to have arrived) is the same."""
    wanted = {study.study_uid for study in studies}
    by_uid: dict[str, set[str]] = defaultdict(set)
    per_study: dict[str, set[str]] = defaultdict(set)

    def arrived() -> bool:
        by_uid.clear()
        per_study.clear()
        for one in peer.arrived():
            by_uid[one.sop_uid].add(one.digest)
            per_study[one.study_uid].add(one.sop_uid)
        return set(per_study) >= wanted and all(len(v) >= IMAGES for v in per_study.values())

    platform.wait_for(arrived, 60)
    assert {uid: len(found) for uid, found in per_study.items()} == dict.fromkeys(wanted, IMAGES)
    assert all(len(digests) == 1 for digests in by_uid.values()), "one UID, two contents"
    archive = platform.data_dir / "archive"
    derived = {path.stem: path for path in archive.glob("*/*/*.dcm")}
    for uid, (digest,) in by_uid.items():
        assert data_set_digest(derived[uid]) == digest, "sent and archived overlays differ"
