"""Association PDUs: the same bytes as pynetdicom's, and no harm from other bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

from isocenter.core.errors import ProtocolError
from isocenter.core.network.pdu import (
    APPLICATION_CONTEXT,
    AssociateRequest,
    ContextResult,
    ProposedContext,
    decode_associate_ac,
    decode_associate_rq,
    encode_associate_ac,
    encode_associate_rq,
    own_user_information,
)

uids = st.lists(st.integers(0, 9_999_999), min_size=1, max_size=6).map(
    lambda numbers: ".".join(map(str, [1, *numbers]))
)
titles = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=1, max_size=16)


@st.composite
def requests(draw: st.DrawFn) -> AssociateRequest:
    contexts = draw(
        st.lists(st.tuples(uids, st.lists(uids, min_size=1, max_size=4)), min_size=1, max_size=8)
    )
    return AssociateRequest(
        called_ae_title=draw(titles),
        calling_ae_title=draw(titles),
        application_context=APPLICATION_CONTEXT,
        contexts=tuple(
            ProposedContext(2 * number + 1, abstract, tuple(syntaxes))
            for number, (abstract, syntaxes) in enumerate(contexts)
        ),
        user=own_user_information(
            draw(st.integers(0, 1 << 20)),
            asynchronous_operations=draw(st.none() | st.just((3, 2))),
            roles={contexts[0][0]: (True, draw(st.booleans()))},
        ),
    )


@given(requests())
def test_a_request_reads_as_it_was_written(request: AssociateRequest) -> None:
    found = decode_associate_rq(encode_associate_rq(request)[6:])
    assert found.contexts == request.contexts
    assert found.user == request.user
    assert (found.calling_ae_title, found.called_ae_title) == (
        request.calling_ae_title,
        request.called_ae_title,
    )


@given(requests())
def test_a_request_is_what_pynetdicom_would_read(request: AssociateRequest) -> None:
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(encode_associate_rq(request))
    assert theirs.calling_ae_title.strip() == request.calling_ae_title
    assert theirs.user_information.maximum_length == request.user.max_pdu
    assert [
        (one.context_id, one.abstract_syntax, tuple(one.transfer_syntax))
        for one in theirs.presentation_context
    ] == [(one.context_id, one.abstract_syntax, one.transfer_syntaxes) for one in request.contexts]
    assert decode_associate_rq(theirs.encode()[6:]).contexts == request.contexts


def test_an_acceptance_is_what_pynetdicom_would_read() -> None:
    results = [ContextResult(1, 0, "1.2.840.10008.1.2.1"), ContextResult(3, 3, "1.2")]
    raw = encode_associate_ac(
        b"B".ljust(16) + b"A".ljust(16) + bytes(32),
        results,
        own_user_information(131072, asynchronous_operations=(1, 1)),
    )
    theirs = A_ASSOCIATE_AC()
    theirs.decode(raw)
    assert [(one.context_id, one.result) for one in theirs.presentation_context] == [(1, 0), (3, 3)]
    assert theirs.user_information.maximum_length == 131072
    ours = decode_associate_ac(theirs.encode()[6:])
    assert ours.contexts[0] == results[0]
    assert ours.user.asynchronous_operations == (1, 1)


def sample(extra_user_items: bytes = b"", contexts: int = 1) -> bytes:
    request = AssociateRequest(
        "A",
        "B",
        APPLICATION_CONTEXT,
        tuple(ProposedContext((2 * n + 1) % 256, "1.2", ("1.3",)) for n in range(contexts)),
        own_user_information(0),
    )
    raw = encode_associate_rq(request)[6:]
    if extra_user_items:
        at = raw.rindex(b"\x50\x00")
        length = struct.unpack_from(">H", raw, at + 2)[0] + len(extra_user_items)
        raw = raw[: at + 2] + struct.pack(">H", length) + raw[at + 4 :] + extra_user_items
    return raw


def test_items_that_nobody_knows_are_passed_over() -> None:
    unknown = struct.pack(">BBH", 0x5F, 0, 3) + b"abc"
    found = decode_associate_rq(sample(unknown) + struct.pack(">BBH", 0x77, 0, 2) + b"zz")
    assert found.contexts[0].abstract_syntax == "1.2"


def test_user_identity_and_extended_negotiation_are_passed_over() -> None:
    identity = struct.pack(">BBH", 0x58, 0, 10) + b"\x01\x01\x00\x04user\x00\x00"
    extended = struct.pack(">BBH", 0x56, 0, 6) + b"\x00\x031.2\x01"
    found = decode_associate_rq(sample(identity + extended))
    assert found.user.has_user_identity


@pytest.mark.parametrize("contexts", [129, 200])
def test_too_many_contexts(contexts: int) -> None:
    with pytest.raises(ProtocolError):
        decode_associate_rq(sample(contexts=contexts))


def test_128_contexts_are_fine() -> None:
    assert len(decode_associate_rq(sample(contexts=128)).contexts) == 128


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_or_read(raw: bytes) -> None:
    for decode in (decode_associate_rq, decode_associate_ac):
        try:
            decode(raw)
        except ProtocolError:
            continue


@given(st.data())
def test_changed_bytes_are_refused_or_read(data: st.DataObject) -> None:
    raw = bytearray(sample(contexts=3))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_associate_rq(bytes(raw))
    except ProtocolError:
        return
