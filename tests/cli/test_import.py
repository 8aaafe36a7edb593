"""``isocenter import``: folders, ZIPs, DICOMDIRs, with no platform running."""

from __future__ import annotations

import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from isocenter.apps.archive.import_sources import ImportBounds, ZipBoundsError, find
from isocenter.apps.archive.importing import ImportReport, spool_import
from isocenter.apps.archive.spool import Spool, SpoolReader
from isocenter.core.errors import ConfigurationError, SpoolError

CT = "1.2.840.10008.5.1.4.1.1.2"

Import = Callable[..., ImportReport]


def dicom(path: Path, number: int = 1) -> bytes:
    """A small DICOM file at ``path``; returns its bytes."""
    ds = Dataset()
    ds.SOPClassUID = CT
    ds.SOPInstanceUID = f"1.2.3.{number}"
    ds.StudyInstanceUID = "1.2.3"
    ds.SeriesInstanceUID = "1.2.3.0"
    ds.Modality = "CT"
    ds.file_meta = None
    path.parent.mkdir(parents=True, exist_ok=True)
    from pydicom.dataset import FileMetaDataset

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CT
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta = meta
    ds.save_as(path, enforce_file_format=True)
    return path.read_bytes()


@pytest.fixture
def spool(tmp_path: Path) -> Any:
    with Spool(tmp_path / "spool", segment_bytes=1 << 20) as made:
        yield made


@pytest.fixture
def take(spool: Spool) -> Import:
    def taken(*paths: Path, **more: Any) -> ImportReport:
        return spool_import(paths, spool, **more)

    return taken


def payloads(spool: Spool) -> list[bytes]:
    reader = SpoolReader(spool.folder)
    return [record.read() for segment in reader.segments() for record in reader.records(segment)]


def test_a_folder_is_imported_byte_for_byte(take: Import, spool: Spool, tmp_path: Path) -> None:
    files = [dicom(tmp_path / "in" / name, n) for n, name in enumerate(("a", "b/c", "b/d/e"))]
    (tmp_path / "in" / "README.txt").write_text("not an image")
    (tmp_path / "in" / "empty").touch()
    report = take(tmp_path / "in")
    assert report.imported == 3
    assert sorted(payloads(spool)) == sorted(files)
    assert {(note.name, note.reason) for note in report.skipped} == {
        ("README.txt", "no DICOM file"),
        ("empty", "an empty file"),
    }


def test_symbolic_links_are_not_followed(take: Import, tmp_path: Path) -> None:
    dicom(tmp_path / "elsewhere" / "secret")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "file").symlink_to(tmp_path / "elsewhere" / "secret")
    (folder / "folder").symlink_to(tmp_path / "elsewhere")
    report = take(folder)
    assert report.imported == 0
    assert {note.name for note in report.skipped} == {"file", "folder"}


def test_files_without_file_format_get_it(take: Import, spool: Spool, shared_data: Path) -> None:
    report = take(shared_data / "no_preamble")
    assert report.imported > 0
    assert not report.failed
    assert all(payload[128:132] == b"DICM" for payload in payloads(spool))


def test_a_zip_is_streamed_whatever_its_names(take: Import, spool: Spool, tmp_path: Path) -> None:
    content = dicom(tmp_path / "one")
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("../../../../tmp/isocenter-slip", content)
        made.writestr("/etc/isocenter-slip", content)
        made.writestr("deep/er/name", content)
        made.writestr("notes.txt", "hello")
    report = take(archive)
    assert report.imported == 3
    assert payloads(spool) == [content] * 3
    assert [note.name for note in report.skipped] == ["notes.txt"]
    assert not Path("/tmp/isocenter-slip").exists()
    assert not Path("/etc/isocenter-slip").exists()


