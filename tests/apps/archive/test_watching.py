"""Watched folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isocenter.apps.archive import watching
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
        clock[0] += 9.9
        assert watched.scan() == 0
    clock[0] += 10.1
    assert watched.scan() == 1


def test_a_copy_that_stalls_is_waited_for_and_then_put_aside(
    spool: Spool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("isocenter.apps.archive.watching.time.monotonic", lambda: clock[0])
    slow, dead = folder / "slow.dcm", folder / "dead.dcm"
    content = encoded(image(1))
    watched = WatchedFolder(folder, spool)
    for path in (slow, dead):
        path.write_bytes(content[:-1])
    watched.scan()
    clock[0] += 60
    assert watched.scan() == 0, "half an image is no image"
    slow.write_bytes(content)
    watched.scan()
    clock[0] += 11
    assert watched.scan() == 1
    assert records(spool) == 1
    clock[0] += 300
    assert watched.scan() == 1
    assert records(spool) == 1
    assert "cut off" in (folder / ".failed" / "dead.dcm.txt").read_text()


def test_a_file_that_changes_while_it_is_imported_is_kept(
    spool: Spool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "a.dcm"
    path.write_bytes(encoded(image(1)))
    real = watching.spool_import

    def import_and_write(*args: Any, **more: Any) -> Any:
        report = real(*args, **more)
        path.write_bytes(encoded(image(2)))
        return report

    monkeypatch.setattr(watching, "spool_import", import_and_write)
    WatchedFolder(folder, spool, stable_s=0).scan()
    assert path.read_bytes() == encoded(image(2))


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
