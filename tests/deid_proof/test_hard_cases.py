"""Identity in places that are easily forgotten, and names that are ordinary words."""

from __future__ import annotations

import io
import json
import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGBaseline8Bit

from deid_proof.reading import Read, read_folder
from deid_proof.running import deidentify

NAME, PATIENT_ID = "O'Zubarik^Marylou", "MRN7700413"
HIDDEN = f"{PATIENT_ID} Zubarik Marylou"
TERMS = ("zubarik", "marylou", "7700413")

Change = Callable[[Dataset], None]


@dataclass(frozen=True)
class Case:
    """One object: what is odd about it, and what must not be in its bytes (in small letters)."""

    change: Change = lambda dataset: None
    terms: tuple[str, ...] = TERMS
    name: str = NAME
    patient_id: str = PATIENT_ID
    syntax: str = ExplicitVRLittleEndian
    tail: bytes = b""


def _set(**values: object) -> Change:
    def change(dataset: Dataset) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


def _behind_the_samples(dataset: Dataset) -> None:
    dataset.PixelData += HIDDEN.encode().ljust(30)


def _jpeg(**facts: object) -> Change:
    def change(dataset: Dataset) -> None:
        stream = io.BytesIO()
        grey = np.full((16, 16), 90, np.uint8)
        Image.fromarray(grey).save(stream, "JPEG", **facts)
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        dataset.PixelData = encapsulate([stream.getvalue()])
        dataset["PixelData"].is_undefined_length = True

    return change


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = HIDDEN  # ImageDescription
    return exif


def _high_bits(dataset: Dataset) -> None:
    """An overlay in bit 12 of the pixels (PS3.3 C.9.2, retired)."""
    samples = np.arange(256, dtype="<u2")
    samples[40:60] |= 0x1000
    dataset.PixelData = samples.tobytes()
    for tag, vr, value in (
        (0x60000010, "US", 16),
        (0x60000011, "US", 16),
        (0x60000040, "CS", "G"),
        (0x60000050, "SS", [1, 1]),
        (0x60000100, "US", 16),
        (0x60000102, "US", 12),
    ):
        dataset.add_new(tag, vr, value)


def _long_axis(dataset: Dataset) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "103339001", "SCT", "Long Axis"
    dataset.AnatomicRegionSequence = [code]


def _profile(dataset: Dataset) -> None:
    dataset.add_new("ICCProfile", "OB", HIDDEN.encode())


CASES = {
    "nothing odd": Case(),
    "a name without carets": Case(name="O'Zubarik Marylou"),
    "ImageType": Case(_set(ImageType=["ORIGINAL", "PRIMARY", "ZUBARIK"])),
    "BodyPartExamined": Case(_set(BodyPartExamined="ZUBARIK")),
    "SoftwareVersions": Case(_set(SoftwareVersions="Zubarik's build")),
    "Manufacturer": Case(_set(Manufacturer=f"{PATIENT_ID} made")),
    "words joined by underscores": Case(_set(SoftwareVersions="CT_Zubarik_2014")),
    "an address": Case(_set(SoftwareVersions=f"http://x/{PATIENT_ID}")),
    "an ID with its own notation": Case(_set(SoftwareVersions="MRN 7700413, mrn-7700413")),
    "a UID with the ID": Case(_set(FrameOfReferenceUID="1.2.840.113619.7700413.1")),
    "decomposed letters": Case(
        _set(
            SpecificCharacterSet="ISO_IR 192",
            SoftwareVersions=unicodedata.normalize("NFD", "Äneaßerson"),
        ),
        terms=("äneaßerson", unicodedata.normalize("NFD", "äneaßerson")),
        name="Äneaßerson^Rüdigör",
    ),
    "a date of birth in a sentence": Case(
        _set(SoftwareVersions="born 3 Jan 1931, 03.01.1931"), terms=("1931",)
    ),
    "an ICC profile": Case(_profile),
    "an overlay in the high bits": Case(_high_bits),
    "text behind the samples": Case(_behind_the_samples),
    "a comment in JPEG": Case(_jpeg(comment=HIDDEN.encode()), syntax=JPEGBaseline8Bit),
    "Exif in JPEG": Case(_jpeg(exif=_exif()), syntax=JPEGBaseline8Bit),
    "bytes behind the data set": Case(tail=HIDDEN.encode()),
    "an empty ID": Case(patient_id=""),
}  # fmt: skip
ORDINARY = {
    "Long": Case(_long_axis, name="Long^Axelino", terms=()),
    "Chest": Case(name="Chest^Marylou", terms=("marylou",)),
    "Siemens": Case(name="Siemens^Marylou", terms=("marylou",)),
    "Ng": Case(name="Ng^Li", terms=("ng^li",)),
    "1": Case(patient_id="1", terms=("zubarik",)),
    "CT": Case(patient_id="CT", terms=("zubarik",)),
}
EVERY = CASES | ORDINARY
REFUSED = {"bytes behind the data set", "an empty ID"}


