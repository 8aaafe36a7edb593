"""A gateway as a department runs it: senders and a destination from DCMTK, our platform between."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
import pytest
import yaml

from isocenter.core.phantoms import HeadPhantom, head_phantom

WAIT_S = 150

Phantom = Callable[[str], HeadPhantom]


@dataclass
class Destination:
    """A storescp on a port that stays the same when it goes down and comes back."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            ["storescp", "--fork", "-aet", "DEST", "+B", "+uf", "-od", str(self.folder),
             str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("storescp does not listen")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def received(self, study_uid: str) -> list[pydicom.Dataset]:
        """What came for a study; one entry per C-STORE, duplicates included."""
        return [pydicom.dcmread(path) for path in self.files(study_uid)]

    def files(self, study_uid: str) -> list[Path]:
        """Whole files of a study."""
        found = []
        for path in self.folder.iterdir():
            try:
                ds = pydicom.dcmread(path)
            except (pydicom.errors.InvalidDicomError, EOFError):
                continue  # still being written
            if ds.get("StudyInstanceUID") == study_uid:
                found.append(path)
        return found


@dataclass
class Gateway:
    """The platform with a route to the destination, driven by its command line."""

    platform: Any
    destination: Destination
    folder: Path
    sent: list[Path] = field(default_factory=list)

    def apply(self, document: dict[str, Any]) -> None:
        path = self.folder / "routes.yaml"
        path.write_text(yaml.safe_dump(document))
        result = self.platform.cli("routes", "apply", str(path))
        assert result.returncode == 0, result.stdout + result.stderr

    def send(self, *paths: Path, tool: str = "dcmsend") -> None:
        """Push files with DCMTK."""
        command = {
            "dcmsend": ["dcmsend", "--no-uid-checks", "-aet", "SENDER", "-aec", "ISOCENTER"],
            "storescu": ["storescu", "-aet", "SENDER", "-aec", "ISOCENTER"],
        }[tool]
        address = ["127.0.0.1", str(self.platform.dicom_port)]
        result = subprocess.run(
            [*command, *address, *map(str, paths)],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, result.stdout + result.stderr

    def json(self, *arguments: str) -> Any:
        result = self.platform.cli(*arguments, "--json")
        assert result.returncode == 0, result.stdout + result.stderr
        return json.loads(result.stdout)

    def study(self, study_uid: str) -> dict[str, Any]:
        """The study's row, or an empty one."""
        rows = [row for row in self.json("studies", "list") if row["study_uid"] == study_uid]
        return rows[0] if rows else {}

    def runs(self, study_uid: str) -> list[dict[str, Any]]:
        return [row for row in self.json("runs", "list") if row["study_uid"] == study_uid]

    def quarantined(self, study_uid: str) -> list[dict[str, Any]]:
        return [
            row
            for row in self.json("quarantine", "list")
            if row["study_uid"] == study_uid and row["state"] == "held"
        ]

    def wait(self, what: str, condition: Callable[[], Any], *, timeout_s: float = WAIT_S) -> Any:
        """Until a condition holds; its value."""
        deadline = time.monotonic() + timeout_s
        pause_s = 0.2  # each look costs a start of Python
        while time.monotonic() < deadline:
            if value := condition():
                return value
            time.sleep(pause_s)
            pause_s = min(1.0, pause_s * 1.5)
        raise AssertionError(f"{what} did not happen in {timeout_s} s\n{self.platform.output()}")

    def wait_for_runs(
        self, study_uid: str, count: int, state: str = "done"
    ) -> list[dict[str, Any]]:
        return self.wait(
            f"{count} run(s) {state}",
            lambda: (
                (rows := [r for r in self.runs(study_uid) if r["state"] == state])
                and len(rows) >= count
                and rows
            ),
        )

    def wait_for_overlays(self, phantom: HeadPhantom, *, series: int = 1) -> list[pydicom.Dataset]:
        """Until the destination has ``series`` overlay series of this study, whole."""
        wanted = len(phantom.images) * series
        return self.wait(
            f"{wanted} overlay images at the destination",
            lambda: (
                (got := self.destination.received(phantom.study_uid)) and len(got) >= wanted and got
            ),
        )


@pytest.fixture(scope="session")
def dcmtk() -> None:
    missing = [name for name in ("dcmsend", "storescu", "storescp") if not shutil.which(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (make peers)")


def new_destination(folder: Path) -> Destination:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    node = Destination(folder / "destination", port)
    node.start()
    return node


@pytest.fixture
def destination(tmp_path: Path, dcmtk: None) -> Iterator[Destination]:
    node = new_destination(tmp_path)
    yield node
    node.stop()


def overlay_route(destination: Destination, **changes: Any) -> dict[str, Any]:
    """What a department sets up: NETRT's behaviour with one destination."""
    steps: list[dict[str, Any]] = [
        {"step": "contours", "with": {"formats": ["overlay"]}},
        {"step": "burn_in", "with": {}},
        {"step": "deliver"},
    ]
    route = {
        "name": "overlay",
        "condition": '"RTSTRUCT" in ModalitiesInStudy',
        "pipeline": "overlay",
        "destinations": ["dest"],
    }
    return {
        "nodes": [
            {"name": "dest", "kind": "dimse", "ae_title": "DEST", "host": "127.0.0.1",
             "port": destination.port}
        ],
        "pipelines": [{"name": "overlay", "steps": changes.pop("steps", steps)}],
        "routes": [{**route, **changes}],
    }  # fmt: skip


QUICK = {
    "completion": {"debounce_s": 1.5, "min_instances": 2, "force_complete_s": 6},
    "delivery": {"attempts": 6, "first_wait_s": 1, "max_wait_s": 3, "timeout_s": 10},
    "workers": {"processes": 1, "runs": 2, "deliveries": 2, "dead_after_s": 4, "heartbeat_s": 1},
}


@pytest.fixture(scope="module")
def gateway(module_folder: Path, dcmtk: None) -> Iterator[Gateway]:
    """One platform for all tests of a module that leave it as it was; each has its own study."""
    from platform_under_test import Platform

    node = new_destination(module_folder)
    platform = Platform(module_folder / "platform", QUICK)
    try:
        made = Gateway(platform.start(), node, module_folder)
        made.apply(overlay_route(node))
        yield made
    finally:
        platform.end()
        node.stop()


@pytest.fixture
def make_gateway(platform: Any, destination: Destination, tmp_path: Path) -> Callable[..., Gateway]:
    """A running platform with the overlay route; settings and route can be changed."""

    def make(settings: dict[str, Any] | None = None, **route: Any) -> Gateway:
        merged = {name: dict(section) for name, section in QUICK.items()}
        for name, section in (settings or {}).items():
            merged[name] = {**merged.get(name, {}), **section}
        gateway = Gateway(platform(merged), destination, tmp_path)
        gateway.apply(overlay_route(destination, **route))
        return gateway

    return make


@pytest.fixture
def phantom(tmp_path: Path) -> Callable[..., tuple[HeadPhantom, list[Path]]]:
    """A small study on disk: its last file is the structure set."""

    def make(key: str, **options: Any) -> tuple[HeadPhantom, list[Path]]:
        size = {"slices": 10, "rows": 128, "columns": 160, "spacing_mm": 1.6} | options
        size.setdefault("slice_distance_mm", 16.0)
        study = head_phantom(key, **size)
        return study, study.write(tmp_path / f"phantom-{key}")

    return make


def series_of(headers: Sequence[pydicom.Dataset]) -> set[str]:
    return {str(ds.SeriesInstanceUID) for ds in headers}
