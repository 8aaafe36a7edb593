"""Command sets, against pydicom's reading of the same bytes."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filereader import read_dataset

from isocenter.core.errors import ProtocolError
from isocenter.core.network.command import (
    Command,
    decode_command,
    encode_echo_request,
    encode_response,
    encode_store_request,
)

CT = "1.2.840.10008.5.1.4.1.1.2"


def test_a_store_request_is_what_pydicom_reads() -> None:
    raw = encode_store_request(7, CT, "1.2.3")
    ds = read_dataset(BytesIO(raw), is_implicit_VR=True, is_little_endian=True)
    assert (ds.CommandField, ds.MessageID, ds.AffectedSOPClassUID) == (1, 7, CT)
    assert ds.AffectedSOPInstanceUID == "1.2.3"
    assert ds.CommandGroupLength == len(raw) - 12
    assert decode_command(raw) == Command(1, 7, 0, CT, "1.2.3", 1)


def test_a_response_names_what_the_request_named() -> None:
    request = decode_command(encode_store_request(7, CT, "1.2.3"))
    raw = encode_response(request, 0xA700, comment="the disk is full")
    ds = read_dataset(BytesIO(raw), is_implicit_VR=True, is_little_endian=True)
    assert (ds.CommandField, ds.MessageIDBeingRespondedTo, ds.Status) == (0x8001, 7, 0xA700)
    assert (ds.AffectedSOPClassUID, ds.AffectedSOPInstanceUID) == (CT, "1.2.3")
    assert ds.ErrorComment == "the disk is full"
    assert ds.CommandDataSetType == 0x0101
    assert not decode_command(raw).is_request


def test_an_echo_request_has_no_data_set() -> None:
    assert not decode_command(encode_echo_request(1, "1.2.840.10008.1.1")).has_data_set


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0\0",
        bytes.fromhex("08001600020000003132"),  # group 0008
        bytes.fromhex("00000001ffffffff0100"),  # longer than what is there
        bytes.fromhex("000000010400000001000000"),  # US of four bytes
        bytes.fromhex("0000100102000000 0100"),  # no command field
    ],
)
def test_what_is_no_command_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_command(raw)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_read(raw: bytes) -> None:
    try:
        decode_command(raw)
    except ProtocolError:
        return


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("the disk is full", "the disk is full"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 61 + "..."),
        (
            "the peer accepts no presentation context as SCP for this SOP class",
            "the peer accepts no presentation context as SCP for this SOP...",
        ),
    ],
)
def test_a_comment_is_an_lo_and_ends_after_a_word(comment: str, said: str) -> None:
    request = decode_command(encode_store_request(1, "1.2", "1.2.3"))
    answer = decode_command(encode_response(request, 0xA700, comment=comment))
    assert answer.comment == said
    assert len(said) <= 64
