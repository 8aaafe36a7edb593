"""Programs of others that tests talk to: DCMTK's and pynetdicom's tools, Orthanc."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from isocenter.core.dicom.part10 import read_file_meta

ORTHANC = "/usr/sbin/Orthanc"
READY_S = 90


def program(name: str) -> str:
    """Where a program is; without it the test is skipped."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str | Path, code: int | None = 0, folder: Path | None = None) -> str:
    """What a program says.

    Args:
        code: what it shall end with; None: whatever it ends with.
    """
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=150, check=False, cwd=folder
    )
    if code is not None:
        assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def content_of(part10: Path | BytesIO) -> bytes:
    """The data set of a Part 10 file."""
    with part10.open("rb") if isinstance(part10, Path) else part10 as stream:
        _, offset = read_file_meta(stream)
        stream.seek(offset)
        return stream.read()


class Serving:
    """Peers that listen, as processes."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, command: Sequence[str | Path], *ports: int) -> None:
        """Returns when it listens on all of these ports."""
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._running.append(process)
        deadline = time.monotonic() + READY_S
        for port in ports:
            while not _listens(port):
                assert process.poll() is None, f"{command[0]} ended"
                assert time.monotonic() < deadline, f"{command[0]} does not listen"
                time.sleep(0.05)

    def start_somewhere(self, command: Callable[[int], Sequence[str | Path]]) -> int:
        """Start it on a free port; returns the port."""
        for _ in range(5):  # the port may be taken between our look and its start
            port = free_port()
            with contextlib.suppress(AssertionError):
                self.start(command(port), port)
                return port
        raise AssertionError(f"{command(0)[0]} does not listen")

    def stop(self) -> None:
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(30)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


class Orthanc:
    """Orthanc with its REST API.

    Args:
        ours: where we listen; it knows us as the modality ``us``. None: nowhere.
        port: where it listens; None: anywhere.
    """

    def __init__(
        self, folder: Path, serving: Serving, *, ours: int | None = None, port: int | None = None
    ) -> None:
        self.port, self._http = port or free_port(), free_port()
        us = {"us": ["ISOCENTER", "127.0.0.1", ours]} if ours else {}
        configuration = folder / "orthanc.json"
        configuration.write_text(
            json.dumps(
                {
                    "StorageDirectory": str(folder / "orthanc"),
                    "IndexDirectory": str(folder / "orthanc"),
                    "DicomAet": "ORTHANC",
                    "DicomPort": self.port,
                    "HttpPort": self._http,
                    "RemoteAccessAllowed": False,
                    "AuthenticationEnabled": False,
                    "DicomModalities": us,
                    "DicomAlwaysAllowStore": True,
                    "DicomAlwaysAllowFind": True,
                    "Plugins": [],
                    "LoadPrivateDictionary": False,
                }
            )
        )
        serving.start([program(ORTHANC), configuration], self.port, self._http)

    def get(self, path: str) -> Any:
        return self._ask(path)

    def post(self, path: str, body: Any) -> Any:
        """Bytes as they are, all else as JSON."""
        return self._ask(path, body if isinstance(body, bytes) else json.dumps(body).encode())

    def data_sets(self) -> dict[str, Dataset]:
        files = (self.get(f"/instances/{one}/file") for one in self.get("/instances"))
        return {str(ds.SOPInstanceUID): ds for ds in (dcmread(BytesIO(one)) for one in files)}

    def _ask(self, path: str, content: bytes | None = None) -> Any:
        address = f"http://127.0.0.1:{self._http}{path}"
        with urllib.request.urlopen(urllib.request.Request(address, content), timeout=100) as said:
            answer = said.read()
        return json.loads(answer) if answer[:1] in (b"[", b"{") else answer
