"""Multipart bodies: every payload, cut in whatever way, comes out as it went in."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from isocenter.core.network.multipart import (
    MediaType,
    MultipartDecoder,
    MultipartError,
    MultipartLimits,
    PartEnd,
    PartStart,
    PartTooLong,
    closing,
    encode,
    new_boundary,
    parse_media_type,
    part_head,
)

BOUNDARY = "b0undary"
DELIMITER = b"\r\n--b0undary"


def decoded(
    body: bytes, cuts: list[int], limits: MultipartLimits | None = None
) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a body that comes cut at these places."""
    decoder = MultipartDecoder(BOUNDARY, limits)
    found: list[tuple[dict[str, str], bytes]] = []
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    headers: dict[str, str] = {}
    payload = bytearray()
    for start, end in itertools.pairwise(places):
        for event in decoder.feed(body[start:end]):
            if isinstance(event, PartStart):
                headers, payload = dict(event.headers), bytearray()
            elif isinstance(event, PartEnd):
                assert event.length == len(payload)
                found.append((headers, bytes(payload)))
            else:
                payload += event
    decoder.finish()
    return found


# Pieces that look like what stands between parts, and are not.
NEAR = st.sampled_from(
    [
        *(DELIMITER[:length] for length in range(1, len(DELIMITER))),
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"--",
        b" ",
        b"\t  ",
        b"\0",
        b"\n--b0undary",
        b"--b0undar",
        b"\r\n--b0undarx",
        b"\r\r\n--b0und",
        b"Content-Type: application/dicom\r\n\r\n",
    ]
)
PAYLOAD = st.lists(st.one_of(NEAR, st.binary(max_size=40)), max_size=8).map(b"".join)
PAYLOADS = PAYLOAD.filter(lambda payload: DELIMITER not in b"\r\n" + payload)
CUTS = st.lists(st.integers(0, 600), max_size=30)


@settings(max_examples=400, deadline=None)
@given(st.lists(PAYLOADS, min_size=1, max_size=5), CUTS)
@example([b"ends in spaces   ", b"ends in line ends\r\n\r\n", b""], [])
@example([b"\r\n--b0undar", b"--b0undar", b"\r\n--b0und\r\n--b0undar"], list(range(400)))
def test_any_payload_survives_any_cutting(payloads: list[bytes], cuts: list[int]) -> None:
    headers = {"Content-Type": "application/dicom"}
    body = encode([(headers, payload) for payload in payloads], BOUNDARY)
    expected = [({"content-type": "application/dicom"}, payload) for payload in payloads]
    assert decoded(body, cuts) == expected
    assert decoded(body, list(range(len(body)))) == expected


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), CUTS)
def test_any_bytes_are_parts_or_an_error(body: bytes, cuts: list[int]) -> None:
    def outcome(cuts: list[int]) -> object:
        try:
            return decoded(body, cuts)
        except MultipartError:
            return "error"

    assert outcome(cuts) == outcome([])


HOSTILE = st.lists(
    st.sampled_from(
        [b"--b0undary", b"\r\n", b"--", b"\r", b"\n", b"A: b", b":", b" ", b"x", b"\0", DELIMITER]
    ),
    max_size=14,
).map(b"".join)


@settings(max_examples=500, deadline=None)
@given(HOSTILE, CUTS)
def test_cutting_changes_nothing_for_hostile_bytes(body: bytes, cuts: list[int]) -> None:
    def outcome(cuts: list[int]) -> object:
        try:
            return decoded(body, cuts)
        except MultipartError:
            return "error"

    assert outcome(cuts) == outcome([]) == outcome(list(range(len(body))))


def test_what_stands_before_and_behind_is_passed_over() -> None:
    body = b"preamble\r\n--b0undary \t\r\nA: 1\r\n\r\nx\r\n--b0undary-- \r\nepilogue\r\n--b0undary"
    assert decoded(body, [3, 12, 50]) == [({"a": "1"}, b"x")]


