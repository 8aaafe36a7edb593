"""A study of somebody, and what must not be found of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from isocenter.apps.routing import artifacts
from isocenter.apps.routing.models import QuarantineItem, Run
from isocenter.core.phantoms import head_phantom

from .conftest import SMALL, Stored

DEIDENTIFY = {"step": "deidentify", "with": {"project": "trial"}}
DELIVER = {"step": "deliver"}
PLAIN = [DEIDENTIFY, DELIVER]
CONTOURS = {"step": "contours", "with": {"formats": ["overlay"]}}

NAME, PATIENT_ID, ACCESSION = "Zimmermann^Klaus", "HX-778812", "ACC4471902"
DOCTOR, HOSPITAL, STUDY_DATE = "Quintanilla^Mercedes", "Klinikum Oberland", "20240229"
WORDS = (b"Zimmermann", b"HX-778812", b"778812", b"ACC4471902", b"Quintanilla", b"Oberland")


def identified_study(
    folder: Path, *, key: str = "a", change: Callable[[Dataset], None] | None = None
) -> Stored:
    """A head phantom of Klaus Zimmermann; ``change`` is asked of each object."""
    phantom = head_phantom(key, **SMALL)
    files = phantom.write(folder)
    for path in files:
        ds = pydicom.dcmread(path)
        ds.PatientName, ds.PatientID, ds.AccessionNumber = NAME, PATIENT_ID, ACCESSION
        ds.ReferringPhysicianName, ds.InstitutionName = DOCTOR, HOSPITAL
        ds.StudyDate = STUDY_DATE
        ds.PatientComments = "Mr Zimmermann is afraid of needles"
        if change is not None:
            change(ds)
        ds.save_as(path)
    return Stored(phantom, files, str(phantom.study_uid))


def original_uids(study: Stored) -> set[bytes]:
    """UIDs of study, series, instances and frame of reference."""
    found: set[bytes] = set()
    for path in study.files:
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        found |= {
            str(ds[name].value).encode()
            for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        }
        found.add(str(ds.FrameOfReferenceUID).encode())
    return found


def survivors(paths: Iterable[Path], study: Stored) -> set[tuple[str, bytes]]:
    """Where bytes or names of files have something of the original."""
    words = {*WORDS, *original_uids(study), STUDY_DATE.encode()}
    found = set()
    for path in paths:
        content = path.read_bytes() + str(path).encode()
        found |= {(path.name, word) for word in words if word in content}
    return found


def arrived(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def ok(run: Run) -> Run:
    assert (run.state, run.trace) == (Run.State.DONE, ""), run.reason
    return run


def held(run: Run, words: str) -> None:
    """The run ended in quarantine, and nothing was ordered."""
    assert run.state == Run.State.FAILED
    assert words in run.reason
    assert QuarantineItem.objects.get(run=run).state == "held"
    assert not run.deliveries.exists()


def outputs(run: Run) -> set[int]:
    return set(artifacts.outputs_of(run).values_list("pk", flat=True))


def with_comment(path: Path, text: str) -> None:
    ds = pydicom.dcmread(path)
    ds.PatientComments = text
    ds.save_as(path)
