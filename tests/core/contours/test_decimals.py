"""Many decimal strings at once are the numbers that `float` makes of each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from isocenter.core.contours.decimals import decimals, exact_decimals

plain = st.from_regex(r"[+-]?([0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,12})", fullmatch=True)
number = st.one_of(
    plain,
    plain.map(lambda text: f" {text} "),
    st.floats(allow_nan=False).map(repr),
    st.integers().map(str),
)
rubbish = st.one_of(
    st.text(alphabet="0123456789.+-eE \\x_:/\x00é", max_size=12), st.sampled_from(["nan", "inf"])
)


def by_float(text: bytes) -> list[float] | None:
    text = text.rstrip(b" \0").removesuffix(b"\\")
    if b"_" in text:
        return None
    try:
        return [float(part) for part in text.split(b"\\")] if text else []
    except ValueError:
        return None


def check(texts: list[bytes]) -> None:
    for text, found in zip(texts, decimals(texts), strict=True):
        wanted = by_float(text)
        if wanted is None:
            assert found is None
        else:
            assert found is not None
            same = np.array(wanted, np.float64).view(np.int64)
            assert np.array_equal(found.view(np.int64), same), text


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(number, max_size=30).map(lambda some: "\\".join(some).encode())))
@example([b"-0.0\\-0\\+.5\\7.", b"", b"123456789012345\\-12.3456789012345"])
@example([b"1\\2\\3 ", b"1\\2\\3\0", b"1\\2\\3\\"])
def test_numbers_are_those_of_float(texts: list[bytes]) -> None:
    check(texts)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.lists(st.one_of(plain, rubbish), max_size=8).map(lambda some: "\\".join(some).encode())
    )
)
@example(
    [b"1.2.3\\4\\5", b"--1\\2\\3", b"-\\1\\2", b".", b"1-2\\3\\4", b"\\", b"1\\\\2", b"1_0\\2\\3"]
)
def test_rubbish_in_one_text_spoils_no_other(texts: list[bytes]) -> None:
    check(texts)


def test_texts_longer_than_a_group_are_read() -> None:
    values = np.random.default_rng(1).uniform(-500, 500, 60_000).round(4)
    text = "\\".join(map(str, values.tolist())).encode()
    check([b"1", text, b"2.5", text])


@pytest.mark.parametrize("piece", [b"1\\", b"1.5 \\", b"1\\\\", b"1\0\\"])
def test_one_text_of_many_groups_is_read_as_float_reads_it(piece: bytes) -> None:
    text = piece * (600_000 // len(piece)) + b"-2"
    check([b"1", text])


@pytest.mark.parametrize("text", [b"0x10", b"1e", b"1_000", b"one"])
def test_what_is_no_number_is_none(text: bytes) -> None:
    assert exact_decimals(text) is None
