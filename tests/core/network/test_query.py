"""Counting a study at a peer, with pynetdicom answering."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dimse_tools import Receiving
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from isocenter.core.errors import NetworkError
from isocenter.core.network.client import Peer
from isocenter.core.network.query import count_study


def match(**values: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture
def archive() -> Iterator[Callable[..., Peer]]:
    """A peer that answers queries with what a function says for level and question."""
    servers = []

    def start(answers: Callable[[str, Dataset], list[Dataset]], status: int = 0) -> Peer:
        def on_find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
            for one in answers(event.identifier.QueryRetrieveLevel, event.identifier):
                yield 0xFF00, one
            yield status, None

        entity = AE()
        entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        server = entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, on_find)]
        )
        servers.append(server)
        return Peer("127.0.0.1", server.socket.getsockname()[1], timeout_s=5)

    yield start
    for server in servers:
        server.shutdown()


def test_the_peers_own_count(archive: Callable[..., Peer]) -> None:
    peer = archive(lambda *_: [match(StudyInstanceUID="1.2", NumberOfStudyRelatedInstances=42)])
    assert count_study(peer, "1.2", 5) == 42


def test_a_peer_that_does_not_count_is_asked_for_the_images(archive: Callable[..., Peer]) -> None:
    def answers(level: str, question: Dataset) -> list[Dataset]:
        if level == "STUDY":
            return [match(StudyInstanceUID="1.2")]
        if level == "SERIES":
            return [match(SeriesInstanceUID="1.2.1"), match(SeriesInstanceUID="1.2.2")]
        count = 3 if question.SeriesInstanceUID == "1.2.1" else 4
        return [match(SOPInstanceUID=f"{question.SeriesInstanceUID}.{n}") for n in range(count)]

    assert count_study(archive(answers), "1.2", 5) == 7


def test_a_study_that_the_peer_does_not_know(archive: Callable[..., Peer]) -> None:
    assert count_study(archive(lambda *_: []), "1.2", 5) is None


def test_a_query_that_fails(archive: Callable[..., Peer]) -> None:
    with pytest.raises(NetworkError, match="A700"):
        count_study(archive(lambda *_: [], status=0xA700), "1.2", 5)


def test_a_peer_without_queries(receive: Callable[..., Receiving]) -> None:
    with pytest.raises(NetworkError):
        count_study(Peer("127.0.0.1", receive().port), "1.2", 5)
