"""Isocenter and Orthanc as servers of what they hold: set up, fed with one series, asked."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil

from .servers import NODELAY, Isocenter, Server, TunedOrthanc
from .studies import Series

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
CALLER = "BENCH"
TIMEOUT_S = 300
_PIECE = 1 << 20
_IDLE_S = 1.0
_SAMPLE_S = 0.5
_IDLE_SHARE = 0.2  # of a processor
_QUIET_SAMPLES = 6  # longer than any pause between two of their jobs

_PREPARE = """
import sys
from pathlib import Path
from isocenter.runtime.boot import boot
boot(data_dir=Path(sys.argv[1]))
from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
user, _ = User.objects.get_or_create(username="benchmark", defaults={"role": "administrator"})
print(create_token(user, ["all"]).text)
"""


@dataclass(frozen=True)
class Answer:
    """What an HTTP request brought."""

    status: int
    size: int
    seconds: float
    content: bytes = b""


class Web:
    """HTTP to one server over one connection that stays, as lean as Python has it.

    Args:
        headers: sent with each request.
    """

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        self._headers = headers
        self._buffer = bytearray(_PIECE)
        self._used = 0.0

    def get(self, path: str, accept: str, *, keep: bool = False) -> Answer:
        """Until the last byte is here; bytes are counted and, where wanted, kept."""
        self._connect()
        began = time.perf_counter()
        headers = {**self._headers, "Accept": accept}
        self._connection.request("GET", path, headers=headers)
        return self._read(began, keep)

    def post(self, path: str, kind: str, body: Iterable[bytes], length: int) -> Answer:
        """Until the answer is here."""
        self._connect()
        began = time.perf_counter()
        headers = {
            **self._headers,
            "Content-Type": kind,
            "Content-Length": str(length),
            "Accept": "application/dicom+json",
        }
        self._connection.request("POST", path, body=iter(body), headers=headers)
        return self._read(began, keep=True)

    def close(self) -> None:
        self._connection.close()

    def _connect(self) -> None:
        """Anew where the server may have closed it meanwhile; that is not timed."""
        if time.monotonic() - self._used > _IDLE_S:
            self._connection.close()
            self._connection.connect()

    def _read(self, began: float, keep: bool) -> Answer:
        try:
            return self._answer(began, keep)
        finally:
            self._used = time.monotonic()

    def _answer(self, began: float, keep: bool) -> Answer:
        answer = self._connection.getresponse()
        if keep or answer.status >= 300:
            content = answer.read()
            return Answer(answer.status, len(content), time.perf_counter() - began, content)
        size = 0
        while count := answer.readinto(self._buffer):
            size += count
        return Answer(answer.status, size, time.perf_counter() - began)


class Serving(Server):
    """A server that is asked: DICOMweb at ``/dicom-web``, DIMSE for the caller BENCH."""

    def web(self) -> Web:
        raise NotImplementedError

    def feed(self, series: Series) -> None:
        """Have the series, indexed."""
        wanted = self.indexed() + len(series.paths)
        subprocess.run(
            [
                *("dcmsend", "--no-uid-checks", "--scan-directories", "--max-send-pdu", "131072"),
                *("-aec", self.called_ae_title, "127.0.0.1", str(self.port)),
                str(series.paths[0].parent),
            ],
            env={**os.environ, **NODELAY},
            capture_output=True,
            check=True,
        )
        deadline = time.monotonic() + TIMEOUT_S
        while self.indexed() < wanted:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not index")
            time.sleep(0.2)

    def processes(self) -> list[psutil.Process]:
        """Its own and what they started."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def settle(self, series_path: str) -> None:
        """Have made what is made when a series has become quiet."""

    def worked_s(self) -> float:
        """Seconds of processor time that it has used."""
        used = 0.0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used += times.user + times.system
        return used


