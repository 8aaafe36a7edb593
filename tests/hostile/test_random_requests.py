"""Random and nearly right requests for the parsers of HTTP: an answer or a refusal, soon."""

from __future__ import annotations

import contextlib
import time
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.apps.dicomweb.accept import parse_accept
from isocenter.apps.dicomweb.errors import BadRequest
from isocenter.apps.dicomweb.qido_parameters import Asked, read_parameters
from isocenter.core.network.multipart import (
    MultipartDecoder,
    MultipartError,
    MultipartLimits,
    PartStart,
    parse_media_type,
)

SEARCHABLE = {0x00100010, 0x00100020, 0x0020000D, 0x00080020, 0x00080061, 0x00400275}
INSIDE = {0x00400275: {0x00400009}}
LIMITS = MultipartLimits(max_parts=5, max_part_bytes=500, max_header_bytes=64, max_filling_bytes=64)
TOO_SLOW_S = 2.0

NAMES = st.one_of(
    st.sampled_from(
        [
            "PatientName",
            "00100010",
            "0010001",
            "limit",
            "offset",
            "fuzzymatching",
            "includefield",
            "RequestAttributesSequence.ScheduledProcedureStepID",
            "00400275.00400009",
            "00400275.00400275.00400009",
            ".",
            "7FE00010",
            "00091001",
        ]
    ),
    st.text(max_size=12),
)
VALUES = st.one_of(
    st.sampled_from(
        ["*", "?", "-", "all", "true", "1" * 40, "-1", "1.2,3", "\\", "20200101-", "';--", "\0"]
    ),
    st.text(max_size=40),
    st.text(alphabet="*?\\-^=,", max_size=200),
)


@pytest.fixture(scope="module")
def examples(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--hostile-examples"))


def run(test: object, examples: int) -> None:
    """A property with as many examples as the command line wants."""
    settings(max_examples=examples, deadline=None)(test)()  # type: ignore[arg-type]


def test_searches(examples: int) -> None:
    @given(st.lists(st.tuples(NAMES, VALUES), max_size=70))
    def check(items: list[tuple[str, str]]) -> None:
        began = time.monotonic()
        with contextlib.suppress(BadRequest):
            asked = read_parameters(items, SEARCHABLE, INSIDE)
            assert isinstance(asked, Asked)
            assert set(asked.keys) <= SEARCHABLE
            assert asked.limit is None or asked.limit >= 0
            assert asked.offset >= 0
        assert time.monotonic() - began < TOO_SLOW_S

    run(check, examples)


def test_query_strings(examples: int) -> None:
    @given(st.text(max_size=300))
    def check(text: str) -> None:
        items = parse_qsl(text, keep_blank_values=True)
        with contextlib.suppress(BadRequest):
            read_parameters(items, SEARCHABLE, INSIDE)

    run(check, examples)


@pytest.mark.parametrize("text", ["*" * 4000, "?" * 4000, "a*" * 2000, "^" * 4000])
def test_matching_texts_that_could_take_long(text: str) -> None:
    began = time.monotonic()
    with contextlib.suppress(BadRequest):
        read_parameters([("PatientName", text)], SEARCHABLE, INSIDE)
    assert time.monotonic() - began < TOO_SLOW_S


def test_accepted_types(examples: int) -> None:
    pieces = st.sampled_from(
        ["multipart/related", "*/*", ";", "q=", "q=0.5", ",", '"', "type=", "=", " ", "\\", "a/b"]
    )

    @given(st.one_of(st.text(max_size=80), st.lists(pieces, max_size=30).map("".join)))
    def check(text: str) -> None:
        with contextlib.suppress(BadRequest):
            parse_accept(text)
        with contextlib.suppress(MultipartError):
            parse_media_type(text)

    run(check, examples)


@pytest.mark.parametrize(
    "text", ['a/b; x="' + "\\" * 4000, "a/b" + ";" * 4000, "a/b; x=" * 500, "a/b;" + " " * 4000]
)
def test_types_that_could_take_long(text: str) -> None:
    began = time.monotonic()
    with contextlib.suppress(MultipartError):
        parse_media_type(text)
    with contextlib.suppress(BadRequest):
        parse_accept(text)
    assert time.monotonic() - began < TOO_SLOW_S


def test_bodies_hold_to_their_bounds(examples: int) -> None:
    pieces = st.sampled_from(
        [b"--b", b"\r\n--b", b"\r\n", b"--", b"X: y", b"x" * 300, b"\0" * 70, b"Content-Length: 3"]
    )

    @given(st.lists(pieces, max_size=60).map(b"".join), st.integers(1, 40))
    def check(body: bytes, step: int) -> None:
        decoder = MultipartDecoder("b", LIMITS)
        parts = length = 0
        with contextlib.suppress(MultipartError):
            for start in range(0, len(body), step):
                for event in decoder.feed(body[start : start + step]):
                    if isinstance(event, PartStart):
                        parts, length = parts + 1, 0
                    elif isinstance(event, memoryview):
                        length += len(event)
                    assert parts <= LIMITS.max_parts
                    assert length <= LIMITS.max_part_bytes
            decoder.finish()

    run(check, examples)
