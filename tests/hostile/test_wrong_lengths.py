"""PDUs whose lengths lie, and messages that PS3.7 and PS3.8 do not allow."""

from __future__ import annotations

import struct
import time

import pytest

from stand.raw_peer import (
    ABORT,
    ASSOCIATE_RQ,
    CT_IMAGE,
    EXPLICIT,
    P_DATA,
    RELEASE_RQ,
    VERIFICATION,
    RawPeer,
    associate_rq,
    command,
    echo_rq,
    element,
    item,
    pdu,
    pdv,
    store_rq,
    uid,
    us,
)

LENGTHS = (0, 1, 3, 67, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@pytest.mark.parametrize("kind", range(9))
@pytest.mark.parametrize("length", LENGTHS)
def test_first_pdu_with_a_length_that_lies(victim, kind, length):
    with victim.peer() as peer:
        peer.try_send(struct.pack(">BBL", kind, 0, length) + b"\0" * 64)
        peer.socket.shutdown(1)
        answers = [number for number, _ in peer.rest()]
    assert answers in ([], [ABORT]), "nothing but an abort answers nonsense"


GOOD_RQ = associate_rq()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        GOOD_RQ[6:40],
        GOOD_RQ[6:74],
        GOOD_RQ[6:-1],
        GOOD_RQ[6:74] + item(0x10, b"1.2.840.10008.3.1.1.1", 0xFFFF),
        GOOD_RQ[6:] + b"\x20\0",
        GOOD_RQ[6:] + item(0x20, b"", 60000),
        GOOD_RQ[6:] + item(0x20, b"\x01"),
        GOOD_RQ[6:] + item(0x20, bytes((1, 0, 0, 0)) + item(0x30, b"1.2", 9)),
        GOOD_RQ[6:] + item(0x50, item(0x51, b"\0")),
        GOOD_RQ[6:] + item(0x50, item(0x54, struct.pack(">H", 0xFFFF))),
        GOOD_RQ[6:] + item(0x50, item(0x51, bytes(4)) * 8000),
        GOOD_RQ[6:] + item(0x20, bytes((2, 0, 0, 0)) + item(0x30, b"1.2")),
        GOOD_RQ[6:] + item(0x20, bytes((3, 0, 0, 0)) + item(0x30, b"1." + b"9" * 5000)),
        GOOD_RQ[6:] + item(0x20, bytes((3, 0, 0, 0)) + item(0x30, "1.2.é".encode())),
    ],
    ids=lambda body: f"{len(body)} bytes",
)
def test_association_request_whose_items_do_not_fit(victim, body):
    with victim.peer() as peer:
        peer.send(pdu(ASSOCIATE_RQ, body))
        peer.socket.shutdown(1)
        answers = [number for number, _ in peer.rest()]
    assert set(answers) <= {2, 3, ABORT}


def test_association_request_with_more_contexts_than_there_are_numbers(victim):
    contexts = [(CT_IMAGE, (EXPLICIT,))] * 128
    with victim.peer() as peer:
        request = bytearray(associate_rq(contexts))
        assert peer.associate(bytes(request)) == 2, "128 are allowed"
    body = GOOD_RQ[6:] + b"".join(
        item(0x20, bytes((number % 256, 0, 0, 0)) + item(0x30, b"1.2")) for number in range(9000)
    )
    with victim.peer() as peer:
        peer.send(pdu(ASSOCIATE_RQ, body))
        assert {number for number, _ in peer.rest()} <= {ABORT}


