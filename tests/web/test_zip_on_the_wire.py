"""ZIPs as a client gets them from a running platform: slowly, and when something goes wrong."""

from __future__ import annotations

import http.client
import io
import json
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

STUDY = "1.2.826.0.1.3680043.10.77"
FILES, FILE_BYTES = 8, 12_000_000


def write_study(folder: Path) -> None:
    """Files that no socket's buffers hold: 96 MB."""
    folder.mkdir()
    for number in range(1, FILES + 1):
        ds = Dataset()
        meta = ds.file_meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = f"{STUDY}.1.{number}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, f"{STUDY}.1"
        ds.PatientID, ds.PatientName, ds.Modality = "ZIP", "Zip^Per", "OT"
        ds.InstanceNumber = number
        ds.Rows, ds.Columns, ds.SamplesPerPixel = 3000, 2000, 1
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 0
        ds.PhotometricInterpretation = "MONOCHROME2"
        ds.PixelData = bytes([number]) * FILE_BYTES
        ds.save_as(folder / f"{number}.dcm", enforce_file_format=True)


class Site:
    """A platform with the study, and a way to ask it."""

    def __init__(self, platform: Any, token: str) -> None:
        self.platform = platform
        self.token = token
        self._open: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        for connection in self._open:
            connection.close()

    def ask(self, path: str, body: dict[str, Any] | None = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.platform.http_port, timeout=60)
        self._open.append(connection)
        connection.connect()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, content, headers)
        return connection.getresponse()

    def files(self) -> list[Path]:
        return sorted((self.platform.data_dir / "archive" / STUDY).rglob("*.dcm"))

    def web_rss(self) -> int:
        """Of the process that answers; the largest where several could."""
        return max(
            process.memory_info().rss
            for process in self.platform.processes()
            if "web" in process.cmdline() or "isocenter-web" in " ".join(process.cmdline())
        )


@pytest.fixture
def site(platform: Callable[..., Any], tmp_path: Path) -> Iterator[Site]:
    running = platform()
    write_study(tmp_path / "files")
    running.cli("import", tmp_path / "files")
    running.wait_for(lambda: len(running.json("studies", "list")) == 1)
    running.cli("user", "create", "zipper", "--role", "administrator")
    made = running.cli("token", "create", "--user", "zipper", "--scope", "all", "--json")
    one = Site(running, json.loads(made.stdout)["token"])
    yield one
    one.close()


def test_zips_on_the_wire(site: Site) -> None:
    """One platform for all of it: its start takes longer than the rest."""
    address = f"/api/v1/studies/{STUDY}/download"
    check_whole(site, address)
    check_slow_reader(site, address)
    check_broken_off(site, address, {"dicomdir": True})
    check_refused(site, address)


def check_whole(site: Site, address: str) -> None:
    answer = site.ask(address)
    content = answer.read()
    assert answer.status == 200
    assert int(answer.headers["Content-Length"]) == len(content)
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    assert len(archive.namelist()) == FILES


def check_slow_reader(site: Site, address: str) -> None:
    """Who reads nothing is sent nothing: the producer waits, and no memory fills."""
    before = site.web_rss()
    answer = site.ask(address)
    first = answer.read(1000)
    time.sleep(3)
    assert site.web_rss() - before < 40_000_000
    content = first + answer.read()
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None


def check_broken_off(site: Site, address: str, how: dict[str, Any]) -> None:
    """A file goes meanwhile: with and without a known length the client sees that it is short."""
    last = site.files()[-1]
    content = last.read_bytes()
    for body in (None, how):
        answer = site.ask(address, body)
        got = answer.read(1000)
        last.unlink()
        with pytest.raises(http.client.IncompleteRead) as raised:
            got += answer.read()
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(got + raised.value.partial))
        last.write_bytes(content)
    log = "".join(
        path.read_text(errors="replace")
        for path in (site.platform.data_dir / "logs").rglob("*")
        if path.is_file()
    )
    assert "archive was broken off" in log
    assert "Exception in ASGI application" not in log  # one line is enough
    assert str(last) not in log


def check_refused(site: Site, address: str) -> None:
    """What is gone already is said before the first byte."""
    site.files()[0].unlink()
    answer = site.ask(address)
    assert answer.status == 409
    assert "1 of 8 files" in json.loads(answer.read())["error"]
    assert psutil.pid_exists(site.platform.process_id)
