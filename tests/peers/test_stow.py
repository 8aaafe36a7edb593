"""STOW-RS with peers: curl and Orthanc send to us; we send to Orthanc and to one of our own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from isocenter.core.network.dicomweb import WebPeer, check, count_instances, store
from isocenter.core.network.multipart import encode
from isocenter.core.network.outcomes import Outcome
from platform_under_test import Platform
from stand.orthanc_web import OrthancWeb

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # pydicom's, about values that are odd
]

PART = {"Content-Type": "application/dicom"}


def token_of(platform: Platform, *scopes: str) -> str:
    options = [option for scope in scopes for option in ("--scope", scope)]
    return str(platform.json("token", "create", "--user", "admin", *options)["token"])


def url_of(platform: Platform) -> str:
    return f"http://127.0.0.1:{platform.http_port}/dicom-web"


def archived(platform: Platform) -> dict[str, bytes]:
    """The files of the archive, by SOP Instance UID."""
    folder = platform.data_dir / "archive"
    return {path.stem: path.read_bytes() for path in folder.rglob("*.dcm")}


@pytest.fixture(scope="module")
def receiving(module_folder: Path) -> Iterator[Platform]:
    """A platform that others send to."""
    platform = Platform(module_folder / "platform").start()
    yield platform
    platform.end()


@pytest.fixture(scope="module")
def orthanc(receiving: Platform, module_folder: Path) -> Iterator[OrthancWeb]:
    """An Orthanc that knows that platform."""
    headers = {"Authorization": f"Bearer {token_of(receiving, 'all')}"}
    servers: Mapping[str, Any] = {
        "isocenter": {"Url": url_of(receiving), "HttpHeaders": headers, "ChunkedTransfers": True},
        "with-length": {
            "Url": url_of(receiving),
            "HttpHeaders": headers,
            "ChunkedTransfers": False,
        },
    }
    peer = OrthancWeb(module_folder / "orthanc", servers)
    yield peer
    peer.stop()


@pytest.fixture(scope="module")
def slices(shared_data: Path) -> list[Path]:
    return sorted((shared_data / "ct_chest_ACRIN" / "image").glob("*.dcm"))[:12]


def uid_of(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def test_curl_sends(receiving: Platform, slices: list[Path], tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("not installed: curl")
    body = tmp_path / "body"
    body.write_bytes(encode([(PART, path.read_bytes()) for path in slices[:2]], "limit"))
    command = [
        *("curl", "-sS", "-w", "\n%{http_code}", "-T", str(body), "-X", "POST"),
        *("-H", f"Authorization: Bearer {token_of(receiving, 'upload')}"),
        *("-H", 'Content-Type: multipart/related; type="application/dicom"; boundary=limit'),
        f"{url_of(receiving)}/studies",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    text, _, status = done.stdout.rpartition("\n")
    assert status == "200", text
    assert len(json.loads(text)["00081199"]["Value"]) == 2
    uids = {uid_of(path): path.read_bytes() for path in slices[:2]}
    receiving.wait_for(lambda: uids.items() <= archived(receiving).items())


def test_curl_without_a_token_is_told_before_it_sends(receiving: Platform, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("not installed: curl")
    body = tmp_path / "body"
    with body.open("wb") as file:
        file.truncate(1 << 30)
    command = [
        *("curl", "-sS", "-w", "%{http_code} %{size_upload}", "-o", "/dev/null"),
        *("-T", str(body), "-X", "POST", "-H", "Expect: 100-continue"),
        *("-H", 'Content-Type: multipart/related; type="application/dicom"; boundary=limit'),
        f"{url_of(receiving)}/studies",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    status, _, sent = done.stdout.partition(" ")
    assert status == "401"
    assert int(sent) < 64 << 20


@pytest.mark.parametrize("server", ["isocenter", "with-length"])
def test_orthanc_sends(
    orthanc: OrthancWeb, receiving: Platform, slices: list[Path], server: str
) -> None:
    chosen = slices[2:5] if server == "isocenter" else slices[5:8]
    resources = [
        orthanc.rest.post("/instances", content=path.read_bytes()).json()["ID"] for path in chosen
    ]
    answer = orthanc.rest.post(
        f"/dicom-web/servers/{server}/stow", json={"Resources": resources, "Synchronous": True}
    )
    assert answer.status_code == 200, answer.text
    uids = {uid_of(path): path.read_bytes() for path in chosen}
    receiving.wait_for(lambda: uids.items() <= archived(receiving).items())


def test_to_orthanc(orthanc: OrthancWeb, slices: list[Path]) -> None:
    peer = WebPeer(orthanc.url, 60, username="isocenter", secret="a password")
    assert check(peer) > 0
    report = store(slices, peer)
    assert report.error is None
    assert {result.outcome for result in report.results} == {Outcome.STORED}
    there = orthanc.files()
    assert {uid_of(path): path.read_bytes() for path in slices}.items() <= there.items()
    study = str(dcmread(slices[0], stop_before_pixels=True).StudyInstanceUID)
    assert count_instances(peer, study) == len(slices)
    wrong = store(slices, WebPeer(orthanc.url, 60, username="isocenter", secret="wrong"))
    assert {result.outcome for result in wrong.results} == {Outcome.NOT_SENT}
    assert "refuses us" in str(wrong.error)


def test_a_route_delivers_to_services(
    orthanc: OrthancWeb,
    receiving: Platform,
    tmp_path: Path,
    shared_data: Path,
) -> None:
    """To Orthanc with a password, and to a platform of our own with a token."""
    files = [shared_data / "us" / name for name in ("US1_UNCI.dcm", "color-pl.dcm")]
    sending = Platform(tmp_path / "sending").start()
    try:
        secrets = {"orthanc": "a password", "sister": token_of(receiving, "upload", "view")}
        for name, url, more in (
            ("orthanc", orthanc.url, ("--username", "isocenter")),
            ("sister", url_of(receiving), ()),
        ):
            secret = tmp_path / f"{name}.txt"
            secret.write_text(secrets[name] + "\n")
            options = ("--url", url, "--secret-file", str(secret), *more)
            sending.cli("nodes", "add", name, *options)
            tested = sending.cli("nodes", "test", name)
            assert "answers" in tested.stdout
        assert all(secret not in sending.output() for secret in secrets.values())
        document = tmp_path / "routes.yaml"
        document.write_text(
            "pipelines:\n  - name: forward\n    steps:\n      - step: select\n"
            "      - step: deliver\n        with: {what: originals}\n"
            "routes:\n  - name: forward\n    condition: '\"US\" in ModalitiesInStudy'\n"
            "    pipeline: forward\n"
            "    destinations: [orthanc, sister]\n"
        )
        sending.cli("routes", "apply", document)
        sending.cli("import", *files)
        uids = {uid_of(path): path.read_bytes() for path in files}
        sending.wait_for(lambda: uids.items() <= archived(receiving).items(), 120)
        sending.wait_for(lambda: uids.items() <= orthanc.files().items(), 120)
    finally:
        sending.end()
