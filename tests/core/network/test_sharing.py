"""Several associations at once: nothing lost or told twice, whatever the further ones do."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dimse_tools import CT, EXPLICIT, Receiving, ct_file, pdu, pdv
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isocenter.core.errors import NetworkError
from isocenter.core.network import sharing
from isocenter.core.network.client import ClientAssociation, Line, Peer
from isocenter.core.network.command import decode_command, encode_response
from isocenter.core.network.load import Load
from isocenter.core.network.outcomes import failed
from isocenter.core.network.pdu import (
    ContextResult,
    ProposedContext,
    decode_associate_rq,
    encode_associate_ac,
    own_user_information,
)
from isocenter.core.network.proposals import SendItem, read_item
from isocenter.core.network.requestor import (
    ItemResult,
    Outcome,
    SendReport,
    send,
    useful_associations,
)

COUNT = 40
REJECT = pdu(3, bytes([0, 2, 3, 1]))
ABORT = pdu(7, bytes([0, 0, 2, 0]))


class ScriptedPeer:
    """A storage SCP, a thread per association, that goes wrong where it is told to.

    Attributes:
        breaks_after: for each association in the order of acceptance, how many instances it
            answers before it aborts; -1 rejects it; missing ones go on for ever.
        delay_s: before each answer.
        slow: the instance whose answer takes a second.
        silent: associations that are accepted and never answered.
        events: ("answer" | "release", number of the association), in order.
    """

    def __init__(self, breaks_after: dict[int, int], delay_s: float = 0, most: int = 99) -> None:
        self.breaks_after = breaks_after
        self.delay_s = delay_s
        self.events: list[tuple[str, int]] = []
        self.stored: list[str] = []
        self.silent: set[int] = set()
        self.slow = ""
        self.is_ending = threading.Event()
        self._places = threading.Semaphore(most)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self.peer = Peer("127.0.0.1", self._listener.getsockname()[1], timeout_s=5)

    def stop(self) -> None:
        self.is_ending.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        number = 0
        while True:
            self._places.acquire()
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._threads.append(threading.Thread(target=self._serve, args=(sock, number)))
            self._threads[-1].start()
            number += 1

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, struct.error), sock:
            self._talk(sock, number)
        self._places.release()

    def _talk(self, sock: socket.socket, number: int) -> None:
        request = decode_associate_rq(self._pdu(sock)[1])
        left = self.breaks_after.get(number, 1 << 30)
        if left < 0:
            sock.sendall(REJECT)
            return
        accepted = [ContextResult(one.context_id, 0, EXPLICIT) for one in request.contexts]
        answer = encode_associate_ac(request.titles, accepted, own_user_information(131072))
        sock.sendall(answer)
        command = b""
        while True:
            kind, body = self._pdu(sock)
            if kind == 5:
                self.events.append(("release", number))
                sock.sendall(pdu(6, bytes(4)))
                return
            if kind != 4:
                return
            if body[5] & 1:
                command = body[6:]
            if body[5] & 3 == 2:
                if left == 0:
                    sock.sendall(ABORT)
                    return
                left -= 1
                if number in self.silent:
                    self.is_ending.wait(20)
                    return
                decoded = decode_command(command)
                is_slow = decoded.affected_sop_instance == self.slow
                time.sleep(1 if is_slow else self.delay_s)
                self.stored.append(decoded.affected_sop_instance)
                self.events.append(("answer", number))
                sock.sendall(pdu(4, pdv(1, 3, encode_response(decoded, 0))))

    @staticmethod
    def _pdu(sock: socket.socket) -> tuple[int, bytes]:
        head = sock.recv(6, socket.MSG_WAITALL)
        kind, _, length = struct.unpack(">BBL", head)
        return kind, sock.recv(length, socket.MSG_WAITALL)


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[SendItem]:
    folder = tmp_path_factory.mktemp("instances")
    return [read_item(ct_file(folder, f"{number:02}.dcm", rows=64)) for number in range(COUNT)]


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedPeer]]:
    peers: list[ScriptedPeer] = []

    def start(
        breaks_after: dict[int, int] | None = None, delay_s: float = 0, most: int = 99
    ) -> ScriptedPeer:
        peers.append(ScriptedPeer(breaks_after or {}, delay_s, most))
        return peers[-1]

    yield start
    for peer in peers:
        peer.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "sending"]


def check_each_once(report: SendReport, items: list[SendItem], stored: list[str]) -> None:
    assert Counter(one.path for one in report.results) == Counter(one.path for one in items)
    told = {one.sop_instance_uid for one in report.results if one.outcome is Outcome.STORED}
    assert told <= set(stored)


def test_a_slow_peer_gets_it_in_half_the_time(
    scripted: Callable[..., ScriptedPeer], items: list[SendItem]
) -> None:
    slow = scripted(delay_s=0.02)
    one = send(items, slow.peer)
    two = send(items, slow.peer, associations=2)
    four = send(items, slow.peer, associations=4)
    assert [one.associations, two.associations, four.associations] == [1, 2, 4]
    assert one.is_complete
    assert two.is_complete
    assert four.is_complete
    assert two.seconds < 0.7 * one.seconds
    assert four.seconds < 0.45 * one.seconds
    assert one.bytes_sent == two.bytes_sent == four.bytes_sent
    check_each_once(two, items, slow.stored)


def test_content_is_the_same(
    receive: Callable[..., Receiving], items: list[SendItem], tmp_path: Path
) -> None:
    receiving = receive()
    big = read_item(ct_file(tmp_path, "big.dcm", rows=1600))  # more than two windows
    report = send([*items, big], Peer("127.0.0.1", receiving.port), associations=3)
    assert report.is_complete
    wanted = {one.sop_instance_uid: one.path.read_bytes()[one.dataset_offset :] for one in items}
    wanted[big.sop_instance_uid] = big.path.read_bytes()[big.dataset_offset :]
    assert {
        context.sop_instance_uid: content for context, content in receiving.shelf.stored
    } == wanted
    assert len(receiving.shelf.stored) == COUNT + 1


def test_nothing_is_released_before_everything_is_answered(
    scripted: Callable[..., ScriptedPeer], items: list[SendItem]
) -> None:
    peer = scripted(delay_s=0.005)
    assert send(items, peer.peer, associations=3).associations == 3
    kinds = [kind for kind, _ in peer.events]
    assert kinds == ["answer"] * COUNT + ["release"] * 3


def test_the_end_is_in_good_order_however_the_threads_meet(
    scripted: Callable[..., ScriptedPeer], items: list[SendItem]
) -> None:
    peer = scripted()
    for _ in range(30):
        report = send(items, peer.peer, associations=3)
        assert report.is_complete
        assert report.error is None
    assert Counter(peer.stored) == {item.sop_instance_uid: 30 for item in items}


def test_a_stop_when_all_is_answered_changes_nothing(items: list[SendItem]) -> None:
    load = Load(items[:2])
    assert load.enter()
    load.stop(NetworkError("too early"))
    assert load.take() is None
    assert load.left() == items[:2]
    done = Load(items[:1])
    assert done.enter()
    item = done.take()
    assert item is not None
    done.settle(failed(item, None, "no"))
    done.stop(NetworkError("too late"))
    assert (done.error, done.is_stopped, done.enter()) == (None, False, False)


def test_a_peer_that_serves_one_at_a_time(
    scripted: Callable[..., ScriptedPeer], items: list[SendItem]
) -> None:
    """The others wait in its backlog, and are given up when the first is done."""
    peer = scripted(most=1)
    report = send(items, peer.peer, associations=4)
    assert report.is_complete
    assert report.error is None
    assert report.associations == 1
    assert report.seconds < 3
    again = send(items, peer.peer, associations=2)  # what was given up is not in the way
    assert again.is_complete
    assert again.seconds < 3


def test_a_peer_that_rejects_the_second(
    scripted: Callable[..., ScriptedPeer], items: list[SendItem]
) -> None:
    peer = scripted({1: -1, 2: -1})
    report = send(items, peer.peer, associations=3)
    assert (report.is_complete, report.error, report.associations) == (True, None, 1)


def test_a_second_that_never_answers_is_no_harm(
    scripted: Callable[..., ScriptedPeer], items: list[SendItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "_PROBATION_S", 0.3)
    peer = scripted(delay_s=0.005)
    peer.silent = {1}
    report = send(items, peer.peer, associations=2)
    assert report.is_complete
    assert report.error is None
    assert report.seconds < 2.5
    check_each_once(report, items, peer.stored)


def test_a_second_that_aborts_before_its_first_answer_is_no_harm(
    scripted: Callable[..., ScriptedPeer], items: list[SendItem]
) -> None:
    peer = scripted({1: 0}, delay_s=0.005)
    report = send(items, peer.peer, associations=2)
    assert report.is_complete
    assert report.error is None


@pytest.mark.parametrize("broken", [0, 1])
def test_one_that_aborts_in_the_middle_leaves_the_rest_to_the_other(
    scripted: Callable[..., ScriptedPeer], items: list[SendItem], broken: int
) -> None:
    peer = scripted({broken: 5}, delay_s=0.005)
    report = send(items, peer.peer, associations=2)
    assert report.count(Outcome.STORED) == COUNT - 1
    (lost,) = [one for one in report.results if one.outcome is Outcome.NOT_SENT]
    assert "aborted" in lost.note
    assert "aborted" in str(report.error)
    check_each_once(report, items, peer.stored)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    breaks_after=st.dictionaries(st.integers(0, 3), st.integers(-1, 20)),
    associations=st.integers(1, 4),
)
def test_each_has_one_result_whatever_breaks(
    items: list[SendItem], breaks_after: dict[int, int], associations: int
) -> None:
    peer = ScriptedPeer(breaks_after)
    told: list[ItemResult] = []
    try:
        report = send(items, peer.peer, associations=associations, on_result=told.append)
    finally:
        peer.stop()
    assert told == report.results
    check_each_once(report, items, peer.stored)
    assert report.is_complete or report.error is not None
    assert report.count(Outcome.STORED) == len(set(peer.stored))


def test_results_are_told_in_the_callers_thread(
    scripted: Callable[..., ScriptedPeer], items: list[SendItem]
) -> None:
    threads = set()
    send(
        items,
        scripted(delay_s=0.002).peer,
        associations=4,
        on_result=lambda _: threads.add(threading.current_thread()),
    )
    assert threads == {threading.current_thread()}


def test_cancelled_within_an_instance(
    scripted: Callable[..., ScriptedPeer], items: list[SendItem]
) -> None:
    told: list[ItemResult] = []
    peer = scripted(delay_s=0.02)
    report = send(
        items,
        peer.peer,
        associations=4,
        on_result=told.append,
        is_cancelled=lambda: len(told) >= 8,
    )
    assert 8 <= report.count(Outcome.STORED) <= 8 + 2 * 4
    assert report.count(Outcome.STORED) + report.count(Outcome.NOT_SENT) == COUNT
    assert "cancelled" in str(report.error)


def test_a_caller_that_fails_ends_all(
    scripted: Callable[..., ScriptedPeer], items: list[SendItem]
) -> None:
    def refuse(result: ItemResult) -> None:
        raise LookupError(result.path.name)

    peer = scripted(delay_s=0.01)
    with pytest.raises(LookupError):
        send(items, peer.peer, associations=3, on_result=refuse)
    assert len(peer.stored) < COUNT
    assert ("release", 0) not in peer.events


def test_a_file_that_vanishes_is_told_once(
    receive: Callable[..., Receiving], tmp_path: Path
) -> None:
    gone = [read_item(ct_file(tmp_path, f"{number}.dcm")) for number in range(24)]
    for item in gone[::5]:
        item.path.unlink()
    report = send(gone, Peer("127.0.0.1", receive().port), associations=3)
    assert report.count(Outcome.FAILED) == 5
    assert report.count(Outcome.STORED) == 19


def test_an_idle_association_is_released_before_the_peer_minds(
    scripted: Callable[..., ScriptedPeer], items: list[SendItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "_IDLE_S", 0.2)
    peer = scripted(delay_s=0.005)
    peer.slow = items[-1].sop_instance_uid
    assert send(items, peer.peer, associations=2).is_complete
    assert [kind for kind, _ in peer.events[-3:]] == ["release", "answer", "release"]


@pytest.mark.parametrize(
    ("count", "size", "at_most", "wanted"),
    [
        (1, 10, 8, 1),
        (15, 10, 2, 1),
        (16, 10, 2, 2),
        (16, 10, 8, 2),
        (300, 10, 2, 2),
        (300, 10, 8, 8),
        (300, 10, 99, 8),
        (2, 64 << 20, 8, 1),
        (4, 64 << 20, 8, 2),
        (6, 64 << 20, 2, 2),
        (0, 0, 2, 1),
    ],
)
def test_only_what_is_worth_it(
    tmp_path: Path, count: int, size: int, at_most: int, wanted: int
) -> None:
    paths = [tmp_path / str(number) for number in range(count)]
    for path in paths:
        with path.open("wb") as stream:
            stream.truncate(size)
    assert useful_associations(paths, at_most) == wanted


@pytest.mark.parametrize("number", [0, 9])
def test_too_few_or_too_many(items: list[SendItem], number: int) -> None:
    with pytest.raises(ValueError, match="1 to 8"):
        send(items, Peer("127.0.0.1", 1), associations=number)


def test_a_line_is_cut_while_the_peer_is_silent() -> None:
    """A connection that is in the backlog, and one that is not even taken."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        peer = Peer("127.0.0.1", listener.getsockname()[1], timeout_s=20)
        lines, threads = [], []
        for _ in range(6):  # the backlog is full after two
            line = Line()
            stack.callback(line.cut)

            def try_it(line: Line = line) -> None:
                with contextlib.suppress(NetworkError):
                    ClientAssociation(peer, [ProposedContext(1, CT, (EXPLICIT,))], line=line)

            lines.append(line)
            threads.append(threading.Thread(target=try_it))
            threads[-1].start()
        time.sleep(0.3)
        assert all(thread.is_alive() for thread in threads)
        for line in lines:
            line.cut(may_say_so=True)
        for thread in threads:
            thread.join(2)
        assert not any(thread.is_alive() for thread in threads)
    cut = Line()
    cut.cut()
    with pytest.raises(NetworkError, match="given up"):
        ClientAssociation(peer, [ProposedContext(1, CT, (EXPLICIT,))], line=cut)
