"""The disk gets full: senders hear 0xA700, nothing acknowledged is lost, and it goes on after."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import generate_uid

from isocenter.core.phantoms import head_phantom
from stand.raw_peer import CT_IMAGE, IMPLICIT, SUCCESS, RawPeer, associate_rq, element, encoded, uid
from stand.receiver import ReceiverProcess

OUT_OF_RESOURCES = 0xA700


def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own in memory, taken away afterwards."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        if subprocess.run(["umount", str(folder)], check=False).returncode:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    yield from small_disk(tmp_path / "disk", 24)


@pytest.fixture
def large_disk(tmp_path: Path) -> Iterator[Path]:
    yield from small_disk(tmp_path / "disk", 600)


class Ballast:
    """A file that takes up the room on a disk."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"
        self._folder = folder

    def leave_mb(self, megabytes: float) -> None:
        state = os.statvfs(self._folder)
        size = state.f_bavail * state.f_frsize - int(megabytes * (1 << 20))
        assert size > 0
        with self._path.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, size)

    def remove(self) -> None:
        self._path.unlink()


def instance(size: int) -> tuple[str, bytes]:
    """A data set of about ``size`` bytes, in implicit VR little endian."""
    name = generate_uid()
    filling = (name.encode() * (size // len(name) + 1))[:size]
    return name, element(0x18, uid(name), group=8) + element(0x10, filling, group=0x7FE0)


def send_until(
    port: int, status: int, size: int, sent: dict[str, bytes], most: int = 400
) -> list[int]:
    """Send on one association until this status is heard; all that were."""
    heard = []
    with RawPeer(port) as peer:
        assert peer.associate(associate_rq([(CT_IMAGE, (IMPLICIT,))])) == 2
        for _ in range(most):
            name, data_set = instance(size)
            heard.append(peer.store(name, data_set))
            if heard[-1] == SUCCESS:
                sent[name] = data_set
            if heard[-1] == status:
                break
        peer.release()
    return heard


@pytest.mark.parametrize("size", [200_000, 3_000_000], ids=["small", "more than one segment"])
@pytest.mark.parametrize("reserve_mb", [0, 4], ids=["to the last byte", "to the reserve"])
def test_receiver_on_a_full_disk(disk, size, reserve_mb):
    ballast = Ballast(disk)
    settings = {"storage": {"reserve_mb": reserve_mb, "segment_mb": 1}}
    receiver = ReceiverProcess(disk / "data", settings, config_folder=disk.parent).start()
    sent: dict[str, bytes] = {}
    try:
        ballast.leave_mb(9)
        heard = send_until(receiver.port, OUT_OF_RESOURCES, size, sent)
        assert heard[-1] == OUT_OF_RESOURCES
        assert set(heard[:-1]) <= {SUCCESS}
        assert receiver.is_up
        assert receiver.stored() == sent, "what was acknowledged, and nothing else"

        again = send_until(receiver.port, SUCCESS, size, sent, most=3)
        assert again == [OUT_OF_RESOURCES] * 3, "it says so again, and stays up"

        ballast.remove()
        deadline = time.monotonic() + 60
        while SUCCESS not in send_until(receiver.port, SUCCESS, size, sent, most=1):
            assert time.monotonic() < deadline, "there is room, but nothing is taken"
            time.sleep(0.1)
        assert receiver.stored() == sent
        assert receiver.stop() == 0
        assert "Traceback" not in receiver.log_tail()
    finally:
        receiver.kill()


def test_platform_on_a_disk_that_is_full_up_to_its_reserve(large_disk, platform):
    """The database lives on the same disk: the reserve is what keeps it alive."""
    running = platform({"storage": {"reserve_mb": 64, "segment_mb": 4}}, name="disk/platform")
    study = head_phantom("full", slices=60, rows=512, columns=512, spacing_mm=0.5)
    images = [(str(ds.SOPInstanceUID), encoded(ds)) for ds in study.images]
    ballast = Ballast(large_disk)
    ballast.leave_mb(64 + 6)
    heard: list[int] = []

    def store(index: int) -> int:
        with RawPeer(running.dicom_port) as peer:
            assert peer.associate() == 2
            status = peer.store(*images[index])
            peer.release()
        time.sleep(0.03)  # the reserve is looked at twice a second
        return status

    while len(heard) < len(images) and (not heard or heard[-1] == SUCCESS):
        heard.append(store(len(heard)))
    assert heard[-1] == OUT_OF_RESOURCES, "the disk should be full before the study is whole"
    assert running.health()["http_status"] != 200, "the health page says it"
    ballast.remove()
    running.wait_for(lambda: store(len(heard) - 1) == SUCCESS)
    for index in range(len(heard), len(images)):
        assert store(index) == SUCCESS

    archive = running.data_dir / "archive"
    running.wait_for(lambda: len(list(archive.glob("*/*/*.dcm"))) == len(images))
    for path in archive.glob("*/*/*.dcm"):
        content = path.read_bytes()
        start = 144 + int.from_bytes(content[140:144], "little")
        assert content[start:] == dict(images)[path.stem]
    running.wait_for(lambda: running.health()["http_status"] == 200)
