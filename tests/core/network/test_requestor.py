"""Sending: to our own acceptor, to pynetdicom, and to peers that go wrong."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dimse_tools import CT, EXPLICIT, IMPLICIT, Receiving, ct_file, pdu, pdv
from pydicom import dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE, evt

from isocenter.core.dicom.part10 import read_file_meta
from isocenter.core.errors import (
    AssociationRejected,
    DataSetError,
    NetworkError,
    NetworkTimeout,
    NotDicomError,
)
from isocenter.core.network.client import ClientAssociation, Peer
from isocenter.core.network.command import decode_command, encode_response, encode_store_request
from isocenter.core.network.pdu import (
    ContextResult,
    ProposedContext,
    decode_associate_rq,
    encode_associate_ac,
    own_user_information,
)
from isocenter.core.network.policy import ReceivePolicy
from isocenter.core.network.proposals import plan, read_item
from isocenter.core.network.requestor import ItemResult, Outcome, SendItem, echo, send

JPEG = "1.2.840.10008.1.2.4.70"


def peer_of(receiving: Receiving, **changes: Any) -> Peer:
    return Peer("127.0.0.1", receiving.port, timeout_s=5, **changes)


def content_of(path: Path) -> bytes:
    with path.open("rb") as stream:
        _, offset = read_file_meta(stream)
        stream.seek(offset)
        return stream.read()


@pytest.fixture
def scp() -> Iterator[Callable[..., int]]:
    """A pynetdicom acceptor for some contexts; returns its port."""
    servers = []

    def start(
        *contexts: tuple[str, list[str]], on_store: Callable[[Any], int] = lambda _: 0
    ) -> int:
        entity = AE()
        for abstract, syntaxes in contexts:
            entity.add_supported_context(abstract, syntaxes)
        server = entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)]
        )
        servers.append(server)
        return int(server.socket.getsockname()[1])

    yield start
    for server in servers:
        server.shutdown()


def test_echo_measures_the_answer(receive: Callable[..., Receiving]) -> None:
    assert 0 < echo(peer_of(receive())) < 5


def test_files_arrive_byte_for_byte(receive: Callable[..., Receiving], tmp_path: Path) -> None:
    receiving = receive()
    paths = [ct_file(tmp_path, f"{number}.dcm", rows=64) for number in range(5)]
    paths.append(ct_file(tmp_path, "big.dcm", rows=1600))  # more than two windows
    told: list[ItemResult] = []
    report = send(paths, peer_of(receiving, calling_ae_title="US"), on_result=told.append)
    assert report.is_complete
    assert report.associations == 1
    assert [result.path for result in told] == paths
    assert [stored for _, stored in receiving.shelf.stored] == [content_of(path) for path in paths]
    assert receiving.shelf.stored[0][0].calling_ae_title == "US"
    assert report.bytes_sent == sum(len(content_of(path)) for path in paths)


@pytest.mark.parametrize("limit", [4096, 16384, 1 << 20])
def test_pdus_are_as_short_as_the_peer_wants(
    receive: Callable[..., Receiving], tmp_path: Path, limit: int
) -> None:
    receiving = receive(max_pdu=limit)
    path = ct_file(tmp_path, rows=300)
    assert send([path], peer_of(receiving, max_pdu=1 << 20)).is_complete
    assert receiving.shelf.stored[0][1] == content_of(path)


def test_more_than_128_contexts_take_two_associations(
    receive: Callable[..., Receiving], tmp_path: Path
) -> None:
    receiving = receive()
    paths = [
        ct_file(tmp_path, f"{number}.dcm", rows=4, SOPClassUID=f"1.2.3.{number}")
        for number in range(70)
    ]
    report = send(paths, peer_of(receiving))
    assert report.is_complete
    assert report.associations == 2


def test_contexts_are_planned_by_class_and_syntax(tmp_path: Path) -> None:
    items = [
        SendItem(tmp_path / str(n), f"1.2.{n % 2}", f"1.{n}", JPEG if n % 3 else EXPLICIT, 0)
        for n in range(12)
    ]
    (batch,) = plan(items)
    assert {(one.abstract_syntax, one.transfer_syntaxes) for one in batch.contexts} == {
        (f"1.2.{number}", syntaxes)
        for number in (0, 1)
        for syntaxes in ((JPEG,), (EXPLICIT,), (EXPLICIT, IMPLICIT))
    }
    assert [one.context_id for one in batch.contexts] == [1, 3, 5, 7, 9, 11]


def test_what_the_peer_does_not_take_is_converted_and_said(
    scp: Callable[..., int], shared_data: Path
) -> None:
    path = next((shared_data / "transfer_syntaxes").rglob("JPEG2000.dcm"), None) or next(
        one
        for one in sorted((shared_data / "transfer_syntaxes").rglob("*.dcm"))
        if dcmread(one, stop_before_pixels=True).file_meta.TransferSyntaxUID
        in ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5")
    )
    item = read_item(path)
    stored = []

    def keep(event: Any) -> int:
        stored.append(event.dataset)
        stored[-1].file_meta = event.file_meta
        return 0

    port = scp((item.sop_class_uid, [IMPLICIT]), on_store=keep)
    (result,) = send([item], Peer("127.0.0.1", port, timeout_s=10)).results
    assert result.outcome is Outcome.STORED
    assert IMPLICIT in result.note
    assert (stored[0].pixel_array == dcmread(path).pixel_array).all()


def test_a_class_that_the_peer_refuses_is_a_permanent_failure(
    scp: Callable[..., int], tmp_path: Path
) -> None:
    port = scp((CT, [EXPLICIT]))
    paths = [ct_file(tmp_path, "a.dcm", SOPClassUID="1.2.3.4"), ct_file(tmp_path, "b.dcm")]
    report = send(paths, Peer("127.0.0.1", port, timeout_s=5))
    refused, stored = report.results
    assert (refused.outcome, refused.status, refused.is_permanent) == (Outcome.FAILED, 0x122, True)
    assert "no presentation context" in refused.note
    assert stored.outcome is Outcome.STORED
    assert not report.is_complete


@pytest.mark.parametrize(
    ("status", "outcome", "is_permanent"),
    [
        (0x0000, Outcome.STORED, False),
        (0xB000, Outcome.STORED, False),
        (0xB006, Outcome.STORED, False),
        (0xB007, Outcome.STORED, False),
        (0xA700, Outcome.FAILED, False),
        (0xA900, Outcome.FAILED, True),
        (0xC123, Outcome.FAILED, True),
        (0x0122, Outcome.FAILED, True),
        (0x0110, Outcome.FAILED, False),
    ],
)
def test_what_the_peer_says_is_what_is_told(
    scp: Callable[..., int], tmp_path: Path, status: int, outcome: Outcome, is_permanent: bool
) -> None:
    port = scp((CT, [EXPLICIT]), on_store=lambda _: status)
    (result,) = send([ct_file(tmp_path)], Peer("127.0.0.1", port, timeout_s=5)).results
    assert (result.outcome, result.status, result.is_permanent) == (outcome, status, is_permanent)
    assert bool(result.note) == (status != 0)


def test_files_that_are_no_dicom_do_not_stop_the_rest(
    receive: Callable[..., Receiving], tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "empty").touch()
    good = ct_file(tmp_path)
    files = [tmp_path / "text.txt", tmp_path / "empty", tmp_path / "missing", good]
    report = send(files, peer_of(receive()))
    assert {result.path: result.outcome for result in report.results} == {
        **dict.fromkeys(files[:3], Outcome.FAILED),
        good: Outcome.STORED,
    }


def test_a_file_that_vanishes_before_its_turn(
    receive: Callable[..., Receiving], tmp_path: Path
) -> None:
    paths = [ct_file(tmp_path, f"{number}.dcm") for number in range(3)]
    items = [read_item(path) for path in paths]
    paths[1].unlink()
    report = send(items, peer_of(receive()))
    assert report.count(Outcome.STORED) == 2
    assert report.count(Outcome.FAILED) == 1


def test_files_without_preamble_or_meta_are_sent(
    receive: Callable[..., Receiving], tmp_path: Path
) -> None:
    path = tmp_path / "bare"
    path.write_bytes(content_of(ct_file(tmp_path)))
    receiving = receive()
    assert send([path], peer_of(receiving)).is_complete
    assert receiving.shelf.stored[0][1] == path.read_bytes()


def test_looking_into_files(tmp_path: Path) -> None:
    with pytest.raises(NotDicomError):
        read_item(tmp_path / "missing")
    nameless = ct_file(tmp_path)
    ds = dcmread(nameless)
    del ds.SOPInstanceUID
    bare = tmp_path / "bare"
    ds.save_as(bare, enforce_file_format=False, implicit_vr=False, little_endian=True)
    bare.write_bytes(content_of(bare))
    with pytest.raises(DataSetError):
        read_item(bare)


def test_a_peer_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        peer = Peer("127.0.0.1", taken.getsockname()[1], timeout_s=5)
        report = send([ct_file(tmp_path, "a.dcm"), ct_file(tmp_path, "b.dcm")], peer)
        assert [result.outcome for result in report.results] == [Outcome.NOT_SENT] * 2
        assert "cannot be reached" in str(report.error)
        with pytest.raises(NetworkError):
            echo(peer)


def test_a_peer_that_rejects(receive: Callable[..., Receiving], tmp_path: Path) -> None:
    receiving = receive(policy=ReceivePolicy(allowed_calling_ae_titles=frozenset({"X"})))
    with pytest.raises(AssociationRejected) as caught:
        echo(peer_of(receiving))
    assert (caught.value.result, caught.value.source, caught.value.reason) == (1, 1, 3)
    assert caught.value.is_permanent
    report = send([ct_file(tmp_path)], peer_of(receiving))
    assert isinstance(report.error, AssociationRejected)
    assert report.count(Outcome.NOT_SENT) == 1


@contextlib.contextmanager
def scripted(script: Callable[[socket.socket], None]) -> Iterator[Peer]:
    """A peer that accepts the first context, then does what the script says."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                sock, _ = listener.accept()
                with sock:
                    request = decode_associate_rq(receive_pdu(sock))
                    sock.sendall(
                        encode_associate_ac(
                            request.titles,
                            [ContextResult(1, 0, EXPLICIT)],
                            own_user_information(16384),
                        )
                    )
                    script(sock)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Peer("127.0.0.1", listener.getsockname()[1], timeout_s=0.7)
        thread.join()


