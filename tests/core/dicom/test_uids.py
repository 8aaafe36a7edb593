from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocenter.core.dicom.uids import (
    IMPLEMENTATION_CLASS_UID,
    derive_uid,
    is_valid_uid,
    safe_path_component,
)


@pytest.mark.parametrize("uid", ["1", "0", "1.2.840.10008.1.1", "2.25.0", "1" * 64])
def test_valid(uid: str) -> None:
    assert is_valid_uid(uid)


@pytest.mark.parametrize(
    "uid", ["", ".", "1.", ".1", "1..2", "01.2", "1.02", "1.2 ", "1.2\n", "1.2a", "1" * 65, "１.２"]
)
def test_invalid(uid: str) -> None:
    assert not is_valid_uid(uid)


@given(st.lists(st.text() | st.binary(), max_size=5))
def test_derived_uids_are_valid_and_always_the_same(parts: list[str | bytes]) -> None:
    uid = derive_uid(*parts)

    assert is_valid_uid(uid)
    assert uid == derive_uid(*parts)
    assert UUID(int=int(uid.removeprefix("2.25."))).version == 8


def test_the_borders_of_the_parts_matter() -> None:
    assert derive_uid("ab", "c") != derive_uid("a", "bc") != derive_uid("abc")


def test_a_known_value_that_may_never_change() -> None:
    assert derive_uid("a", b"b") == "2.25.80570676777572633702511940372177902698"


@given(st.text())
def test_no_name_leaves_its_folder(text: str) -> None:
    name = safe_path_component(text)

    assert name not in ("", ".", "..")
    assert not set(name) & set("/\\\0 ")
    assert len(name) <= 64
    assert (name == text) == is_valid_uid(text)


def test_our_own_uid_is_one() -> None:
    assert is_valid_uid(IMPLEMENTATION_CLASS_UID)
