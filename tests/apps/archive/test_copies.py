"""Copies hold what was written, past the page cache or through it, and are synced together."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isocenter.apps.archive import copies as module
from isocenter.apps.archive.copies import Copies

DIRECT = module._DIRECT_FROM_BYTES
BUFFER = module._BUFFER_BYTES
SIZES = st.one_of(
    st.integers(0, 70_000),
    st.sampled_from(
        [DIRECT - 1, DIRECT, DIRECT + 1, BUFFER - 1, BUFFER, BUFFER + 1, BUFFER + 4096]
    ),
)


def content_of(sizes: list[int]) -> list[bytes]:
    return [bytes([number % 251]) * size for number, size in enumerate(sizes, 1)]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sizes=st.lists(SIZES, min_size=1, max_size=3))
def test_a_copy_holds_its_pieces(tmp_path: Path, sizes: list[int]) -> None:
    pieces = content_of(sizes)
    with Copies() as copies:
        copy = copies.create(tmp_path / "copy", sum(sizes))
        for piece in pieces:
            copy.write(piece)
        copy.finish()
        copies.sync()

    assert (tmp_path / "copy").read_bytes() == b"".join(pieces)


def test_a_length_that_was_told_wrong_is_no_matter(tmp_path: Path) -> None:
    with Copies() as copies:
        for name, told in (("long", 10), ("short", 10 * DIRECT)):
            copy = copies.create(tmp_path / name, told)
            copy.write(b"x" * (DIRECT + 77))
            copy.finish()
        copies.sync()

    assert (tmp_path / "long").read_bytes() == (tmp_path / "short").read_bytes()
    assert (tmp_path / "long").stat().st_size == DIRECT + 77


def test_a_file_system_without_direct_writes_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "no direct writes here")
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    content = os.urandom(DIRECT + 5)
    with Copies() as copies:
        copy = copies.create(tmp_path / "copy", len(content))
        copy.write(content)
        copy.finish()
        copies.sync()

    assert (tmp_path / "copy").read_bytes() == content


def test_a_file_system_that_wants_another_alignment_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def refuse(descriptor: int, content: Any) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT and len(content) % 65536:
            raise OSError(errno.EINVAL, "whole blocks of 64 KiB only")
        return real(descriptor, content)

    monkeypatch.setattr(os, "write", refuse)
    content = os.urandom(BUFFER + DIRECT + 5)
    with Copies() as copies:
        copy = copies.create(tmp_path / "copy", len(content))
        copy.write(content)
        copy.finish()
        copies.sync()

    assert (tmp_path / "copy").read_bytes() == content


def test_every_file_is_synced_before_the_batch_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fdatasync

    def record(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", record)
    with Copies() as copies:
        for number, size in enumerate((100, DIRECT + 1)):
            copy = copies.create(tmp_path / str(number), size)
            copy.write(bytes(size))
            copy.finish()
        copies.sync()

    assert sorted(synced) == sorted(path.stat().st_ino for path in tmp_path.iterdir())
