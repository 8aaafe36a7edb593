"""A receiver to be attacked; what it must still be able to do afterwards is checked at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from isocenter.core.phantoms import head_phantom
from stand.raw_peer import SUCCESS, RawPeer, encoded
from stand.receiver import ReceiverProcess

RSS_LIMIT_MB = 200


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--hostile-examples",
        type=int,
        default=60,
        help="random inputs for each property test of tests/hostile",
    )


@pytest.fixture(scope="session")
def image() -> Dataset:
    """A valid CT image of 64 × 64."""
    return head_phantom("hostile", slices=1, rows=64, columns=64, spacing_mm=3.0).images[0]


@pytest.fixture(scope="session")
def valid_instance(image: Dataset) -> Callable[[], tuple[str, bytes]]:
    """Makes valid instances: SOP Instance UID and data set; another one with each call."""

    def make() -> tuple[str, bytes]:
        image.SOPInstanceUID = generate_uid()
        return str(image.SOPInstanceUID), encoded(image)

    return make


class Victim:
    """A receiver process and what an honest sender sees of it."""

    def __init__(
        self, receiver: ReceiverProcess, valid_instance: Callable[[], tuple[str, bytes]]
    ) -> None:
        self.receiver = receiver
        self._valid_instance = valid_instance
        self._sent: dict[str, bytes] = {}
        self._threads = receiver.threads
        self._descriptors = receiver.descriptors

    @property
    def port(self) -> int:
        return self.receiver.port

    def peer(self, timeout_s: float = 60) -> RawPeer:
        return RawPeer(self.port, timeout_s)

    def send_valid(self) -> float:
        """Store an instance as an honest sender; seconds from connection to release."""
        uid, data_set = self._valid_instance()
        started = time.monotonic()
        with self.peer() as peer:
            assert peer.associate() == 2, "an honest sender is refused"
            assert peer.store(uid, data_set) == SUCCESS
            peer.release()
        self._sent[uid] = data_set
        return time.monotonic() - started

    def assert_unharmed(self) -> None:
        """Up, bounded, nothing left over, honest senders served, nothing lost."""
        assert self.receiver.is_up, self.receiver.log_tail()
        self.send_valid()
        stored = self.receiver.stored()
        lost = [uid for uid, data_set in self._sent.items() if stored.get(uid) != data_set]
        assert not lost, f"{len(lost)} acknowledged instances are not in the spool"
        assert self.receiver.rss_mb < RSS_LIMIT_MB
        self._wait_until_tidy()

    def _wait_until_tidy(self) -> None:
        """Threads and descriptors of associations that are over must go."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            threads, descriptors = self.receiver.threads, self.receiver.descriptors
            # Segments and the journal may be open that were not at the beginning.
            if threads <= self._threads and descriptors <= self._descriptors + 12:
                return
            time.sleep(0.1)
        raise AssertionError(
            f"threads {self._threads} → {threads}, descriptors {self._descriptors} → {descriptors}"
        )


@pytest.fixture(scope="module")
def victim(
    module_folder: Path, valid_instance: Callable[[], tuple[str, bytes]]
) -> Iterator[Victim]:
    receiver = ReceiverProcess(module_folder / "data", {"limits": {"max_instance_mb": 4}}).start()
    try:
        victim = Victim(receiver, valid_instance)
        yield victim
        victim.assert_unharmed()
        assert receiver.stop() == 0, receiver.log_tail()
        assert "Traceback" not in receiver.log_tail()
    finally:
        receiver.kill()