def receive_pdu(sock: socket.socket) -> bytes:
    head = sock.recv(6, socket.MSG_WAITALL)
    return sock.recv(struct.unpack(">BBL", head)[2], socket.MSG_WAITALL)


def answer_one(sock: socket.socket, message_id: int = 1) -> None:
    while receive_pdu(sock)[5] & 3 != 2:
        """Up to the last fragment of the data set."""
    request = decode_command(encode_store_request(message_id, CT, "1.2"))
    sock.sendall(pdu(4, pdv(1, 3, encode_response(request, 0))))


@pytest.mark.parametrize(
    ("then", "error"),
    [
        (lambda sock: sock.sendall(struct.pack(">BBLBBBB", 7, 0, 4, 0, 0, 2, 0)), "aborted"),
        (lambda sock: sock.close(), "connection"),
        (lambda sock: sock.recv(1 << 20) and threading.Event().wait(1.0), "no bytes"),
        (lambda sock: sock.sendall(struct.pack(">BBLL", 5, 0, 4, 0)), "release"),
        (lambda sock: answer_one(sock, 77), "awaited"),
        (lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request"), ""),
    ],
    ids=["abort", "close", "silence", "release", "wrong message", "garbage"],
)
def test_after_trouble_the_rest_is_not_sent(
    tmp_path: Path, then: Callable[[socket.socket], None], error: str
) -> None:
    def script(sock: socket.socket) -> None:
        answer_one(sock)
        then(sock)

    paths = [ct_file(tmp_path, f"{number}.dcm") for number in range(4)]
    with scripted(script) as peer:
        report = send(paths, peer)
    assert [result.outcome for result in report.results] == [
        Outcome.STORED,
        *[Outcome.NOT_SENT] * 3,
    ]
    assert [result.status for result in report.results] == [0, None, None, None]
    assert error in str(report.error)
    assert isinstance(report.error, NetworkError)


def test_silence_is_a_timeout(tmp_path: Path) -> None:
    with scripted(lambda sock: receive_pdu(sock) and threading.Event().wait(1.0)) as peer:
        report = send([ct_file(tmp_path)], peer)
    assert isinstance(report.error, NetworkTimeout)


def test_sending_can_be_cancelled(receive: Callable[..., Receiving], tmp_path: Path) -> None:
    told: list[ItemResult] = []
    paths = [ct_file(tmp_path, f"{number}.dcm") for number in range(4)]
    report = send(
        paths, peer_of(receive()), on_result=told.append, is_cancelled=lambda: len(told) == 2
    )
    assert [result.outcome for result in report.results] == [
        *[Outcome.STORED] * 2,
        *[Outcome.NOT_SENT] * 2,
    ]


def test_an_acceptance_of_what_was_not_proposed_is_not_believed() -> None:
    def script(sock: socket.socket) -> None:
        receive_pdu(sock)

    with scripted(script) as peer:
        context = ProposedContext(1, CT, (IMPLICIT,))
        association = ClientAssociation(peer, [context])
        assert association.accepted == {}
        association.abort()


def test_every_real_file_is_sent_as_it_is(
    receive: Callable[..., Receiving], shared_data: Path
) -> None:
    folder = shared_data / "transfer_syntaxes"
    items = []
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(Exception):
            items.append(read_item(path))
    receiving = receive()
    report = send(items, peer_of(receiving))
    assert len(items) > 30
    for result in report.results:
        assert result.outcome is Outcome.STORED or result.status in (0xA900, 0xC000), result
    kept = {context.sop_instance_uid: stored for context, stored in receiving.shelf.stored}
    for item in items:
        if item.sop_instance_uid in kept:
            assert any(
                kept[item.sop_instance_uid] == content_of(one.path)
                for one in items
                if one.sop_instance_uid == item.sop_instance_uid
            )
    assert report.count(Outcome.STORED) > 0.9 * len(items)
    assert generate_uid() not in kept
