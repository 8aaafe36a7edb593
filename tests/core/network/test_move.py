"""C-MOVE of our acceptor: instances go to a node that it knows."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dimse_tools import CT, Receiving, ct_file
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from query_tools import STUDY_MOVE, Client, Library, question

from isocenter.core.dicom.part10 import read_file_meta
from isocenter.core.network.client import Peer
from isocenter.core.network.move import MoveService

EXPLICIT = "1.2.840.10008.1.2.1"
WHOLE_STUDY = question("STUDY", StudyInstanceUID="1.2.3")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [ct_file(tmp_path, f"{number}.dcm", rows=64) for number in range(12)]


def move(
    receiving: Receiving, destination: str = "THERE", cancel_after: int | None = None
) -> list[tuple[Dataset, Dataset | None]]:
    answers = []
    with Client(receiving.port, (STUDY_MOVE, EXPLICIT)) as association:
        for answer in association.send_c_move(WHOLE_STUDY, destination, STUDY_MOVE, msg_id=9):
            answers.append(answer)
            if len(answers) == cancel_after:
                association.send_c_cancel(9, query_model=STUDY_MOVE)
        assert association.is_established
    return answers


def node_of(receiving: Receiving) -> Peer:
    return Peer("127.0.0.1", receiving.port, "THERE", "ISOCENTER", timeout_s=5)


def data_of(path: Path) -> bytes:
    with path.open("rb") as stream:
        _, offset = read_file_meta(stream)
        stream.seek(offset)
        return stream.read()


class Slow:
    """A destination that notes who asked, and takes its time."""

    def __init__(self) -> None:
        self.originators: list[tuple[str, int]] = []
        self.wait_s = 0.0
        entity = ApplicationEntity("THERE")
        entity.add_supported_context(CT, EXPLICIT)
        self._server = entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._take)]
        )
        self.port = int(self._server.socket.getsockname()[1])

    def _take(self, event: Any) -> int:
        request = event.request
        self.originators.append(
            (
                str(request.MoveOriginatorApplicationEntityTitle),
                int(request.MoveOriginatorMessageID),
            )
        )
        time.sleep(self.wait_s)
        return 0x0000

    def stop(self) -> None:
        self._server.shutdown()


@pytest.fixture
def slow() -> Iterator[Slow]:
    one = Slow()
    yield one
    one.stop()


def test_instances_arrive_byte_for_byte(
    receive: Callable[..., Receiving], files: list[Path]
) -> None:
    there = receive()
    library = Library(files=files, nodes={"THERE": node_of(there)})
    receiving = receive(services=[MoveService(library)])
    final, _ = move(receiving)[-1]
    assert final.Status == 0x0000
    assert final.NumberOfCompletedSuboperations == 12
    assert {content for _, content in there.shelf.stored} == set(map(data_of, files))
    detail = receiving.wait_for("RETRIEVED").detail
    assert detail["service"] == "C-MOVE"
    assert detail["destination"] == "THERE"
    assert detail["instances"] == 12


def test_the_destination_learns_who_asked(
    receive: Callable[..., Receiving], files: list[Path], slow: Slow
) -> None:
    peer = Peer("127.0.0.1", slow.port, "THERE", "ISOCENTER", timeout_s=5)
    move(receive(services=[MoveService(Library(files=files[:2], nodes={"THERE": peer}))]))
    assert slow.originators == [("ASKER", 9)] * 2


def test_the_asker_hears_of_a_slow_destination_and_may_cancel(
    receive: Callable[..., Receiving], files: list[Path], slow: Slow
) -> None:
    slow.wait_s = 0.3
    peer = Peer("127.0.0.1", slow.port, "THERE", "ISOCENTER", timeout_s=5)
    library = Library(files=files * 5, nodes={"THERE": peer})
    receiving = receive(services=[MoveService(library)])
    answers = move(receiving, cancel_after=2)
    assert answers[0][0].Status == 0xFF00
    final, _ = answers[-1]
    assert final.Status == 0xFE00
    assert final.NumberOfFailedSuboperations == 0
    done = final.NumberOfCompletedSuboperations
    assert 1 <= done < 20
    assert done == len(slow.originators)
    assert final.NumberOfRemainingSuboperations == 60 - done


def test_an_unknown_destination_is_refused(
    receive: Callable[..., Receiving], files: list[Path]
) -> None:
    ((final, _),) = move(receive(services=[MoveService(Library(files=files))]), "NOWHERE")
    assert final.Status == 0xA801
    assert "destination" in final.ErrorComment


def test_a_destination_that_does_not_answer_fails_every_instance_at_once(
    receive: Callable[..., Receiving], files: list[Path]
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        peer = Peer("127.0.0.1", int(probe.getsockname()[1]), "THERE", timeout_s=2)
        library = Library(files=files, nodes={"THERE": peer})
        final, failed = move(receive(services=[MoveService(library)]))[-1]
    assert final.Status == 0xA702
    assert final.NumberOfFailedSuboperations == 12
    assert failed is not None
    assert len(failed.FailedSOPInstanceUIDList) == 12


def test_instances_that_are_refused_are_listed(
    receive: Callable[..., Receiving], files: list[Path], tmp_path: Path
) -> None:
    there = receive()
    gone = tmp_path / "gone.dcm"
    library = Library(files=[*files, gone], nodes={"THERE": node_of(there)})
    final, failed = move(receive(services=[MoveService(library)]))[-1]
    assert final.Status == 0xB000
    assert final.NumberOfCompletedSuboperations == 12
    assert failed is not None
    assert failed.FailedSOPInstanceUIDList == "1.2.3.4"


def test_the_move_stops_when_the_asker_goes(
    receive: Callable[..., Receiving], files: list[Path], slow: Slow
) -> None:
    slow.wait_s = 0.2
    peer = Peer("127.0.0.1", slow.port, "THERE", "ISOCENTER", timeout_s=5)
    receiving = receive(services=[MoveService(Library(files=files * 20, nodes={"THERE": peer}))])
    with Client(receiving.port, (STUDY_MOVE, EXPLICIT)) as association:
        next(association.send_c_move(WHOLE_STUDY, "THERE", STUDY_MOVE))
        association.abort()
    detail = receiving.wait_for("RETRIEVED").detail
    assert detail["status"] == "aborted"
    time.sleep(1)
    count = len(slow.originators)
    time.sleep(1)
    assert len(slow.originators) == count < 100
