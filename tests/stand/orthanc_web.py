"""An Orthanc with its DICOMweb plugin, on free loopback ports."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from stand.peers import free_port

PROGRAM = Path("/usr/sbin/Orthanc")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


class OrthancWeb:
    """Started when made; its storage is below ``folder``.

    Args:
        servers: DICOMweb services that it knows as a client, as its configuration names them.
    """

    def __init__(self, folder: Path, servers: Mapping[str, Any] | None = None) -> None:
        for needed in (PROGRAM, PLUGIN):
            if not needed.exists():
                pytest.skip(f"not installed: {needed} (make peers)")
        folder.mkdir()
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self.url = f"{self.address}/dicom-web"
        configuration = folder / "orthanc.json"
        configuration.write_text(
            json.dumps(
                {
                    "StorageDirectory": str(folder / "storage"),
                    "IndexDirectory": str(folder / "storage"),
                    "HttpPort": port,
                    "RemoteAccessAllowed": False,
                    "AuthenticationEnabled": True,
                    "RegisteredUsers": {"isocenter": "a password"},
                    "DicomServerEnabled": False,
                    "Plugins": [str(PLUGIN)],
                    "DicomWeb": {"Enable": True, "Servers": dict(servers or {})},
                }
            )
        )
        self._output = (folder / "output.txt").open("w")
        self._process = subprocess.Popen(
            [str(PROGRAM), str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
        )
        self.rest = httpx.Client(
            base_url=self.address, auth=("isocenter", "a password"), timeout=120
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if self.rest.get("/system").status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.2)
        self.stop()
        raise AssertionError("Orthanc does not answer")

    def files(self) -> dict[str, bytes]:
        """Every instance as it is stored there, by SOP Instance UID."""
        found = {}
        for identifier in self.rest.get("/instances").json():
            uid = self.rest.get(f"/instances/{identifier}").json()["MainDicomTags"]
            content = self.rest.get(f"/instances/{identifier}/file").content
            found[str(uid["SOPInstanceUID"])] = content
        return found

    def stop(self) -> None:
        self.rest.close()
        self._process.terminate()
        self._process.wait(60)
        self._output.close()
