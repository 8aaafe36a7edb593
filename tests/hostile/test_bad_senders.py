"""Senders that stop half-way, trickle, come in hundreds, or say nothing at all."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stand.raw_peer import ABORT, P_DATA, RawPeer, associate_rq, pdu, pdv, store_rq


def close_with_reset(peer: RawPeer) -> None:
    """RST instead of FIN, as a peer that loses power does it."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.socket.close()


@pytest.mark.parametrize("end", ["close", "reset", "silence"])
@pytest.mark.parametrize(
    "stage", ["connected", "half a request", "associated", "half a command", "half an instance"]
)
def test_association_that_stops_half_way_leaves_nothing(victim, valid_instance, stage, end):
    instance, data_set = valid_instance()
    peer = victim.peer()
    request = associate_rq()
    command = pdu(P_DATA, pdv(1, 3, store_rq(instance)))
    if stage == "half a request":
        peer.send(request[:50])
    elif stage != "connected":
        assert peer.associate(request) == 2
    if stage == "half a command":
        peer.send(command[:30])
    elif stage == "half an instance":
        peer.send(command + pdu(P_DATA, pdv(1, 0, data_set[:2000])))
    if end == "close":
        peer.socket.close()
    elif end == "reset":
        close_with_reset(peer)
    else:
        peer.socket.settimeout(60)
        assert {kind for kind, _ in peer.rest()} <= {ABORT}, "silence ends with an abort"
        peer.socket.close()
    assert instance not in victim.receiver.stored()


def trickle(peer: RawPeer, content: bytes, pause_s: float) -> float:
    """Send byte by byte until the receiver hangs up; seconds that it took."""
    started = time.monotonic()
    for number in range(len(content)):
        if time.monotonic() - started > 60:
            break
        if not peer.try_send(content[number : number + 1]):
            break
        time.sleep(pause_s)
    return time.monotonic() - started


def test_senders_that_trickle_are_cut_off_and_hold_up_nobody(victim, valid_instance):
    """A byte every 100 ms keeps every silence short: only a limit on the whole PDU helps."""
    instance, data_set = valid_instance()
    slow = pdu(P_DATA, pdv(1, 3, store_rq(instance))) + pdu(P_DATA, pdv(1, 2, data_set))
    took: list[float] = []

    def attack() -> None:
        with victim.peer() as peer:
            assert peer.associate() == 2
            took.append(trickle(peer, slow, 0.1))

    attackers = [threading.Thread(target=attack) for _ in range(10)]
    for attacker in attackers:
        attacker.start()
    honest = [victim.send_valid() for _ in range(5)]
    for attacker in attackers:
        attacker.join(90)

    assert len(took) == 10
    assert max(took) < 60, "network_timeout_s is 3 here"
    assert max(honest) < 15, "one after the other they would hold it up for 30 s"
    assert instance not in victim.receiver.stored()


def test_500_connections_that_say_nothing(victim):
    """Associations that are there go on; new ones get the places of the oldest silent ones."""
    with victim.peer() as established, contextlib.ExitStack() as crowd:
        assert established.associate() == 2
        for number in range(500):
            crowd.enter_context(socket.create_connection(("127.0.0.1", victim.port), timeout=60))
            if number % 25 == 24:  # in time: silence of its own would be cut off after 3 s
                uid, data_set = victim._valid_instance()
                assert established.store(uid, data_set) == 0, "who was there first is served"
        assert victim.receiver.rss_mb < 200
        deadline = time.monotonic() + 60
        while True:
            try:
                victim.send_valid()
                break
            except (AssertionError, OSError):
                assert time.monotonic() < deadline, "an honest sender never got in"
                time.sleep(0.2)


def test_associations_above_the_maximum_are_refused_politely(victim):
    with contextlib.ExitStack() as crowd:
        answers = []
        for _ in range(60):
            peer = crowd.enter_context(victim.peer())
            answers.append(peer.associate())
    assert answers[:50] == [2] * 50
    assert answers[50:] == [3] * 10, "A-ASSOCIATE-RJ, not silence"


def test_500_associations_one_after_the_other_that_drop(victim):
    for _ in range(500):
        with victim.peer() as peer:
            peer.send(associate_rq())
            close_with_reset(peer)


def test_associations_that_are_over_give_their_memory_back(victim):
    """One association per instance, many at once, as some modalities send."""
    before = victim.receiver.rss_mb
    filling = struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OW", 0, 1_500_000) + bytes(1_500_000)

    def send(sender: int) -> None:
        for number in range(6):
            with victim.peer() as peer:
                assert peer.associate() == 2
                assert peer.store(f"1.2.{sender}.{number}", filling) == 0
                peer.release()

    with ThreadPoolExecutor(20) as senders:
        list(senders.map(send, range(20)))
    assert victim.receiver.rss_mb - before < 15
