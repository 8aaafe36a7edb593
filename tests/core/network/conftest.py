"""An acceptor in the test's own process."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the module beside this file

from dimse_tools import Receiving, Shelf

from isocenter.core.network.acceptor import Acceptor, AcceptorConfig
from isocenter.core.network.policy import ReceivePolicy
from isocenter.core.network.services import NetworkEvent, Service
from isocenter.core.network.storage import StorageService
from isocenter.core.network.verification import VerificationService


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiving]]:
    """Start an acceptor, with more ``services``; other keywords go to AcceptorConfig."""
    running: list[Receiving] = []

    def start(
        policy: ReceivePolicy | None = None,
        max_instance_bytes: int = 1 << 30,
        services: Sequence[Service] = (),
        **config: Any,
    ) -> Receiving:
        shelf = Shelf()
        events: list[NetworkEvent] = []
        policies = [policy or ReceivePolicy()]
        settings = {"acse_timeout_s": 5, "network_timeout_s": 5, **config}
        acceptor = Acceptor(
            AcceptorConfig(**settings),
            [
                VerificationService(),
                *services,
                StorageService(shelf, max_instance_bytes=max_instance_bytes),
            ],
            lambda: policies[0],
            events.append,
        )
        acceptor.start()
        running.append(Receiving(acceptor, shelf, events, policies))
        return running[-1]

    yield start
    for one in running:
        one.acceptor.stop(5)
    assert not [thread for thread in threading.enumerate() if thread.name == "association"]
