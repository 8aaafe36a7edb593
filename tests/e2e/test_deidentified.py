"""De-identified on the way: what arrives elsewhere names nobody, or nothing arrives."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pydicom
import pytest
import yaml

pytestmark = pytest.mark.peers

WORDS = (b"Zimmermann", b"Klaus", b"HX-778812", b"778812", b"ACC4471902", b"Quintanilla",
         b"Oberland", b"20240229", b"19530417")  # fmt: skip
PROJECT = {
    "description": "follow-up of a trial",
    "dates": "shift",
    "private_keep": [{"creator": "ACME", "group": "0019", "element": "10"}],
    "pseudonyms": {"kind": "pattern", "pattern": "{site}_{counter:04}", "site": "TRIAL"},
}
STEPS = [
    {"step": "deidentify", "with": {"project": "trial"}},
    {"step": "contours", "with": {"formats": ["overlay", "nifti"]}},
    {"step": "deliver", "with": {"nodes": ["dest", "folder"]}},
]


def identify(files: Iterable[Path], *, planted: str = "") -> set[bytes]:
    """Give the objects a patient; what must not be found of them."""
    found = set(WORDS)
    for path in files:
        ds = pydicom.dcmread(path)
        ds.PatientName, ds.PatientID, ds.AccessionNumber = (
            "Zimmermann^Klaus",
            "HX-778812",
            "ACC4471902",
        )
        ds.ReferringPhysicianName, ds.InstitutionName = "Quintanilla^Mercedes", "Klinikum Oberland"
        ds.StudyDate, ds.PatientBirthDate = "20240229", "19530417"
        ds.ImageComments = "Mr Zimmermann, sent by Dr Quintanilla on 29.02.2024"
        if planted:
            ds.private_block(0x0019, "ACME", create=True).add_new(0x10, "UN", planted.encode())
        ds.save_as(path)
        names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
        found |= {str(ds[name].value).encode() for name in names}
    return found


def survivors(paths: Iterable[Path], words: set[bytes]) -> set[tuple[str, bytes]]:
    return {
        (path.name, word)
        for path in paths
        for word in words
        if word in path.read_bytes() + str(path).encode()
    }


@pytest.fixture
def research(make_gateway, tmp_path, destination):
    """A gateway by whose route nothing identified leaves, and the folder that it sends to."""
    gateway = make_gateway(enabled=False)
    folder = tmp_path / "outgoing"
    project = tmp_path / "project.yaml"
    project.write_text(yaml.safe_dump(PROJECT))
    made = gateway.platform.cli("deid-project", "create", "trial", "--from", str(project))
    assert made.returncode == 0, made.stdout + made.stderr
    gateway.apply(
        {
            "nodes": [{"name": "folder", "kind": "folder", "folder": str(folder)}],
            "pipelines": [{"name": "research", "steps": STEPS}],
            "routes": [{"name": "research", "pipeline": "research", "deidentified_only": True}],
        }
    )
    return gateway, folder


def whole(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".part"]


def test_what_arrives_names_nobody_and_what_would_does_not_leave(research, phantom):
    gateway, folder = research
    study, files = phantom("clean", slices=5, rows=48, columns=64, slice_distance_mm=32.0)
    words = identify(files)
    gateway.send(*files)

    (run,) = gateway.wait_for_runs(study.study_uid, 1)
    wanted = 2 * len(study.images) + 1  # images, overlays, structure set
    received = gateway.wait(
        "everything at the DICOM node",
        lambda: len(got := whole(gateway.destination.folder)) >= wanted and got,
    )
    delivered = gateway.wait(
        "everything in the folder", lambda: len(got := whole(folder)) > wanted and got
    )
    assert not survivors([*received, *delivered], words)
    assert {path.suffix for path in delivered} == {".dcm", ".gz"}
    objects = [pydicom.dcmread(path) for path in received]
    assert {ds.PatientID for ds in objects} == {"TRIAL_0001"}
    assert len({ds.StudyInstanceUID for ds in objects}) == 1
    assert "searched for" in str(gateway.json("runs", "show", run["id"])["steps"])

    # Another study of the patient, whose device writes a name where the project keeps an element.
    other, other_files = phantom("planted", slices=5, rows=48, columns=64, slice_distance_mm=32.0)
    identify(other_files, planted="acquired for Zimmermann")
    gateway.send(*other_files)

    (item,) = gateway.wait("quarantine", lambda: gateway.quarantined(other.study_uid))
    assert "the verifier found what identifies: name at (0019,1010)" in item["reason"]
    assert "Zimmermann" not in str(item)
    assert len(whole(folder)) == len(delivered)
    assert len(whole(gateway.destination.folder)) == len(received)
    assert "Zimmermann" not in gateway.platform.output()
