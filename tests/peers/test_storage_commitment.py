"""Storage Commitment between a whole platform and Orthanc, which is SCU and SCP of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydicom import dcmread

from isocenter.core.network.client import Peer
from isocenter.core.network.requestor import send
from platform_under_test import Platform
from stand.peers import Orthanc, Serving

pytestmark = pytest.mark.peers


def until(what: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
    return found


@pytest.fixture
def ct(shared_data: Path) -> list[Path]:
    return sorted((shared_data / "rt_STS_001" / "CT").rglob("*.dcm"))[:6]


@pytest.fixture
def orthanc(platform: Any, tmp_path: Path, serving: Serving) -> tuple[Platform, Orthanc]:
    """A platform that knows Orthanc, and the other way round."""
    running = platform({"delivery": {"commitment_wait_s": 1}})
    there = Orthanc(tmp_path, serving, ours=running.dicom_port)
    running.cli(
        *("nodes", "add", "orthanc", "--host", "127.0.0.1", "--port", there.port),
        *("--ae-title", "ORTHANC", "--allow", "store,commit", "--commit"),
    )
    return running, there


def test_orthanc_asks_us_to_keep_what_it_sent(
    orthanc: tuple[Platform, Orthanc], ct: list[Path]
) -> None:
    _, there = orthanc
    stored = [there.post("/instances", path.read_bytes())["ID"] for path in ct]
    sent = there.post("/modalities/us/store", stored)
    assert sent["FailedInstancesCount"] == 0
    heads = [dcmread(path, stop_before_pixels=True) for path in ct]
    known = [{"SOPClassUID": h.SOPClassUID, "SOPInstanceUID": h.SOPInstanceUID} for h in heads]

    def commit(instances: list[dict[str, str]]) -> dict[str, Any]:
        asked = there.post("/modalities/us/storage-commitment", {"DicomInstances": instances})

        def answered() -> Any:
            report = there.get(asked["Path"])
            return report if report["Status"] != "Pending" else None

        return until(answered, 150)

    report = commit(known)
    assert report["Status"] == "Success", report
    assert len(report["Success"]) == len(ct)
    nowhere = {"SOPClassUID": known[0]["SOPClassUID"], "SOPInstanceUID": "1.2.3"}
    report = commit([*known, nowhere])
    assert report["Status"] == "Failure"
    assert [each["SOPInstanceUID"] for each in report["Failures"]] == ["1.2.3"]


def test_a_delivery_to_orthanc_is_done_when_orthanc_has_committed(
    orthanc: tuple[Platform, Orthanc], ct: list[Path], tmp_path: Path
) -> None:
    running, _ = orthanc
    document = {
        "pipelines": [
            {"name": "send", "steps": [{"step": "deliver", "with": {"what": "originals"}}]}
        ],
        "routes": [{"name": "out", "pipeline": "send", "destinations": ["orthanc"]}],
    }
    file = tmp_path / "routes.yaml"
    file.write_text(yaml.safe_dump(document))
    running.cli("routes", "apply", file)
    report = send(ct, Peer("127.0.0.1", running.dicom_port, calling_ae_title="SCANNER"))
    assert report.is_complete

    def delivered() -> Any:
        runs = [run for run in running.json("runs", "list") if run["route"] == "out"]
        return runs and runs[0]["delivered"] == "1 done"

    running.wait_for(delivered, 120)
    events = running.json("audit", "list", "--kind", "COMMITMENT")
    assert [(each["outcome"], each["instances"]) for each in map(_detail, events)] == [
        ("kept", len(ct))
    ]


def _detail(event: dict[str, Any]) -> dict[str, Any]:
    return dict(event.get("detail", event))
