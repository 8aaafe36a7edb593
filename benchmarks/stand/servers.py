"""Servers that receive: peers as packaged or at their best, each on a free loopback port."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import psutil

from .studies import data_set_digest

START_TIMEOUT_S = 90
NODELAY = {"TCP_NODELAY": "1"}
COUNT_INSTANCES = """
import sys
from pathlib import Path
from isocenter.runtime.boot import boot
boot(data_dir=Path(sys.argv[1]))
from isocenter.apps.archive.models import Instance
known = settled = 0
for _ in sys.stdin:
    # Counting millions again and again would take processor time from what is measured: of more
    # than ten thousand, the older ones are counted once.
    rows = Instance.objects.filter(is_derived=False)
    newest = Instance.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    before, settled = settled, max(settled, newest - 10_000)
    known += rows.filter(pk__gt=before, pk__lte=settled).count()
    print(known + rows.filter(pk__gt=settled).count(), flush=True)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} does not listen on {port}")


class Server(ABC):
    """One receiving server with an empty store in ``folder``.

    Attributes:
        name: for the table.
        needs: the program that must be installed.
        called_ae_title: what senders call it.
        keeps_folder: the store is left there at the end.
    """

    keeps_folder = False
    name = ""
    needs = ""
    called_ae_title = "ANY-SCP"

    def __init__(self, folder: Path, *, nodelay: bool) -> None:
        self.folder = folder
        self.nodelay = nodelay
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def is_installed(cls) -> bool:
        return not cls.needs or shutil.which(cls.needs) is not None

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **(NODELAY if self.nodelay else {})}

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            self.command(),
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for_port(self.port, self.process)

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)
        if not self.keeps_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def processor_s(self) -> float:
        """Processor time of its process and of its children that have ended."""
        assert self.process is not None
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What starts it."""

    def indexed(self) -> int:
        """Instances that a query would find; where there is no index, files."""
        return len(self.stored())

    @abstractmethod
    def stored(self) -> list[Path]:
        """Files that hold what came in."""

    def digests(self) -> tuple[str, ...]:
        """SHA-256 of each data set that came in, sorted."""
        return tuple(sorted(data_set_digest(path) for path in self.stored()))


class Storescp(Server):
    """DCMTK's storescp: syncs nothing and has no index."""

    name, needs = "storescp", "storescp"

    def command(self) -> Sequence[str]:
        return [
            "storescp",
            "--fork",
            "--max-pdu",
            "131072",
            "+B",
            "+uf",
            "-od",
            str(self.folder),
            str(self.port),
        ]

    def stored(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.is_file()]


class Orthanc(Server):
    """Orthanc as packaged: it syncs every file."""

    name, needs = "Orthanc", "Orthanc"
    called_ae_title = "ORTHANC"
    settings: ClassVar[dict[str, object]] = {}

    def __init__(self, folder: Path, *, nodelay: bool) -> None:
        super().__init__(folder, nodelay=nodelay)
        self.http_port = free_port()

    def command(self) -> Sequence[str]:
        configuration = self.folder.with_suffix(".json")
        configuration.write_text(
            json.dumps(
                {
                    "StorageDirectory": str(self.folder),
                    "IndexDirectory": str(self.folder),
                    "DicomPort": self.port,
                    "HttpPort": self.http_port,
                    "DicomAet": "ORTHANC",
                    "RemoteAccessAllowed": False,
                    "AuthenticationEnabled": False,
                    "DicomAlwaysAllowStore": True,
                    "Plugins": [],
                    **self.settings,
                }
            )
        )
        return ["Orthanc", str(configuration)]

    def start(self) -> None:
        super().start()
        assert self.process is not None
        wait_for_port(self.http_port, self.process)

    def indexed(self) -> int:
        url = f"http://127.0.0.1:{self.http_port}/statistics"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return int(json.load(answer)["CountInstances"])

    def stored(self) -> list[Path]:
        found = []
        for path in self.folder.glob("??/??/*"):
            with path.open("rb") as stream:
                if stream.read(132)[128:] == b"DICM":
                    found.append(path)
        return found


class TunedOrthanc(Orthanc):
    """Orthanc that syncs nothing and hashes nothing."""

    name = "Orthanc tuned"
    settings: ClassVar[dict[str, object]] = {
        "SyncStorageArea": False,
        "MaximumPduLength": 131072,
        "StoreMD5ForAttachments": False,
    }


class Pynetdicom(Server):
    """A plain pynetdicom receiver, as its documentation shows it."""

    name = "pynetdicom"

    def command(self) -> Sequence[str]:
        program = (
            "import sys\n"
            "from pynetdicom import AE, AllStoragePresentationContexts, evt\n"
            "def store(event):\n"
            "    ds = event.dataset\n"
            "    ds.file_meta = event.file_meta\n"
            "    ds.save_as(f'{sys.argv[1]}/{ds.SOPInstanceUID}.dcm', enforce_file_format=True)\n"
            "    return 0\n"
            "ae = AE()\n"
            "ae.maximum_pdu_size = 131072\n"
            "ae.supported_contexts = AllStoragePresentationContexts\n"
            "handlers = [(evt.EVT_C_STORE, store)]\n"
            "ae.start_server(('127.0.0.1', int(sys.argv[2])), evt_handlers=handlers)\n"
        )
        return [sys.executable, "-c", program, str(self.folder), str(self.port)]

    def stored(self) -> list[Path]:
        return list(self.folder.glob("*.dcm"))


class Isocenter(Server):
    """The whole platform, as `isocenter up` starts it: durable, indexed, audited."""

    name = "Isocenter"
    called_ae_title = "ISOCENTER"
    begins_empty = True

    def __init__(self, folder: Path, *, nodelay: bool) -> None:
        super().__init__(folder, nodelay=nodelay)
        self._counter: subprocess.Popen[str] | None = None

    def command(self) -> Sequence[str]:
        configuration = self.folder.with_suffix(".yaml")
        configuration.write_text("receiver:\n  hosts: ['127.0.0.1']\n")
        return [
            sys.executable,
            "-m",
            "isocenter.cli.main",
            "up",
            "--data-dir",
            str(self.folder),
            "--config",
            str(configuration),
            "--dicom-port",
            str(self.port),
            "--http-port",
            "0",
        ]

    def start(self) -> None:
        super().start()
        ready = self.folder / "run" / "runtime.json"
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (ready.exists() and json.loads(ready.read_text()).get("ready")):
            if time.monotonic() > deadline:
                raise RuntimeError("Isocenter did not become ready")
            time.sleep(0.1)
        if self.begins_empty and self.indexed() != 0:
            raise RuntimeError("Isocenter does not begin empty")

    def indexed(self) -> int:
        """Counted by a process that stays: the start of ``isocenter studies list`` takes longer
        than the index does."""
        if self._counter is None:
            self._counter = subprocess.Popen(
                [sys.executable, "-c", COUNT_INSTANCES, str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._counter.stdin is not None
        assert self._counter.stdout is not None
        self._counter.stdin.write("how many?\n")
        self._counter.stdin.flush()
        return int(self._counter.stdout.readline())

    def stop(self) -> None:
        if self._counter is not None:
            self._counter.communicate(timeout=20)
        super().stop()

    def stored(self) -> list[Path]:
        return list((self.folder / "archive").glob("*/*/*.dcm"))
