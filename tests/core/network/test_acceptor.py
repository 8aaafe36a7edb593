"""The acceptor, seen by peers that do right and peers that do not."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dimse_tools import CT, EXPLICIT, IMPLICIT, RawPeer, Receiving, ct_file, pdu, pdv
from pynetdicom import AE, build_role
from pynetdicom.sop_class import CTImageStorage, Verification

from isocenter.core.errors import ConfigurationError
from isocenter.core.network.command import decode_command, encode_store_request
from isocenter.core.network.pdu import decode_associate_ac
from isocenter.core.network.policy import ReceivePolicy

ABORT, REJECTED = 7, 3
VERIFICATION = "1.2.840.10008.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
HEADER = struct.pack("<HH2sH", 8, 0x16, b"UI", 26) + CT.encode() + b"\0"

Start = Callable[..., Receiving]


def data_set(instance: str = "1.2.3", pixels: int = 100) -> bytes:
    uid = instance.encode() + b"\0" * (len(instance) % 2)
    return (
        HEADER
        + struct.pack("<HH2sH", 8, 0x18, b"UI", len(uid))
        + uid
        + struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OW", 0, pixels)
        + bytes(pixels)
    )


def store(peer: RawPeer, content: bytes, instance: str = "1.2.3", context: int = 1) -> int:
    peer.send(pdu(4, pdv(context, 3, encode_store_request(1, CT, instance))))
    for first in range(0, len(content), 16000):
        is_last = first + 16000 >= len(content)
        peer.send(pdu(4, pdv(context, 2 * is_last, content[first : first + 16000])))
    answer = peer.receive()
    assert answer is not None
    assert answer[0] == 4
    return decode_command(answer[1][6:]).status


def test_an_instance_arrives_byte_for_byte(receive: Start) -> None:
    receiving = receive()
    content = data_set(pixels=3_000_000)
    with RawPeer(receiving.port) as peer:
        peer.associate(calling="SCANNER", called="ANYTHING")
        assert store(peer, content) == 0
        peer.send(struct.pack(">BBLL", 5, 0, 4, 0))
        assert peer.receive() == (6, bytes(4))
    ((context, stored),) = receiving.shelf.stored
    assert stored == content
    assert (context.sop_class_uid, context.sop_instance_uid) == (CT, "1.2.3")
    assert (context.calling_ae_title, context.called_ae_title) == ("SCANNER", "ANYTHING")
    assert (context.address, context.transfer_syntax_uid) == ("127.0.0.1", EXPLICIT)
    receiving.wait_for("ASSOCIATION_RELEASED")
    assert receiving.kinds() == ["ASSOCIATION_ACCEPTED", "ASSOCIATION_RELEASED"]


def test_storage_is_accepted_and_what_is_not_offered_is_refused(receive: Start) -> None:
    with RawPeer(receive().port) as peer:
        assert peer.accepted(
            (CT, (EXPLICIT,)),
            ("1.3.12.2.1107.5.9.1", (IMPLICIT,)),  # private
            ("1.2.840.10008.5.1.4.1.1.9999", ("1.2.840.113619.5.2",)),  # unknown, private syntax
            (FIND, (IMPLICIT,)),
            ("", (IMPLICIT,)),
            (VERIFICATION, (IMPLICIT,)),
            (CT, ()),
        ) == [
            (1, 0, EXPLICIT),
            (3, 0, IMPLICIT),
            (5, 0, "1.2.840.113619.5.2"),
            (7, 3, ""),
            (9, 3, ""),
            (11, 0, IMPLICIT),
            (13, 4, ""),
        ]


def test_of_several_transfer_syntaxes_the_first_that_is_not_retired(receive: Start) -> None:
    big, jpeg, private = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.70", "1.2.3.4"
    with RawPeer(receive().port) as peer:
        assert peer.accepted(
            (CT, (big, jpeg, EXPLICIT)), (CT, (private, IMPLICIT)), (CT, (private, big))
        ) == [(1, 0, jpeg), (3, 0, IMPLICIT), (5, 0, big)]


def test_negotiation_of_what_we_do_not_do_is_answered_politely(receive: Start) -> None:
    with RawPeer(receive().port) as peer:
        _, body = peer.associate(asynchronous_operations=(8, 8), roles={CT: (True, True)})
    user = decode_associate_ac(body).user
    assert user.asynchronous_operations == (1, 1)
    assert user.roles == {CT: (True, False)}


def test_pynetdicom_with_user_identity_and_extended_negotiation(receive: Start) -> None:
    from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation, UserIdentityNegotiation

    receiving = receive()
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 1, b"somebody"
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT, b"\x02\x00"
    entity = AE()
    entity.add_requested_context(Verification)
    entity.add_requested_context(CTImageStorage)
    association = entity.associate(
        "127.0.0.1",
        receiving.port,
        ext_neg=[identity, extended, build_role(CTImageStorage, scu_role=True, scp_role=True)],
    )
    assert association.is_established
    assert association.send_c_echo().Status == 0
    association.release()
    assert receiving.wait_for("C_ECHO").detail["calling_ae_title"] == "PYNETDICOM"


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (ReceivePolicy(allowed_calling_ae_titles=frozenset({"OTHER"})), (1, 1, 3)),
        (ReceivePolicy(check_called_ae_title=True), (1, 1, 7)),
        (ReceivePolicy(allowed_networks=(ipaddress.ip_network("10.0.0.0/8"),)), (1, 1, 1)),
    ],
)
def test_peers_that_may_not_send_are_rejected(
    receive: Start, policy: ReceivePolicy, reason: tuple[int, int, int]
) -> None:
    receiving = receive(policy=policy)
    with RawPeer(receiving.port) as peer:
        kind, body = peer.associate(called="SOMEBODY")
    assert (kind, tuple(body[1:])) == (REJECTED, reason)
    event = receiving.wait_for("ASSOCIATION_REJECTED")
    assert (event.detail["result"], event.detail["source"], event.detail["reason"]) == reason
    assert event.detail["calling_ae_title"] == "TESTER"


def test_peers_that_may_send_are_accepted(receive: Start) -> None:
    policy = ReceivePolicy(
        allowed_calling_ae_titles=frozenset({"TESTER"}),
        allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),),
        check_called_ae_title=True,
    )
    with RawPeer(receive(policy=policy).port) as peer:
        assert peer.associate()[0] == 2


def test_one_association_too_many_is_rejected_for_now(receive: Start) -> None:
    receiving = receive(max_associations=2)
    with contextlib.ExitStack() as stack:
        first, second, third = (stack.enter_context(RawPeer(receiving.port)) for _ in range(3))
        assert first.associate()[0] == second.associate()[0] == 2
        kind, body = third.associate()
        assert (kind, tuple(body[1:])) == (REJECTED, (2, 3, 2))
        first.send(struct.pack(">BBLL", 5, 0, 4, 0))
        assert first.receive() == (6, bytes(4))
        first.socket.close()
        deadline = time.monotonic() + 60
        while receiving.acceptor.associations > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        with RawPeer(receiving.port) as fourth:
            assert fourth.associate()[0] == 2


def test_other_protocols_and_applications_are_rejected(receive: Start) -> None:
    receiving = receive()
    for at, value, reason in ((0, b"\0\2", (1, 2, 2)), (72, b"9", (1, 1, 2))):
        with RawPeer(receiving.port) as peer:
            sent: list[bytes] = []
            peer.send = sent.append  # type: ignore[method-assign]
            peer.receive = lambda: (0, b"")  # type: ignore[method-assign]
            peer.associate()
            raw = bytearray(sent[0])
            raw[6 + at : 6 + at + len(value)] = value
            peer.socket.sendall(raw)
            kind, body = RawPeer.receive(peer) or (0, b"")
        assert (kind, tuple(body[1:])) == (REJECTED, reason)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda one: setattr(one.shelf, "has_room", False), 0xA700),
        (lambda one: setattr(one.shelf, "fails_on_commit", True), 0xA700),
        (lambda one: one.policy.__setitem__(0, ReceivePolicy(paused="quota")), 0xA700),
        (
            lambda one: one.policy.__setitem__(
                0, ReceivePolicy(denied_sop_classes=frozenset({CT}))
            ),
            0x0122,
        ),
    ],
)
def test_what_cannot_be_taken_is_refused_and_the_association_goes_on(
    receive: Start, change: Callable[[Receiving], None], status: int
) -> None:
    receiving = receive()
    with RawPeer(receiving.port) as peer:
        peer.associate()
        assert store(peer, data_set()) == 0
        change(receiving)
        assert store(peer, data_set(pixels=3_000_000)) == status
        receiving.shelf.has_room, receiving.shelf.fails_on_commit = True, False
        receiving.policy[0] = ReceivePolicy()
        assert store(peer, data_set()) == 0
    assert len(receiving.shelf.stored) == 2
    assert receiving.wait_for("INSTANCE_REJECTED").detail["status"] == f"{status:04X}"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (data_set("1.2.4"), 0xA900),
        (data_set().replace(b".1.1.2\0", b".1.1.4\0"), 0xA900),
        (b"", 0xC000),
        (bytes(50), 0xC000),
        (os.urandom(5000), 0xC000),
        (data_set()[:5], 0xC000),
    ],
)
def test_data_sets_that_do_not_fit_their_command(
    receive: Start, content: bytes, status: int
) -> None:
    receiving = receive()
    with RawPeer(receiving.port) as peer:
        peer.associate()
        peer.send(pdu(4, pdv(1, 3, encode_store_request(1, CT, "1.2.3")) + pdv(1, 2, content)))
        answer = peer.receive()
        assert answer is not None
        assert decode_command(answer[1][6:]).status == status
        assert store(peer, data_set()) == 0
    assert len(receiving.shelf.stored) == 1


def test_a_command_for_another_class_than_its_context(receive: Start) -> None:
    with RawPeer(receive().port) as peer:
        peer.associate(("1.2.840.10008.5.1.4.1.1.4", (EXPLICIT,)))
        assert store(peer, data_set()) == 0xA900


def test_an_unknown_request_is_answered(receive: Start) -> None:
    with RawPeer(receive().port) as peer:
        peer.associate()
        request = bytearray(encode_store_request(1, CT, "1.2.3"))
        at = request.index(bytes.fromhex("000000010200000001 00".replace(" ", "")))
        request[at + 8 : at + 10] = b"\x20\0"  # C-FIND-RQ
        peer.send(pdu(4, pdv(1, 3, bytes(request)) + pdv(1, 2, data_set())))
        answer = peer.receive()
        assert answer is not None
        command = decode_command(answer[1][6:])
        assert (command.field, command.status) == (0x8020, 0x0211)


@pytest.mark.parametrize("end", ["close", "reset", "abort"])
def test_a_sender_that_dies_inside_an_instance_leaves_an_event(receive: Start, end: str) -> None:
    receiving = receive()
    with RawPeer(receiving.port) as peer:
        peer.associate()
        peer.send(pdu(4, pdv(1, 3, encode_store_request(1, CT, "1.2.3"))))
        peer.send(pdu(4, pdv(1, 0, data_set(pixels=50_000)[:16000])))
        time.sleep(0.1)
        if end == "abort":
            peer.send(struct.pack(">BBLBBBB", 7, 0, 4, 0, 0, 0, 0))
        elif end == "reset":
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    receiving.wait_for("ASSOCIATION_ABORTED")
    assert receiving.shelf.stored == []
    assert receiving.shelf.aborted == 1


def test_an_instance_longer_than_the_limit_is_cut_off(receive: Start) -> None:
    receiving = receive(max_instance_bytes=50_000, buffer_bytes=8192)
    with RawPeer(receiving.port) as peer:
        peer.associate()
        peer.send(pdu(4, pdv(1, 3, encode_store_request(1, CT, "1.2.3"))))
        with contextlib.suppress(OSError):
            for _ in range(10):
                peer.send(pdu(4, pdv(1, 0, data_set(pixels=15_000))))
    assert "longer" in str(receiving.wait_for("ASSOCIATION_ABORTED").detail["text"])
    assert receiving.shelf.aborted == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">BBL", 1, 0, 0xFFFFFFFF),
        struct.pack(">BBL", 1, 0, 10) + bytes(10),
        struct.pack(">BBL", 4, 0, 10) + bytes(10),
    ],
)
def test_what_is_no_association_request_is_aborted(receive: Start, raw: bytes) -> None:
    receiving = receive()
    with RawPeer(receiving.port) as peer:
        peer.send(raw)
        answer = peer.receive()
        assert answer is not None
        assert answer[0] == ABORT
    receiving.wait_for("ASSOCIATION_ABORTED")


def test_a_look_whether_the_port_is_open_is_no_event(receive: Start) -> None:
    """Health checks and load balancers do it every few seconds; the audit is not for them."""
    receiving = receive()
    with RawPeer(receiving.port):
        pass
    with RawPeer(receiving.port) as peer:
        peer.send(b"no DICOM")
    assert receiving.wait_for("ASSOCIATION_ABORTED")
    assert receiving.kinds() == ["ASSOCIATION_ABORTED"]


def test_messages_on_contexts_that_are_not_agreed_are_aborted(receive: Start) -> None:
    with RawPeer(receive().port) as peer:
        peer.associate((CT, (EXPLICIT,)), (FIND, (EXPLICIT,)))
        peer.send(pdu(4, pdv(3, 3, encode_store_request(1, CT, "1.2.3"))))
        answer = peer.receive()
        assert answer is not None
        assert answer[0] == ABORT


def test_who_says_nothing_is_let_go(receive: Start) -> None:
    receiving = receive(acse_timeout_s=0.2, network_timeout_s=0.2)
    with RawPeer(receiving.port) as silent, RawPeer(receiving.port) as idle:
        idle.associate()
        for peer in (silent, idle):
            answer = peer.receive()
            assert answer is not None
            assert answer[0] == ABORT
            assert peer.receive() is None


def test_silent_connections_keep_nobody_out(receive: Start) -> None:
    receiving = receive(acse_timeout_s=150, max_associations=2)
    with contextlib.ExitStack() as crowd:
        for _ in range(200):
            silent = crowd.enter_context(socket.socket())
            silent.bind(("127.0.0.2", 0))
            silent.connect(("127.0.0.1", receiving.port))
        began = time.monotonic()
        with RawPeer(receiving.port) as honest, RawPeer(receiving.port) as another:
            honest.associate()
            another.associate()
            assert store(honest, data_set()) == 0
        assert time.monotonic() - began < 100, "long before the silent ones are timed out"


def test_a_request_that_trickles_is_cut_off(receive: Start) -> None:
    receiving = receive(acse_timeout_s=0.3)
    with RawPeer(receiving.port) as peer:
        sent = 0
        with contextlib.suppress(OSError):
            for byte in struct.pack(">BBL", 1, 0, 500) + bytes(500):
                peer.send(bytes([byte]))
                sent += 1
                time.sleep(0.02)
    assert sent < 506


def test_stopping_finishes_what_is_going_on(receive: Start) -> None:
    receiving = receive()
    with RawPeer(receiving.port) as busy, RawPeer(receiving.port) as idle:
        busy.associate()
        idle.associate()
        busy.send(pdu(4, pdv(1, 3, encode_store_request(1, CT, "1.2.3"))))
        content = data_set(pixels=100)
        busy.send(pdu(4, pdv(1, 0, content[:50])))
        time.sleep(0.2)
        clean: list[bool] = []
        stopper = threading.Thread(target=lambda: clean.append(receiving.acceptor.stop(5)))
        stopper.start()
        assert (idle.receive() or (0,))[0] == ABORT
        time.sleep(0.2)
        busy.send(pdu(4, pdv(1, 2, content[50:])))
        answer = busy.receive()
        assert answer is not None
        assert decode_command(answer[1][6:]).status == 0
        assert (busy.receive() or (0,))[0] == ABORT
        stopper.join()
    assert clean == [True]
    assert [stored for _, stored in receiving.shelf.stored] == [content]
    with pytest.raises(OSError, match="refused"):
        RawPeer(receiving.port)


def test_stopping_cuts_off_what_does_not_end(receive: Start) -> None:
    receiving = receive()
    with RawPeer(receiving.port) as peer:
        peer.associate()
        peer.send(pdu(4, pdv(1, 3, encode_store_request(1, CT, "1.2.3"))))
        time.sleep(0.2)
        assert not receiving.acceptor.stop(0.3)
    assert receiving.shelf.stored == []


def test_an_address_that_is_taken_is_an_error_that_says_so(receive: Start) -> None:
    with pytest.raises(ConfigurationError, match="cannot listen on"):
        receive(port=receive().port)


def test_it_listens_on_several_addresses(receive: Start) -> None:
    receiving = receive(hosts=("127.0.0.1", "::1"))
    assert len({port for _, port in receiving.acceptor.addresses}) == 1
    with socket.create_connection(("::1", receiving.port)):
        pass


def test_pynetdicom_stores(receive: Start, tmp_path: Path) -> None:
    from pydicom import dcmread

    receiving = receive()
    entity = AE()
    entity.add_requested_context(CTImageStorage, EXPLICIT)
    association = entity.associate("127.0.0.1", receiving.port)
    ds = dcmread(ct_file(tmp_path))
    assert association.send_c_store(ds).Status == 0
    association.release()
    assert receiving.shelf.stored[0][0].sop_instance_uid == ds.SOPInstanceUID
