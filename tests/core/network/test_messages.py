"""Messages out of PDUs, however they were cut."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.errors import AssociationAborted, NetworkTimeout, ProtocolError
from isocenter.core.network.command import encode_echo_request, encode_store_request
from isocenter.core.network.connection import Connection
from isocenter.core.network.messages import MessageReader, encode_message

CT = "1.2.840.10008.5.1.4.1.1.2"
REQUEST = encode_store_request(1, CT, "1.2.3")


def pdus(messages: list[bytes], data: st.DataObject) -> bytes:
    """Cut command and data set into random fragments, and put those into random PDUs."""
    fragments = []
    for number, content in enumerate(messages):
        is_command = number % 2 == 0
        cuts = data.draw(st.lists(st.integers(0, len(content)), max_size=6))
        edges = [0, *sorted(cuts), len(content)]
        pieces = [content[a:b] for a, b in itertools.pairwise(edges)]
        for index, piece in enumerate(pieces):
            control = int(is_command) | (2 if index == len(pieces) - 1 else 0)
            fragments.append(struct.pack(">LBB", len(piece) + 2, 1, control) + piece)
    raw = b""
    while fragments:
        count = data.draw(st.integers(1, len(fragments)))
        body = b"".join(fragments[:count])
        raw += struct.pack(">BBL", 4, 0, len(body)) + body
        fragments = fragments[count:]
    return raw


@contextmanager
def reading(
    raw: bytes, buffer_bytes: int = 1 << 16, step: int = 1 << 20
) -> Iterator[MessageReader]:
    ours, theirs = socket.socketpair()

    def feed() -> None:
        with contextlib.suppress(OSError):
            for first in range(0, len(raw), step):
                theirs.sendall(raw[first : first + step])
        theirs.close()

    thread = threading.Thread(target=feed)
    thread.start()
    with ours:
        yield MessageReader(
            Connection(ours, 5), max_pdu=1 << 20, pdu_timeout_s=5, buffer_bytes=buffer_bytes
        )
    thread.join()


@settings(deadline=None, max_examples=60)
@given(st.data(), st.lists(st.binary(max_size=3000), min_size=1, max_size=3))
def test_messages_are_whole_however_they_are_cut(
    data: st.DataObject, payloads: list[bytes]
) -> None:
    parts = [part for payload in payloads for part in (REQUEST, payload)]
    buffer_bytes = data.draw(st.sampled_from([256, 1000, 4096]))
    step = data.draw(st.sampled_from([7, 100, 4096]))
    with reading(pdus(parts, data), buffer_bytes, step) as reader:
        for payload in payloads:
            message = reader.next_message()
            assert message is not None
            assert message.command.affected_sop_instance == "1.2.3"
            assert message.read(10_000) == payload
        with pytest.raises(AssociationAborted):
            reader.next_message()


@given(st.binary(min_size=1, max_size=2000), st.sampled_from([0, 50, 64, 4096]))
@settings(deadline=None, max_examples=30)
def test_what_we_cut_we_can_read(payload: bytes, max_pdu: int) -> None:
    raw = b"".join(encode_message(1, REQUEST, payload, max_pdu=max_pdu))
    with reading(raw) as reader:
        message = reader.next_message()
        assert message is not None
        assert message.read(10_000) == payload


def test_draining_goes_on_where_reading_stopped() -> None:
    raw = b"".join(encode_message(1, REQUEST, bytes(100_000), max_pdu=16384))
    raw += b"".join(encode_message(1, REQUEST, b"second"))
    with reading(raw, buffer_bytes=4096) as reader:
        message = reader.next_message()
        assert message is not None
        next(iter(message.chunks()))
        message.drain()
        second = reader.next_message()
        assert second is not None
        assert second.read(100) == b"second"


def fragment(control: int, content: bytes, context: int = 1, length: int | None = None) -> bytes:
    size = len(content) + 2 if length is None else length
    body = struct.pack(">LBB", size, context, control) + content
    return struct.pack(">BBL", 4, 0, len(body)) + body


COMMAND = fragment(3, REQUEST)
RELEASE = struct.pack(">BBLL", 5, 0, 4, 0)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(fragment(2, b"data first"), id="data before a command"),
        pytest.param(fragment(1, REQUEST[:10]) + fragment(3, b"", 3), id="command changes context"),
        pytest.param(COMMAND + fragment(2, b"x", 3), id="data set changes context"),
        pytest.param(COMMAND + fragment(3, REQUEST), id="command inside a data set"),
        pytest.param(COMMAND + RELEASE, id="release inside a data set"),
        pytest.param(fragment(1, REQUEST[:10]) + RELEASE, id="release inside a command"),
        pytest.param(fragment(3, b"", length=1), id="fragment shorter than its head"),
        pytest.param(fragment(3, b"", length=0xFFFFFFFF), id="fragment of 4 GB"),
        pytest.param(struct.pack(">BBL", 4, 0, 0xFFFFFFFF), id="PDU of 4 GB"),
        pytest.param(struct.pack(">BBL", 4, 0, 3) + b"abc", id="PDU shorter than a head"),
        pytest.param(struct.pack(">BBL", 9, 0, 4) + bytes(4), id="unknown PDU"),
        pytest.param(struct.pack(">BBL", 1, 0, 4) + bytes(4), id="association request again"),
        pytest.param(struct.pack(">BBL", 5, 0, 400), id="release of 400 bytes"),
        pytest.param(fragment(1, bytes(60_000)) * 2, id="command of 120 KB"),
        pytest.param(fragment(3, b"garbage!"), id="no command"),
    ],
)
def test_what_is_not_allowed(raw: bytes) -> None:
    with reading(raw) as reader, pytest.raises(ProtocolError):
        read_to_the_end(reader)


def read_to_the_end(reader: MessageReader) -> None:
    while (message := reader.next_message()) is not None:
        message.drain()


def test_a_peer_that_aborts() -> None:
    raw = COMMAND + struct.pack(">BBLBBBB", 7, 0, 4, 0, 0, 0, 0)
    with reading(raw) as reader, pytest.raises(AssociationAborted, match="peer aborted"):
        read_to_the_end(reader)


def test_release_is_no_message() -> None:
    with reading(RELEASE) as reader:
        assert reader.next_message() is None


def test_a_small_data_set_has_a_limit() -> None:
    with reading(b"".join(encode_message(1, REQUEST, bytes(500)))) as reader:
        message = reader.next_message()
        assert message is not None
        with pytest.raises(ProtocolError):
            message.read(100)


def test_silence_has_a_limit() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = MessageReader(Connection(ours, 0.1), max_pdu=1000, pdu_timeout_s=5)
        with pytest.raises(NetworkTimeout):
            reader.next_message()


def test_a_pdu_that_trickles_has_a_limit() -> None:
    raw = b"".join(encode_message(1, encode_echo_request(1, "1.2")))
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def trickle() -> None:
        for byte in raw:
            if stop.wait(0.03):
                return
            theirs.sendall(bytes([byte]))

    thread = threading.Thread(target=trickle)
    thread.start()
    reader = MessageReader(Connection(ours, 5), max_pdu=1000, pdu_timeout_s=0.3)
    with ours, theirs:
        with pytest.raises(NetworkTimeout):
            reader.next_message()
        stop.set()
        thread.join()