def rest(servers: Iterable[Serving]) -> None:
    """Wait until none of them works: what one does after its answer is not to slow the other."""
    servers = list(servers)
    deadline = time.monotonic() + TIMEOUT_S
    quiet = 0
    before = [server.worked_s() for server in servers]
    while quiet < _QUIET_SAMPLES:
        if time.monotonic() > deadline:
            raise RuntimeError("a server does not come to rest")
        time.sleep(_SAMPLE_S)
        now = [server.worked_s() for server in servers]
        most = max(b - a for a, b in zip(before, now, strict=True))
        quiet = quiet + 1 if most < _IDLE_SHARE * _SAMPLE_S else 0
        before = now


class ServingOrthanc(TunedOrthanc, Serving):
    """Orthanc with its DICOMweb plugin, tuned in its favour: nothing synced, no digests, no
    compression, connections that stay, every thread it wants, TCP_NODELAY."""

    name = "Orthanc"
    settings: ClassVar[dict[str, object]] = {
        **TunedOrthanc.settings,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {
            "Enable": True,
            "Root": "/dicom-web/",
            "StudiesMetadata": "Full",
            "SeriesMetadata": "Full",
        },
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomCheckCalledAet": False,
        "KeepAlive": True,
        "TcpNoDelay": True,
        "HttpThreadsCount": 50,
        "HttpCompressionEnabled": False,
        "StorageCompression": False,
        "LimitFindResults": 0,
        "LimitFindInstances": 0,
        "OverwriteInstances": True,
        "StableAge": 1,
    }

    @classmethod
    def is_installed(cls) -> bool:
        return super().is_installed() and PLUGIN.exists()

    def web(self) -> Web:
        return Web(self.http_port, {})


class ServingIsocenter(Isocenter, Serving):
    """The whole platform; BENCH is a node of its, and who asks over HTTP has a token."""

    debounce_s = 2

    def command(self) -> list[str]:
        command = list(super().command())
        configuration = Path(command[command.index("--config") + 1])
        text = configuration.read_text()
        configuration.write_text(f"{text}completion:\n  debounce_s: {self.debounce_s}\n")
        return command

    def start(self) -> None:
        super().start()
        if self.begins_empty or "asks" not in self.cli("nodes", "list"):
            self.cli(
                *("nodes", "add", "asks", "--host", "127.0.0.1", "--port", "2"),
                *("--ae-title", CALLER, "--allow", "store,query,retrieve"),
            )
        made = subprocess.run(
            [sys.executable, "-c", _PREPARE, str(self.folder)],
            capture_output=True,
            text=True,
            check=True,
        )
        self._token = made.stdout.strip()
        time.sleep(2)  # the receiver reads its nodes anew

    def cli(self, *arguments: str) -> str:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "isocenter.cli.main", *arguments),
                *("--data-dir", str(self.folder)),
                *("--config", str(self.folder.with_suffix(".yaml"))),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"isocenter {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    @property
    def http_port(self) -> int:
        state = json.loads((self.folder / "run" / "runtime.json").read_text())
        return int(state["http"]["port"])

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def web(self) -> Web:
        return Web(self.http_port, self.headers)

    def settle(self, series_path: str) -> None:
        """Metadata is made by a job when the study is complete: wait for that, then for quiet."""
        time.sleep(self.debounce_s + 1)
        web = self.web()
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if web.get(f"{series_path}/metadata", "application/dicom+json").seconds < 0.2:
                break
            time.sleep(0.5)
        web.close()
        time.sleep(2)


def multipart(contents: Iterable[bytes], boundary: str) -> Iterator[bytes]:
    """Files as the body of a STOW-RS request, one after the other."""
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    for content in contents:
        yield head
        yield content
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def multipart_length(sizes: Iterable[int], boundary: str) -> int:
    """Bytes of that body."""
    per_part = len(f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n") + 2
    return sum(size + per_part for size in sizes) + len(boundary) + 6


def renamed(series: Series, number: int) -> list[bytes]:
    """The series' files under UIDs of their own, of the same length: nobody has them yet."""
    contents = []
    for path in series.paths:
        content = path.read_bytes()
        head, rest = content[:8192], content[8192:]
        for uid in set(re.findall(rb"1\.2\.826\.0\.1\.3680043\.8\.498\.[0-9]+", head)):
            head = head.replace(uid, uid[:-6] + f"{number % 10**6:06d}".encode()[::-1])
        contents.append(head + rest)
    return contents
