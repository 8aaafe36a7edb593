"""What STOW-RS of a large body and ZIP of a large study with a slow reader take of memory."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from .serving import TIMEOUT_S, ServingIsocenter, Web, multipart_length
from .table import print_claims, print_table

GOAL_MB = 150.0
_BOUNDARY = "isocenter-weight-77aa"
_FRAME, _FRAMES = 2 * 1024 * 1024, 24  # 50 MB
_PIECE = 1 << 20
_SLOW_PIECE, _SLOW_S = 1 << 20, 0.005  # at most 200 MB/s
_STALL_S = 5.0


class Body:
    """Multi-frame instances of 50 MB, made while they are sent."""

    def __init__(self, gigabytes: float) -> None:
        self.study_uid = generate_uid()
        self.count = max(1, round(gigabytes * 1e9 / (_FRAME * _FRAMES)))
        self._heads = [self._head(number) for number in range(1, self.count + 1)]

    @property
    def length(self) -> int:
        return multipart_length((len(head) + _FRAME * _FRAMES for head in self._heads), _BOUNDARY)

    def pieces(self) -> Iterator[bytes]:
        part = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        piece = bytes(range(256)) * (_PIECE // 256)
        for head in self._heads:
            yield part + head
            for _ in range(_FRAME * _FRAMES // _PIECE):
                yield piece
            yield b"\r\n"
        yield f"--{_BOUNDARY}--\r\n".encode()

    def _head(self, number: int) -> bytes:
        """A file up to its pixels."""
        ds = Dataset()
        meta = ds.file_meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7.3"
        ds.SOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID = self.study_uid, f"{self.study_uid[:60]}.1"
        ds.PatientID, ds.PatientName, ds.Modality = "HEAVY", "Heavy^Body", "OT"
        ds.StudyDate, ds.StudyTime = "20260102", "101112"
        ds.SeriesNumber, ds.InstanceNumber, ds.NumberOfFrames = 1, number, _FRAMES
        ds.Rows = ds.Columns = 1024
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 0
        ds.PixelData = b""
        out = io.BytesIO()
        ds.save_as(out, enforce_file_format=True)
        return out.getvalue()[:-4] + (_FRAME * _FRAMES).to_bytes(4, "little")


@dataclass
class Most:
    """Megabytes above idle: of one process, and of all together."""

    one: float = 0.0
    all: float = 0.0
    who: str = ""


class Scale:
    """Resident memory of a platform's own processes, PostgreSQL left out, sampled."""

    def __init__(self, server: ServingIsocenter) -> None:
        self._server = server

    def now(self) -> dict[int, float]:
        """Megabytes by process."""
        found = {}
        for process in self._server.processes():
            try:
                if "postgres" not in process.name():
                    found[process.pid] = process.memory_info().rss / 1e6
            except psutil.Error:
                continue
        return found

    def idle(self) -> dict[int, float]:
        samples = []
        for _ in range(20):
            samples.append(self.now())
            time.sleep(0.1)
        return {
            pid: median(sample[pid] for sample in samples)
            for pid in samples[-1]
            if all(pid in sample for sample in samples)
        }

    @contextmanager
    def peak(self) -> Iterator[Most]:
        """The most above idle meanwhile; what is started meanwhile counts whole."""
        idle, most = self.idle(), Most()
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.05):
                sample = self.now()
                most.all = max(most.all, sum(sample.values()) - sum(idle.values()))
                for pid, value in sample.items():
                    if value - idle.get(pid, 0.0) > most.one:
                        most.one = value - idle.get(pid, 0.0)
                        most.who = _name(pid) + ("" if pid in idle else ", new")

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield most
        finally:
            stop.set()
            thread.join()


def _name(pid: int) -> str:
    """The part of the platform that a process is."""
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return "gone"
    after = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "-m"]
    is_cli = after[:1] == ["isocenter.cli.main"] and len(words) > words.index(after[0]) + 1
    return words[words.index(after[0]) + 1] if is_cli else (after[0] if after else words[0])


def store(web: Web, body: Body) -> float:
    answer = web.post(
        "/dicom-web/studies",
        f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}',
        body.pieces(),
        body.length,
    )
    stored = len(json.loads(answer.content).get("00081199", {}).get("Value", []))
    if answer.status != 200 or stored != body.count:
        raise RuntimeError(f"STOW-RS: {answer.status}, {stored} of {body.count}")
    return answer.seconds


def fetch_slowly(port: int, headers: dict[str, str], path: str, *, stall_s: float) -> int:
    """Bytes of the ZIP, read in small pieces with pauses, once with a long one.

    Raises:
        RuntimeError: the archive is not whole.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.connect()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    size, tail = 0, b""
    buffer = bytearray(_SLOW_PIECE)
    while count := answer.readinto(buffer):
        if size == 0:
            time.sleep(stall_s)
        size += count
        tail = (tail + bytes(buffer[max(0, count - 22) : count]))[-22:]
        time.sleep(_SLOW_S)
    connection.close()
    if answer.status != 200 or not tail.startswith(b"PK\x05\x06"):
        raise RuntimeError(f"the ZIP is not whole: {answer.status}, {size} bytes")
    return size


def measure(workspace: Path, *, gigabytes: float) -> bool:
    server = ServingIsocenter(workspace / "heavy", nodelay=False)
    server.start()
    try:
        web, scale = server.web(), Scale(server)
        small, large = Body(0.05), Body(gigabytes)
        store(web, small)  # what is loaded once counts for nobody
        _wait(server, small.count)
        fetch_slowly(server.http_port, server.headers, _address(small), stall_s=0)
        rows = []
        with scale.peak() as most:
            seconds = store(web, large)
        rows.append((f"STOW-RS of {large.length / 1e9:.1f} GB", seconds, most))
        _wait(server, small.count + large.count)
        time.sleep(server.debounce_s + 10)  # what is made of a complete study is no part of this
        with scale.peak() as most:
            began = time.monotonic()
            size = fetch_slowly(server.http_port, server.headers, _address(large), stall_s=_STALL_S)
            seconds = time.monotonic() - began
        rows.append((f"ZIP of {size / 1e9:.1f} GB, slow reader", seconds, most))
        web.close()
    finally:
        server.stop()
    print_table(
        "Megabytes of resident memory above idle",
        ("request", "seconds", "largest process", "which", "all processes"),
        [(name, seconds, most.one, most.who, most.all) for name, seconds, most in rows],
    )
    return print_claims(
        [
            (f"{name}: {GOAL_MB:.0f} MB / taken", GOAL_MB / max(most.one, 1), 1.0)
            for name, _, most in rows
        ]
    )


def _address(body: Body) -> str:
    return f"/api/v1/studies/{body.study_uid}/download"


def _wait(server: ServingIsocenter, count: int) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while server.indexed() < count:
        if time.monotonic() > deadline:
            raise RuntimeError("not everything is indexed")
        time.sleep(0.5)