def _object(number: int, case: Case) -> Dataset:
    dataset = Dataset()
    stem = f"1.2.826.0.1.3680043.10.771.5.{number}"
    for keyword, value in {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": f"{stem}.3",
        "StudyInstanceUID": f"{stem}.1",
        "SeriesInstanceUID": f"{stem}.2",
        "FrameOfReferenceUID": f"{stem}.4",
        "PatientName": case.name,
        "PatientID": case.patient_id,
        "PatientBirthDate": "19310103",
        "PatientSex": "F",
        "StudyDate": "20140211",
        "StudyTime": "101112",
        "AccessionNumber": "ACC88000",
        "StudyID": "SID66000",
        "ReferringPhysicianName": "",
        "Modality": "CT",
        "SeriesNumber": "1",
        "InstanceNumber": str(number),
        "Manufacturer": "SIEMENS",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "BodyPartExamined": "CHEST",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": 16,
        "Columns": 16,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
    }.items():
        setattr(dataset, keyword, value)
    dataset.add_new("PixelData", "OW", np.arange(256, dtype="<u2").tobytes())
    case.change(dataset)
    return dataset


@dataclass(frozen=True)
class Outcome:
    """Objects that left by case, and the reasons of the others."""

    left: dict[str, Read]
    reasons: dict[str, str]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """All cases through one run."""
    folder = tmp_path_factory.mktemp("hard")
    (folder / "in").mkdir()
    names = dict(enumerate(EVERY, start=1))
    for number, name in names.items():
        case = EVERY[name]
        dataset = _object(number, case)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = case.syntax
        path = folder / "in" / f"{number:03d}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.save_as(path, enforce_file_format=True)
        path.write_bytes(path.read_bytes() + case.tail)
    run = deidentify(folder / "in", folder / "out")
    assert run.returncode == 3, run.stdout + run.stderr
    left = {names[int(one.dataset.InstanceNumber)]: one for one in read_folder(folder / "out")[0]}
    reasons = json.loads((folder / "out.quarantine" / "reasons.json").read_text("utf-8"))
    return Outcome(left, {names[int(Path(one["file"]).name)]: one["reason"] for one in reasons})


@pytest.mark.parametrize("name", list(CASES))
def test_nothing_is_left(outcome: Outcome, name: str) -> None:
    if name not in outcome.left:
        assert outcome.reasons[name]
        return
    one = outcome.left[name]
    data = one.path.read_bytes().lower()
    for term in CASES[name].terms:
        assert term.encode() not in data
        assert term.encode("latin-1", "replace") not in data


def test_an_overlay_is_not_left_in_the_high_bits(outcome: Outcome) -> None:
    one = outcome.left.get("an overlay in the high bits")
    if one is not None:
        assert not (np.frombuffer(one.dataset.PixelData, "<u2") & 0x1000).any()


def test_what_cannot_be_decided_stays_in_the_house(outcome: Outcome) -> None:
    assert set(outcome.reasons) >= REFUSED


def test_what_need_not_be_refused_leaves(outcome: Outcome) -> None:
    refusable = REFUSED | {"text behind the samples", "a comment in JPEG", "Exif in JPEG"}
    assert set(outcome.left) >= set(EVERY) - refusable


@pytest.mark.parametrize("name", list(ORDINARY))
def test_ordinary_words_as_names_hold_nothing_up(outcome: Outcome, name: str) -> None:
    one = outcome.left[name]
    data = one.path.read_bytes().lower()
    assert all(term.encode() not in data for term in ORDINARY[name].terms)
    assert one.dataset.Modality == "CT"
    assert one.dataset.BodyPartExamined == "CHEST"
    if name == "Long":
        assert one.dataset.AnatomicRegionSequence[0].CodeMeaning == "Long Axis"