STORE = store_rq("1.2.3.4")
BAD_MESSAGES = {
    "4 GB P-DATA": struct.pack(">BBL", P_DATA, 0, 0xFFFFFFFF) + bytes(512),
    "P-DATA above what we offered": pdu(P_DATA, pdv(1, 3, bytes(140_000))),
    "empty P-DATA": pdu(P_DATA, b""),
    "P-DATA of one byte": pdu(P_DATA, b"\0"),
    "PDV longer than its PDU": pdu(P_DATA, pdv(1, 3, STORE, 100_000)),
    "PDV of 4 GB": pdu(P_DATA, pdv(1, 3, STORE, 0xFFFFFFFF)),
    "PDV of length 0": pdu(P_DATA, struct.pack(">L", 0) + bytes(20)),
    "PDV of length 1": pdu(P_DATA, struct.pack(">LB", 1, 1) + bytes(20)),
    "context that was not agreed": pdu(P_DATA, pdv(77, 3, STORE)),
    "context 0": pdu(P_DATA, pdv(0, 3, STORE)),
    "data before a command": pdu(P_DATA, pdv(1, 2, bytes(100))),
    "control byte of nonsense": pdu(P_DATA, pdv(1, 0xFC, STORE)),
    "command on two contexts": pdu(P_DATA, pdv(1, 1, STORE[:20]) + pdv(3, 3, STORE[20:])),
    "command inside a data set": pdu(P_DATA, pdv(1, 3, STORE))
    + pdu(P_DATA, pdv(1, 0, bytes(64)) + pdv(1, 3, STORE)),
    "data set on another context": pdu(P_DATA, pdv(1, 3, STORE))
    + pdu(P_DATA, pdv(3, 2, b"\0" * 64)),
    "release inside a data set": pdu(P_DATA, pdv(1, 3, STORE)) + pdu(RELEASE_RQ, bytes(4)),
    "release inside a command": pdu(P_DATA, pdv(1, 1, STORE[:20])) + pdu(RELEASE_RQ, bytes(4)),
    "release of a wrong length": pdu(RELEASE_RQ, bytes(900)),
    "a second association request": associate_rq(),
    "an accept from the requestor": pdu(2, bytes(200)),
    "PDU of no type": pdu(0xEE, bytes(10)),
    "abort": pdu(ABORT, bytes(4)),
    "empty command": pdu(P_DATA, pdv(1, 3, b"")),
    "command cut off": pdu(P_DATA, pdv(1, 3, STORE[:-3])),
    "command element of 4 GB": pdu(P_DATA, pdv(1, 3, element(0x100, us(1), 0xFFFFFFFF))),
    "command of another group": pdu(P_DATA, pdv(1, 3, element(0x10, us(1), group=8))),
    "command without a field": pdu(P_DATA, pdv(1, 3, command(element(0x110, us(1))))),
    "command field of four bytes": pdu(P_DATA, pdv(1, 3, command(element(0x100, b"\1\0\0\0")))),
    "a response nobody asked for": pdu(
        P_DATA, pdv(1, 3, command(element(0x100, us(0x8001)), element(0x800, us(0x101))))
    ),
    "unknown command": pdu(
        P_DATA, pdv(1, 3, command(element(0x100, us(0x7777)), element(0x800, us(0x101))))
    ),
    "C-FIND on a storage context": pdu(
        P_DATA, pdv(1, 3, command(element(0x100, us(0x20)), element(0x800, us(0x101))))
    ),
    "C-STORE without data set": pdu(P_DATA, pdv(1, 3, store_rq("1.2.3", data_set=False))),
    "C-STORE without instance": pdu(P_DATA, pdv(1, 3, store_rq(""))) + pdu(P_DATA, pdv(1, 2, b"")),
    "C-STORE of another class": pdu(P_DATA, pdv(1, 3, store_rq("1.2.3", sop_class="1.2.840.1")))
    + pdu(P_DATA, pdv(1, 2, bytes(10))),
    "empty data set": pdu(P_DATA, pdv(1, 3, STORE)) + pdu(P_DATA, pdv(1, 2, b"")),
    "data set of zeros": pdu(P_DATA, pdv(1, 3, STORE)) + pdu(P_DATA, pdv(1, 2, bytes(5000))),
    "echo on a storage context": pdu(P_DATA, pdv(1, 3, echo_rq())),
    "UIDs of 4000 characters": pdu(P_DATA, pdv(1, 3, store_rq("1." + "2" * 4000)))
    + pdu(P_DATA, pdv(1, 2, element(0x18, uid("1." + "2" * 4000), group=8))),
    "a UID that is a path": pdu(P_DATA, pdv(1, 3, store_rq("../../../etc/passwd")))
    + pdu(P_DATA, pdv(1, 2, bytes(64))),
}


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_message_that_is_not_allowed(victim, name):
    contexts = [(CT_IMAGE, (EXPLICIT,)), (VERIFICATION, (EXPLICIT,))]
    with victim.peer() as peer:
        assert peer.associate(associate_rq(contexts)) == 2
        peer.try_send(BAD_MESSAGES[name])
        peer.socket.shutdown(1)
        answers = peer.rest()
    assert {kind for kind, _ in answers} <= {P_DATA, 6, ABORT}
    stored = victim.receiver.stored()
    assert "1.2.3.4" not in stored, "half a message was stored"
    assert not [key for key in stored if "/" in key]


