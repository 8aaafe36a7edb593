"""Random and mutated streams: the receiver says no, and what it accepts it has."""

from __future__ import annotations

import itertools
import socket
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stand.raw_peer import (
    CT_IMAGE,
    P_DATA,
    RELEASE_RQ,
    SUCCESS,
    associate_rq,
    element,
    pdu,
    pdv,
    response_status,
    store_rq,
    uid,
)


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--hostile-examples", default=60))


def check(examples: int):
    """Hypothesis settings: the receiver is shared by all examples, that is the point."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples <= 60,
        suppress_health_check=list(HealthCheck),
    )


def talk(victim, content: bytes, *, cuts: tuple[int, ...] = ()) -> list[tuple[int, bytes]]:
    """Send everything in pieces, close our side, hear what comes until the end."""
    with victim.peer() as peer:
        edges = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
        for first, last in itertools.pairwise(edges):
            if not peer.try_send(content[first:last]):
                break
        try:
            peer.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return []
        return peer.rest()


def accepted(answers: list[tuple[int, bytes]]) -> list[str]:
    """SOP Instance UIDs that were answered with success."""
    found = []
    for kind, body in answers:
        if kind == P_DATA:
            status, instance = response_status(body)
            if status == SUCCESS and instance:
                found.append(instance)
    return found


def test_random_bytes_instead_of_an_association(victim, examples):
    @check(examples)
    @given(st.binary(max_size=4000), st.integers(0, 255))
    def run(content: bytes, kind: int) -> None:
        talk(victim, content)
        talk(victim, struct.pack(">BBL", kind, 0, len(content)) + content)
        assert victim.receiver.is_up

    run()


def test_random_pdus_inside_an_association(victim, examples):
    fragment = st.builds(
        pdv, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=300),
        st.one_of(st.none(), st.integers(0, 0xFFFFFFFF)),
    )  # fmt: skip
    body = st.one_of(st.binary(max_size=300), st.lists(fragment, max_size=6).map(b"".join))
    one = st.builds(
        pdu, st.sampled_from([P_DATA, P_DATA, P_DATA, 1, 2, 5, 7, 99]), body,
        st.one_of(st.none(), st.none(), st.integers(0, 0xFFFFFFFF)),
    )  # fmt: skip

    @check(examples)
    @given(st.lists(one, max_size=8).map(b"".join))
    def run(content: bytes) -> None:
        talk(victim, associate_rq() + content)
        assert victim.receiver.is_up

    run()


def test_random_command_sets(victim, examples):
    one = st.builds(
        element, st.sampled_from([0, 2, 3, 0x100, 0x110, 0x120, 0x700, 0x800, 0x900, 0x1000]),
        st.one_of(st.binary(max_size=8), st.just(uid(CT_IMAGE)), st.just(b"\x01\0")),
        st.one_of(st.none(), st.none(), st.integers(0, 0xFFFFFFFF)),
        st.sampled_from([0, 0, 0, 0, 2, 8]),
    )  # fmt: skip

    @check(examples)
    @given(st.lists(one, max_size=8).map(b"".join), st.binary(max_size=200))
    def run(command: bytes, data: bytes) -> None:
        messages = pdu(P_DATA, pdv(1, 3, command)) + pdu(P_DATA, pdv(1, 2, data))
        talk(victim, associate_rq() + messages + pdu(RELEASE_RQ, bytes(4)))
        assert victim.receiver.is_up

    run()


def data_sets(stream: bytes) -> list[bytes]:
    """Data sets in a stream of PDUs, read by the book (PS3.8 9.3.5); for streams that are whole."""
    found, current, offset = [], b"", 0
    while offset + 6 <= len(stream):
        kind, _, length = struct.unpack_from(">BBL", stream, offset)
        body = stream[offset + 6 : offset + 6 + length]
        offset += 6 + length
        while kind == P_DATA and len(body) >= 6:
            size, _, control = struct.unpack_from(">LBB", body)
            if not control & 1:
                current += body[6 : 4 + size]
                if control & 2:
                    found, current = [*found, current], b""
            body = body[4 + size :]
    return found


def test_valid_stream_with_bytes_changed_and_cut_anywhere(victim, valid_instance, examples):
    """Where success is answered, the data set is in the spool exactly as it was sent."""
    mutation = st.tuples(st.integers(0, 1 << 20), st.integers(0, 255))
    successes = []

    @check(examples)
    @given(
        st.lists(mutation, max_size=4),
        st.lists(st.integers(0, 1 << 20), max_size=6).map(tuple),
        st.integers(0, 1 << 20),
        st.sampled_from([False, False, True]),
    )
    def run(mutations, cuts, end, is_cut) -> None:
        instance, data_set = valid_instance()
        stream = bytearray(
            associate_rq()
            + pdu(P_DATA, pdv(1, 3, store_rq(instance)))
            + pdu(P_DATA, pdv(1, 0, data_set[:900]))
            + pdu(P_DATA, pdv(1, 2, data_set[900:]))
            + pdu(RELEASE_RQ, bytes(4))
        )
        for at, value in mutations:
            stream[at % len(stream)] = value
        if is_cut:
            del stream[end % len(stream) :]
        wanted = accepted(talk(victim, bytes(stream), cuts=cuts))
        assert victim.receiver.is_up
        if wanted:
            stored = victim.receiver.stored()
            assert [stored.get(uid) for uid in wanted] == data_sets(bytes(stream))[: len(wanted)]
            successes.extend(wanted)

    run()
    assert successes, "some streams must have come through, or nothing was tested"