def test_an_encrypted_zip_says_so(take: Import, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("x", b"DICM")
    raw = bytearray(archive.read_bytes())
    raw[6] |= 1  # general purpose flag of the local header
    central = raw.index(b"PK\x01\x02")
    raw[central + 8] |= 1
    archive.write_bytes(raw)
    with pytest.raises(ConfigurationError, match="encrypted"):
        take(archive)


def test_a_zip_bomb_is_stopped(take: Import, spool: Spool, tmp_path: Path) -> None:
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("first", dicom(tmp_path / "one"))
        with made.open("zeros", "w") as stream:
            start = dicom(tmp_path / "one")
            stream.write(start + struct.pack("<HH2sxxL", 0x7FE0, 0x10, b"OB", 64 << 20))
            for _ in range(64):
                stream.write(bytes(1 << 20))
    with pytest.raises(ZipBoundsError, match="times its size"):
        take(archive, bounds=ImportBounds(ratio_from_bytes=8 << 20))
    assert len(payloads(spool)) == 1


def test_what_a_zip_says_of_its_sizes_is_not_believed(take: Import, tmp_path: Path) -> None:
    archive = tmp_path / "liar.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros", bytes(4 << 20))
    with pytest.raises(ZipBoundsError):
        take(archive, bounds=ImportBounds(max_total_bytes=1 << 20))
    with pytest.raises(ZipBoundsError):
        take(archive, bounds=ImportBounds(max_entries=0))


def test_a_damaged_zip_entry_fails_alone(take: Import, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("first", dicom(tmp_path / "one", 1))
        made.writestr("second", dicom(tmp_path / "two", 2))
    raw = bytearray(archive.read_bytes())
    raw[raw.index(b"first") + 300] ^= 0xFF
    archive.write_bytes(raw)
    report = take(archive)
    assert report.imported == 1
    assert [note.name for note in report.failed] == ["first"]


def test_a_dicomdir_is_followed(take: Import, shared_data: Path) -> None:
    report = take(shared_data / "dicomdir" / "DICOMDIR")
    assert report.imported == 31
    assert report.missing == []


def test_what_a_dicomdir_names_and_nobody_has_is_reported(
    take: Import, shared_data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "disc"
    shutil.copytree(shared_data / "dicomdir", folder)
    (folder / "77654033" / "CR1" / "6154").unlink()
    for path in (folder / "DICOMDIR", folder):
        report = find(path)
        assert "77654033/CR1/6154" in report.missing


def test_a_dicomdir_with_names_in_other_case_is_followed(shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "disc"
    shutil.copytree(shared_data / "dicomdir", folder)
    (folder / "98892001").rename(folder / "x")
    (folder / "x" / "CT2N").rename(folder / "x" / "ct2n")
    (folder / "x").rename(folder / "98892001")
    assert find(folder / "DICOMDIR").missing == []


def test_a_folder_with_a_dicomdir_is_imported_whole(take: Import, shared_data: Path) -> None:
    report = take(shared_data / "dicomdir")
    assert report.imported >= 31
    assert any("DICOMDIR" in note.reason for note in report.skipped)


def test_a_full_disk_stops_the_import(tmp_path: Path) -> None:
    dicom(tmp_path / "in" / "a")
    with (
        Spool(tmp_path / "spool", reserve_bytes=1 << 60) as spool,
        pytest.raises(SpoolError, match="reserve"),
    ):
        spool_import([tmp_path / "in"], spool)


def test_the_command_works_with_no_platform(tmp_path: Path) -> None:
    dicom(tmp_path / "in" / "a")
    (tmp_path / "in" / "b.txt").write_text("no image")
    command = [sys.executable, "-m", "isocenter.cli.main", "import", str(tmp_path / "in")]
    environment = {**os.environ, "ISOCENTER_STORAGE__RESERVE_MB": "0"}
    result = subprocess.run(
        [*command, "--data-dir", str(tmp_path / "data"), "--json"],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    answer = json.loads(result.stdout)
    assert answer["imported"] == 1
    assert answer["skipped"] == [{"file": "b.txt", "reason": "no DICOM file"}]
    assert answer["platform_running"] is False
    spooled = list((tmp_path / "data" / "spool" / "segments").iterdir())
    assert len(spooled) == 1
    assert stat.S_IMODE(spooled[0].stat().st_mode) == 0o600
    nothing = subprocess.run(
        [*command[:-1], str(tmp_path / "nowhere"), "--data-dir", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert nothing.returncode == 1
    assert "no file or folder is there" in nothing.stderr
    assert "Traceback" not in nothing.stderr
