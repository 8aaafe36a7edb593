"""Watched folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from isocenter.apps.archive.spool import Spool, SpoolReader
from isocenter.apps.archive.watching import WatchedFolder

from .conftest import encoded, image


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool", segment_bytes=1 << 20) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "watched"
    made.mkdir()
    return made


def records(spool: Spool) -> int:
    reader = SpoolReader(spool.folder)
    return sum(1 for segment in reader.segments() for _ in reader.records(segment))


def test_a_file_is_taken_when_it_has_been_still(spool: Spool, folder: Path) -> None:
    path = folder / "sub" / "a.dcm"
    path.parent.mkdir()
    path.write_bytes(encoded(image(1)))
    patient = WatchedFolder(folder, spool, stable_s=3600)
    assert (patient.scan(), patient.scan()) == (0, 0)
    watched = WatchedFolder(folder, spool, stable_s=0)
    assert watched.scan() == 1
    assert not path.exists()
    assert records(spool) == 1


def test_a_file_that_grows_is_left_alone(
    spool: Spool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("isocenter.apps.archive.watching.time.monotonic", lambda: clock[0])
    path = folder / "a.dcm"
    content = encoded(image(1))
    watched = WatchedFolder(folder, spool)
    for half in (content[:100], content[:200], content):
        path.write_bytes(half)
        clock[0] += 1.9
        assert watched.scan() == 0
    clock[0] += 2.1
    assert watched.scan() == 1


def test_what_is_no_image_is_put_aside_with_its_reason(spool: Spool, folder: Path) -> None:
    (folder / "notes.txt").write_text("hello")
    WatchedFolder(folder, spool, stable_s=0).scan()
    assert (folder / ".failed" / "notes.txt").read_text() == "hello"
    assert "no DICOM file" in (folder / ".failed" / "notes.txt.txt").read_text()
    assert WatchedFolder(folder, spool, stable_s=0).scan() == 0


def test_links_and_hidden_names_are_left_alone(spool: Spool, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.dcm"
    other.write_bytes(encoded(image(1)))
    (folder / "link").symlink_to(other)
    (folder / ".part").write_bytes(encoded(image(2)))
    assert WatchedFolder(folder, spool, stable_s=0).scan() == 0
    assert other.exists()


def test_a_folder_that_is_not_there_is_no_trouble(spool: Spool, folder: Path) -> None:
    folder.rmdir()
    assert WatchedFolder(folder, spool, stable_s=0).scan() == 0
