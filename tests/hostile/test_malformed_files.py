"""Broken files over the network and by import: each is kept, and valid studies go through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydicom.uid import generate_uid

from isocenter.core.dicom.part10 import read_file_meta
from isocenter.core.dicom.uids import is_valid_uid
from isocenter.core.errors import DicomError
from isocenter.core.phantoms import head_phantom
from stand.raw_peer import CT_IMAGE, EXPLICIT, IMPLICIT, SUCCESS, RawPeer, associate_rq, encoded

_RSS_LIMIT_MB = 400  # of one part
KNOWN_STATUS = {SUCCESS, 0xA700, 0xA900, 0xC000, 0x0122}


@pytest.fixture
def broken(shared_data: Path) -> list[Path]:
    files = sorted(p for p in (shared_data / "malformed").rglob("*") if p.suffix == ".dcm")
    assert len(files) >= 30
    return files


def parts(platform: Any) -> dict[str, int]:
    """Process of each part; another one after a crash."""
    return {name: part["pid"] for name, part in platform.runtime["parts"].items()}


def send_as_it_is(port: int, path: Path) -> int:
    """C-STORE of a file's bytes after whatever its file meta is; the status."""
    with path.open("rb") as stream:
        try:
            meta, offset = read_file_meta(stream)
            names = meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid
        except DicomError:
            names, offset = ("", "", ""), 0
    sop_class, instance, syntax = names
    syntax = syntax if is_valid_uid(syntax) else ""
    sop_class = sop_class if sop_class.startswith("1.2.840.10008.5.1.4.1.1") else CT_IMAGE
    proposal = [(sop_class, [syntax or EXPLICIT] if syntax else [EXPLICIT, IMPLICIT])]
    with RawPeer(port) as peer:
        assert peer.associate(associate_rq(proposal, calling="BROKEN")) == 2
        content = path.read_bytes()[offset:]
        status = peer.store(instance or generate_uid(), content, 1, sop_class)
        peer.release()
        return status


def assert_a_valid_study_goes_through(platform: Any, key: str) -> None:
    study = head_phantom(key, slices=3, rows=64, columns=64, spacing_mm=3.0)
    with RawPeer(platform.dicom_port) as peer:
        assert peer.associate() == 2
        for ds in study.images:
            assert peer.store(str(ds.SOPInstanceUID), encoded(ds)) == SUCCESS
        peer.release()

    def is_complete() -> bool:
        rows = {row["study_uid"]: row for row in platform.json("studies", "list")}
        row = rows.get(study.study_uid, {})
        return (row.get("state"), row.get("instances")) == ("complete", 3)

    platform.wait_for(is_complete)


def assert_nothing_broke(platform: Any, before: dict[str, int]) -> None:
    assert parts(platform) == before, f"a part was started again:\n{platform.output(20)[-3000:]}"
    for name, pid in before.items():
        rss_mb = psutil.Process(pid).memory_info().rss / 1e6
        assert rss_mb < _RSS_LIMIT_MB, f"{name} has {rss_mb:.0f} MB"
    assert platform.health()["http_status"] == 200


def test_broken_files_over_the_network_and_by_import(platform, broken):
    running = platform()
    assert_a_valid_study_goes_through(running, "before")
    before = parts(running)
    statuses = {path.name: send_as_it_is(running.dicom_port, path) for path in broken}
    assert set(statuses.values()) <= KNOWN_STATUS, statuses
    accepted = [name for name, status in statuses.items() if status == SUCCESS]
    done = running.cli("import", broken[0].parents[0], "--json", check=False)
    report = json.loads(done.stdout)
    assert "Traceback" not in done.stderr
    told = report["imported"] + len(report["skipped"]) + len(report["failed"])
    assert told >= len(broken), "each file is imported, or named with a reason"
    assert all(item["reason"] for item in (*report["skipped"], *report["failed"]))

    assert_a_valid_study_goes_through(running, "after")
    assert_nothing_broke(running, before)
    quarantined = running.json("quarantine", "list", "--limit", 1000)
    assert all(item["reason"] for item in quarantined)
    kept = len(list((running.data_dir / "archive").glob("*/*/*.dcm"))) + len(quarantined)
    assert kept >= len(accepted), "what was acknowledged is in the archive or in quarantine"
