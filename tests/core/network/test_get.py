"""C-GET of our acceptor: instances come back over the association that asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dimse_tools import CT, RawPeer, Receiving, ct_file
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import evt
from query_tools import PATIENT_GET, STUDY_GET, Client, Library, question

from isocenter.core.dicom.part10 import read_file_meta
from isocenter.core.network.command import encode_store_request
from isocenter.core.network.get import GetService
from isocenter.core.network.messages import encode_message
from isocenter.core.network.query_model import NOT_AUTHORISED, QueryRefused

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
RLE, JPEG_BASELINE = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"
WHOLE_STUDY = question("STUDY", StudyInstanceUID="1.2.3")


def content_of(path: Path) -> bytes:
    with path.open("rb") as stream:
        _, offset = read_file_meta(stream)
        stream.seek(offset)
        return stream.read()


class Taker:
    """Takes instances with pynetdicom; ``status`` is its answer to each."""

    def __init__(self, status: int = 0x0000) -> None:
        self.status = status
        self.taken: dict[str, tuple[str, bytes]] = {}
        self.before: Callable[[Any], None] = lambda _: None

    def __call__(self, event: Any) -> int:
        self.before(event)
        request = event.request
        content = request.DataSet.getvalue()
        uid = str(request.AffectedSOPInstanceUID)
        self.taken[uid] = (str(event.context.transfer_syntax), content)
        return self.status

    def get(
        self,
        receiving: Receiving,
        asked: Dataset = WHOLE_STUDY,
        *contexts: tuple[str, Any],
        roles: tuple[str, ...] = (CT,),
        sop_class: str = STUDY_GET,
    ) -> list[tuple[Dataset, Dataset | None]]:
        proposed = contexts or ((CT, EXPLICIT),)
        handlers = [(evt.EVT_C_STORE, self)]
        with Client(
            receiving.port, (sop_class, EXPLICIT), *proposed, roles=roles, handlers=handlers
        ) as association:
            answers = list(association.send_c_get(asked, sop_class, msg_id=5))
            assert association.is_established
        return answers


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [ct_file(tmp_path, f"{number}.dcm", rows=64) for number in range(12)]


def test_instances_come_byte_for_byte(receive: Callable[..., Receiving], files: list[Path]) -> None:
    library, taker = Library(files=files), Taker()
    receiving = receive(services=[GetService(library)])
    (final, _) = taker.get(receiving)[-1]
    assert final.Status == 0x0000
    assert final.NumberOfCompletedSuboperations == 12
    assert final.NumberOfFailedSuboperations == 0
    assert {content for _, content in taker.taken.values()} == set(map(content_of, files))
    assert library.retrievals[0].study_uids == ("1.2.3",)
    detail = receiving.wait_for("RETRIEVED").detail
    assert detail["instances"] == 12
    assert detail["study_uid"] == "1.2.3"
    assert detail["bytes"] == sum(len(content_of(path)) for path in files)


def test_big_instances_go_in_windows(receive: Callable[..., Receiving], tmp_path: Path) -> None:
    path = ct_file(tmp_path, rows=1500)  # 4.5 MB: more than is read at once
    taker = Taker()
    taker.get(receive(services=[GetService(Library(files=[path]))]))
    ((_, content),) = taker.taken.values()
    assert content == content_of(path)


def test_each_instance_goes_as_it_is_stored_where_that_was_proposed(
    receive: Callable[..., Receiving], tmp_path: Path
) -> None:
    native, rle = ct_file(tmp_path, "a.dcm"), ct_file(tmp_path, "b.dcm")
    ds = dcmread(rle)
    ds.compress(RLE, generate_instance_uid=False)
    ds.save_as(rle)
    taker = Taker()
    taker.get(
        receive(services=[GetService(Library(files=[native, rle]))]),
        WHOLE_STUDY,
        (CT, RLE),
        (CT, EXPLICIT),
    )
    assert sorted(syntax for syntax, _ in taker.taken.values()) == sorted([EXPLICIT, RLE])
    assert {content for _, content in taker.taken.values()} == {
        content_of(native),
        content_of(rle),
    }


def test_compressed_ones_are_decoded_where_the_peer_takes_no_other(
    receive: Callable[..., Receiving], tmp_path: Path
) -> None:
    paths = [ct_file(tmp_path, f"{number}.dcm") for number in range(3)]
    pixels = {path: dcmread(path).PixelData for path in paths}
    for path in paths[1:]:
        ds = dcmread(path)
        ds.compress(RLE, generate_instance_uid=False)
        ds.save_as(path)
    taker = Taker()
    (final, _) = taker.get(
        receive(services=[GetService(Library(files=paths))]), WHOLE_STUDY, (CT, IMPLICIT)
    )[-1]
    assert final.Status == 0x0000
    assert len(taker.taken) == 3
    for syntax, content in taker.taken.values():
        assert syntax == IMPLICIT
        assert any(content.endswith(value) for value in pixels.values())


def test_of_several_transfer_syntaxes_in_a_context_the_uncompressed_one_is_taken(
    receive: Callable[..., Receiving], files: list[Path]
) -> None:
    taker = Taker()
    receiving = receive(services=[GetService(Library(files=files[:1]))])
    taker.get(receiving, WHOLE_STUDY, (CT, [JPEG_BASELINE, IMPLICIT, EXPLICIT]))
    ((syntax, _),) = taker.taken.values()
    assert syntax == EXPLICIT


def test_of_uncompressed_ones_that_is_taken_which_most_instances_have(
    receive: Callable[..., Receiving], files: list[Path]
) -> None:
    taker = Taker()
    receiving = receive(services=[GetService(Library(files=files[:1], preferred=IMPLICIT))])
    taker.get(receiving, WHOLE_STUDY, (CT, [EXPLICIT, IMPLICIT]))
    ((syntax, _),) = taker.taken.values()
    assert syntax == IMPLICIT


def test_what_cannot_go_is_listed_and_the_rest_goes(
    receive: Callable[..., Receiving], files: list[Path], tmp_path: Path
) -> None:
    other = ct_file(tmp_path, "mr.dcm", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    gone = tmp_path / "gone.dcm"
    library, taker = Library(files=[files[0], other, gone, files[1]]), Taker()
    final, failed = taker.get(receive(services=[GetService(library)]))[-1]
    assert final.Status == 0xB000
    assert final.NumberOfCompletedSuboperations == 2
    assert final.NumberOfFailedSuboperations == 2
    assert failed is not None
    assert set(failed.FailedSOPInstanceUIDList) == {dcmread(other).SOPInstanceUID, "1.2.3.4"}
    assert str(tmp_path) not in final.ErrorComment


def test_where_nothing_can_go_the_status_is_a_failure(
    receive: Callable[..., Receiving], files: list[Path]
) -> None:
    library, taker = Library(files=files), Taker()
    receiving = receive(services=[GetService(library)])
    final, failed = taker.get(receiving, roles=())[-1]  # it forgot to be SCP of storage
    assert final.Status == 0xA702
    assert "SCP" in final.ErrorComment
    assert failed is not None
    assert len(failed.FailedSOPInstanceUIDList) == 12
    assert not taker.taken


@pytest.mark.parametrize(("answer", "final_status"), [(0xB000, 0xB000), (0xA700, 0xA702)])
def test_what_the_peer_says_of_instances_is_counted(
    receive: Callable[..., Receiving], files: list[Path], answer: int, final_status: int
) -> None:
    final, _ = Taker(answer).get(receive(services=[GetService(Library(files=files))]))[-1]
    assert final.Status == final_status
    counted = (final.NumberOfWarningSuboperations, final.NumberOfFailedSuboperations)
    assert counted == ((12, 0) if answer == 0xB000 else (0, 12))


def test_nothing_that_matches_is_a_success(receive: Callable[..., Receiving]) -> None:
    ((final, _),) = Taker().get(receive(services=[GetService(Library())]))
    assert final.Status == 0x0000
    assert final.NumberOfCompletedSuboperations == 0


def test_cancel_ends_between_two_instances(
    receive: Callable[..., Receiving], files: list[Path]
) -> None:
    taker = Taker()

    def cancel(event: Any) -> None:
        if len(taker.taken) == 3:
            event.assoc.send_c_cancel(5, query_model=STUDY_GET)

    taker.before = cancel
    final, _ = taker.get(receive(services=[GetService(Library(files=files * 20))]))[-1]
    assert final.Status == 0xFE00
    assert 4 <= final.NumberOfCompletedSuboperations <= 6
    assert final.NumberOfRemainingSuboperations == 240 - final.NumberOfCompletedSuboperations


def test_a_slow_peer_hears_how_far_it_is(
    receive: Callable[..., Receiving], files: list[Path]
) -> None:
    taker = Taker()
    taker.before = lambda _: time.sleep(0.3)
    answers = taker.get(receive(services=[GetService(Library(files=files[:6]))]))
    pending = [status for status, _ in answers if status.Status == 0xFF00]
    assert len(pending) >= 2
    for status in pending:
        done = status.NumberOfCompletedSuboperations
        assert done + status.NumberOfRemainingSuboperations == 6


@pytest.mark.parametrize(
    ("asked", "sop_class"),
    [
        (question("STUDY"), STUDY_GET),
        (question("STUDY", StudyInstanceUID=""), STUDY_GET),
        (question("SERIES", SeriesInstanceUID="1.2"), STUDY_GET),
        (question("PATIENT", PatientID="P1"), STUDY_GET),
        (question("PATIENT", PatientID="P*"), PATIENT_GET),
        (question("PATIENT", PatientID=["P1", "P2"]), PATIENT_GET),
    ],
    ids=["no-uid", "empty-uid", "no-study", "patient", "wild", "two-patients"],
)
def test_what_names_nothing_is_refused(
    receive: Callable[..., Receiving], asked: Dataset, sop_class: str
) -> None:
    library = Library()
    receiving = receive(services=[GetService(library)])
    ((final, _),) = Taker().get(receiving, asked, sop_class=sop_class)
    assert final.Status == 0xA900
    assert final.ErrorComment
    assert not library.retrievals


def test_a_refusal_of_the_provider_is_the_status(receive: Callable[..., Receiving]) -> None:
    library = Library(refusal=QueryRefused(NOT_AUTHORISED, "this node lacks the right retrieve"))
    receiving = receive(services=[GetService(library)])
    ((final, _),) = Taker().get(receiving)
    assert final.Status == 0xC001
    assert receiving.wait_for("RETRIEVED").detail["status"] == "C001"


def test_stopping_ends_between_two_instances(
    receive: Callable[..., Receiving], files: list[Path]
) -> None:
    taker = Taker()
    receiving = receive(services=[GetService(Library(files=files * 50))])
    stopping = threading.Thread(target=receiving.acceptor.stop, args=(20,))

    def stop(_: Any) -> None:
        if len(taker.taken) == 3:
            stopping.start()
            time.sleep(0.2)

    taker.before = stop
    handlers = [(evt.EVT_C_STORE, taker)]
    with Client(
        receiving.port, (STUDY_GET, EXPLICIT), (CT, EXPLICIT), roles=(CT,), handlers=handlers
    ) as association:
        final, _ = list(association.send_c_get(WHOLE_STUDY, STUDY_GET))[-1]
    stopping.join()
    assert final.Status == 0xA700


def test_a_context_where_the_peer_is_scp_alone_takes_no_instances(
    receive: Callable[..., Receiving], files: list[Path]
) -> None:
    """Its role was agreed: it may not store on it."""
    receiving = receive(services=[GetService(Library(files=files))])
    with RawPeer(receiving.port) as peer:
        peer.associate((STUDY_GET, (EXPLICIT,)), (CT, (EXPLICIT,)), roles={CT: (False, True)})
        request = encode_store_request(1, CT, "1.2.3")
        peer.send(b"".join(encode_message(3, request, content_of(files[0]))))
        assert receiving.wait_for("ASSOCIATION_ABORTED")
    event = receiving.wait_for("ASSOCIATION_ABORTED")
    assert "not agreed" in event.detail["text"]
    assert not receiving.shelf.stored
