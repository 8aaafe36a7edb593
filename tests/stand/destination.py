"""A PACS of the test's own: DCMTK's storescp, which keeps every object that it is sent."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest


@dataclass(frozen=True)
class Arrived:
    """One C-STORE that the destination took."""

    study_uid: str
    sop_uid: str
    digest: str  # SHA-256 of the data set


def data_set_digest(path: Path) -> str:
    """SHA-256 of the bytes after the file meta group."""
    content = path.read_bytes()
    length = int.from_bytes(content[140:144], "little")
    return hashlib.sha256(content[144 + length :]).hexdigest()


class StoringPeer:
    """storescp on a free loopback port; files as they came, one per C-STORE."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("storescp") is None:
            pytest.skip("not installed: storescp (make peers)")
        self.folder = folder
        folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process = subprocess.Popen(
            ["storescp", "--fork", "-aet", "DEST", "+B", "+uf", "-od", str(folder), str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("storescp does not listen")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def arrived(self) -> list[Arrived]:
        """Everything whole that came; files of transfers that broke off are left out."""
        found = []
        for path in sorted(self.folder.iterdir()):
            try:
                ds = pydicom.dcmread(path, stop_before_pixels=True)
                uids = str(ds.StudyInstanceUID), str(ds.SOPInstanceUID)
            except (pydicom.errors.InvalidDicomError, EOFError, AttributeError):
                continue
            found.append(Arrived(*uids, data_set_digest(path)))
        return found