def flood(peer: RawPeer, content: bytes) -> float:
    """Send the same again and again until the receiver hangs up; seconds that it took."""
    started = time.monotonic()
    while peer.try_send(content):
        assert time.monotonic() - started < 60, "the receiver listens for ever"
    return time.monotonic() - started


def test_command_that_never_ends_is_cut_off(victim):
    with victim.peer() as peer:
        assert peer.associate() == 2
        flood(peer, pdu(P_DATA, pdv(1, 1, bytes(8192))))
    assert victim.receiver.events()[-1]["kind"] == "ASSOCIATION_ABORTED"
    assert "command set" in victim.receiver.events()[-1]["detail"]["text"]


def test_data_set_that_never_ends_is_cut_off_at_the_limit(victim):
    with victim.peer() as peer:
        assert peer.associate() == 2
        head = struct.pack("<HH2sH", 8, 0x18, b"UI", 8) + uid("1.2.3.4")
        head += struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OW", 0, 0xFFFFFFF0)
        peer.send(pdu(P_DATA, pdv(1, 3, store_rq("1.2.3.4")) + pdv(1, 0, head)))
        flood(peer, pdu(P_DATA, pdv(1, 0, bytes(16000))))
    assert "1.2.3.4" not in victim.receiver.stored()
    assert "longer than" in victim.receiver.events()[-1]["detail"]["text"], "max_instance_mb is 4"
    size = sum(path.stat().st_size for path in (victim.receiver.spool / "segments").iterdir())
    assert size < 16 << 20, "what it took of the disk is given back"


def test_refused_instance_larger_than_the_buffer_is_answered(victim):
    """What is left of its data set is skipped, then the answer comes, then the next instance."""
    with victim.peer() as peer:
        assert peer.associate() == 2
        assert peer.store("1.2.3.4", bytes(3 << 20)) == 0xC000
        assert peer.store("1.2.3.4", bytes(10)) == 0xC000
        peer.release()


def test_one_byte_fragments_are_slow_but_right(victim, valid_instance):
    instance, data_set = valid_instance()
    with victim.peer() as peer:
        assert peer.associate() == 2
        request = store_rq(instance)
        peer.send(
            pdu(P_DATA, b"".join(pdv(1, 1, request[i : i + 1]) for i in range(len(request) - 1)))
        )
        peer.send(pdu(P_DATA, pdv(1, 3, request[-1:])))
        pieces = [data_set[i : i + 1] for i in range(3000)] + [data_set[3000:]]
        for first in range(0, len(pieces), 500):
            group = pieces[first : first + 500]
            last = first + 500 >= len(pieces)
            body = b"".join(pdv(1, 0, piece) for piece in group[: -1 if last else None])
            peer.send(pdu(P_DATA, body + (pdv(1, 2, group[-1]) if last else b"")))
        answer = peer.receive()
        assert answer is not None
        assert answer[0] == P_DATA
        peer.release()
    assert victim.receiver.stored()[instance] == data_set