def test_a_part_may_have_no_headers_and_no_bytes() -> None:
    assert decoded(b"--b0undary\r\n\r\nx\r\n--b0undary--", []) == [({}, b"x")]
    assert decoded(b"--b0undary\r\nA: 1\r\n\r\n--b0undary--", []) == [({"a": "1"}, b"")]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "before its first part"),
        (b"--b0undary\r\n\r\nx", "in part 1"),
        (b"--b0undary\r\n\r\nx\r\n--b0undary\r\n", "in part 2"),
        (b"--b0undary\r\n\r\nx\r\n--b0undary-", "in part 1"),
        (b"--b0undary\r\n\r\nx\r\n--b0undary2\r\n\r\ny\r\n--b0undary--", "and is none"),
        (b"--b0undary\r\n\r\nx\r\n--b0undary\n\r\ny\r\n--b0undary--", "and is none"),
        (b"--b0undary\r\nno header\r\n\r\nx\r\n--b0undary--", "header of part 1"),
        (b"--b0undary\r\nA: 1\r\na: 2\r\n\r\nx\r\n--b0undary--", "twice"),
        (b"--b0undary\r\nContent-Length: 5\r\n\r\nx\r\n--b0undary--", "declares 5 bytes and has 1"),
        (b"--b0undary\r\nContent-Length: -1\r\n\r\nx\r\n--b0undary--", "no number"),
        (b"--b0undary\r\nContent-Length: 99999\r\n\r\nx\r\n--b0undary--", "longer than 1000"),
        (b"--b0undary\r\nA: " + b"x" * 9000 + b"\r\n\r\nx\r\n--b0undary--", "exceed 256 bytes"),
        (b"--b0undary" + b" " * 500 + b"\r\n\r\nx\r\n--b0undary--", "and is none"),
        (b"x" * 2000, "outside the parts"),
        (b"--b0undary--" + b"x" * 20, "and is none|last delimiter"),
        (b"--b0undary--\r\n" + b"x" * 2000, "outside the parts"),
        (b"--b0undary\r\n\r\n" + b"x" * 2000, "longer than 1000"),
        (b"--b0undary\r\n\r\n" * 5, "and is none|more than 3 parts|in part"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, text: str) -> None:
    limits = MultipartLimits(
        max_parts=3, max_part_bytes=1000, max_header_bytes=256, max_filling_bytes=1000
    )
    with pytest.raises(MultipartError, match=text):
        decoded(body, [], limits)


def test_too_many_parts() -> None:
    body = encode([({}, b"")] * 4, BOUNDARY)
    with pytest.raises(PartTooLong, match="more than 3 parts"):
        decoded(body, [], MultipartLimits(max_parts=3))


@pytest.mark.parametrize("boundary", ["", "x" * 201, "ends ", "a\r\nb", "ümlaut", 'q"'])
def test_no_boundary(boundary: str) -> None:
    with pytest.raises(MultipartError):
        MultipartDecoder(boundary)


def test_boundaries_as_long_as_orthancs() -> None:
    boundary = "6860894b-f066-46a9-b4ff-76bebc5f7ba9-6860894b-f066-46a9-b4ff-76bebc5f7ba9"
    decoder = MultipartDecoder(boundary)
    decoder.feed(encode([({}, b"x")], boundary))
    decoder.finish()


def test_big_parts_are_not_copied() -> None:
    chunk = bytes(1 << 20)
    decoder = MultipartDecoder(BOUNDARY)
    decoder.feed(part_head(BOUNDARY, {}, is_first=True))
    (piece,) = decoder.feed(chunk)
    assert isinstance(piece, memoryview)
    assert piece.obj is chunk
    decoder.feed(closing(BOUNDARY))
    decoder.finish()


def test_a_payload_with_the_delimiter_is_not_written() -> None:
    with pytest.raises(MultipartError):
        encode([({}, b"x" + DELIMITER)], BOUNDARY)
    with pytest.raises(MultipartError):
        encode([({}, b"--b0undary")], BOUNDARY)
    with pytest.raises(MultipartError):
        part_head(BOUNDARY, {"A": "b\r\nC: d"}, is_first=True)
    assert new_boundary() != new_boundary()


@pytest.mark.parametrize(
    ("text", "type_", "parameters"),
    [
        ("multipart/related", "multipart/related", {}),
        (
            'Multipart/Related; type="application/dicom"; boundary=abc',
            "multipart/related",
            {"type": "application/dicom", "boundary": "abc"},
        ),
        (
            "multipart/related; type=application/dicom; boundary=a=b",
            "multipart/related",
            {"type": "application/dicom", "boundary": "a=b"},
        ),
        ('a/b; x="q\\"uoted; too"; y=1;', "a/b", {"x": 'q"uoted; too', "y": "1"}),
    ],
)
def test_media_types(text: str, type_: str, parameters: dict[str, str]) -> None:
    assert parse_media_type(text) == MediaType(type_, parameters)


@pytest.mark.parametrize(
    "text", ["", "x", "a/b; boundary", "a/b; x=1; X=2", 'a/b; x="open', "a/" + "b" * 9000]
)
def test_no_media_types(text: str) -> None:
    with pytest.raises(MultipartError):
        parse_media_type(text)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_media_types_of_any_text(text: str) -> None:
    with contextlib.suppress(MultipartError):
        parse_media_type(text)
