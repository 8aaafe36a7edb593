"""GDCM's gdcmscu, which comes with the codecs, as a peer of a whole platform."""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from platform_under_test import Platform
from stand.peers import content_of, free_port, program, run

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # pydicom's, about values that are odd
]

SLICES = 5
ASKER = "GDCM"


def gdcmscu() -> str:
    """The one of this environment, else the system's."""
    beside = Path(sysconfig.get_path("scripts")) / "gdcmscu"
    return str(beside) if beside.exists() else program("gdcmscu")


def ask(platform: Platform, *arguments: str | Path) -> str:
    return run(
        *(gdcmscu(), "--debug", "--aetitle", ASKER, "--call", platform.ae_title),
        *("127.0.0.1", str(platform.dicom_port), *arguments),
    )


@pytest.fixture(scope="module")
def files(shared_data: Path) -> list[Path]:
    found = sorted((shared_data / "rt_STS_001" / "CT").rglob("*.dcm"))[:SLICES]
    assert len(found) == SLICES
    return found


@pytest.fixture(scope="module")
def head(files: list[Path]) -> Dataset:
    return dcmread(files[0], stop_before_pixels=True)


@pytest.fixture(scope="module")
def listens() -> int:
    """Where gdcmscu takes what it has asked to be moved."""
    return free_port()


@pytest.fixture(scope="module")
def platform(module_folder: Path, files: list[Path], listens: int) -> Iterator[Platform]:
    """A platform that has taken the slices from gdcmscu."""
    one = Platform(module_folder / "data")
    try:
        one.start()
        one.cli(
            *("nodes", "add", "gdcm", "--host", "127.0.0.1", "--port", listens),
            *("--ae-title", ASKER, "--allow", "store,query,retrieve"),
        )
        ask(one, "--store", *(part for path in files for part in ("-i", path)))
        folder = one.data_dir / "archive"
        one.wait_for(lambda: len(list(folder.rglob("*.dcm"))) == SLICES)
        yield one
    finally:
        one.end()


def test_echo(platform):
    ask(platform, "--echo")


def test_what_it_sends_is_kept_byte_for_byte(platform, files):
    kept = sorted(map(content_of, (platform.data_dir / "archive").rglob("*.dcm")))
    assert kept == sorted(map(content_of, files))


def answers(told: str) -> int:
    """Pending responses of a C-FIND. gdcmscu ends itself when the association is released, with
    Orthanc as well, so what it prints while they come in is all there is to see."""
    ends = told.count("(0000,0900) ?? (US) 0 ")  # it prints every message twice
    assert ends > 0, told
    return len(re.findall(r"\(0000,0900\) \?\? \(US\) 652(?:80|81) ", told)) // ends


@pytest.mark.parametrize("model", ["--studyroot", "--patientroot"])
def test_find(platform, head, model):
    patient = ("--key", f"10,20={head.PatientID}")
    found = ask(platform, "--find", model, "--study", *patient, "--key", "20,d=")
    assert answers(found) == 1
    nobody = ("--key", "10,20=NOBODY HAS THIS")
    assert answers(ask(platform, "--find", model, "--study", *nobody, "--key", "20,d=")) == 0


def test_move(platform, head, files, listens, tmp_path):
    ask(
        *(platform, "--move", "--studyroot", "--study", "--port-scp", str(listens)),
        *("--key", f"20,d={head.StudyInstanceUID}", "--output", tmp_path),
    )
    came = [dcmread(path) for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    there = {str(ds.SOPInstanceUID): ds for ds in map(dcmread, files)}
    assert {str(ds.SOPInstanceUID) for ds in came} == set(there)
    for ds in came:  # gdcmscu writes data sets anew
        assert ds.PixelData == there[str(ds.SOPInstanceUID)].PixelData
