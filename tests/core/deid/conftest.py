"""Fixtures of the de-identification room: objects made here, and the engine around them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from hypothesis import settings
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ImplicitVRLittleEndian

from isocenter.core.deid.engine import Context, ObjectResult, deidentify_object
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.proof.identifiers import Identifiers, collect
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.text.descriptors import Cleaner

settings.register_profile("deid", deadline=None)
settings.load_profile("deid")

SECRET = Secret(b"a secret for tests, of 256 bits.")
ALIAS = PatientAlias("ANON0001", "ANON^0001", -100)

Encode = Callable[..., bytes]
Deidentify = Callable[..., tuple[Dataset, ObjectResult]]


@pytest.fixture(scope="session")
def encode() -> Encode:
    """A data set as a DICOM file: ``encode(dataset, syntax=ExplicitVRLittleEndian)``."""

    def encoded(dataset: Dataset, syntax: str = "1.2.840.10008.1.2.1") -> bytes:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
        dataset.file_meta = meta
        buffer = io.BytesIO()
        dcmwrite(
            buffer,
            dataset,
            implicit_vr=syntax == ImplicitVRLittleEndian,
            little_endian=syntax != "1.2.840.10008.1.2.2",
            enforce_file_format=True,
        )
        return buffer.getvalue()

    return encoded


@pytest.fixture(scope="session")
def context() -> Callable[..., Context]:
    """A context: ``context(identifiers, policy)``, both optional."""

    def made(
        identifiers: Identifiers | None = None,
        policy: Policy | None = None,
        alias: PatientAlias = ALIAS,
    ) -> Context:
        identifiers, policy = identifiers or Identifiers(), policy or Policy()
        cleaner = Cleaner(identifiers, policy=policy)
        return Context(SECRET, policy, alias, identifiers, cleaner)

    return made


@pytest.fixture
def deidentify(tmp_path: Path, encode: Encode, context: Callable[..., Context]) -> Deidentify:
    """Runs the engine on a data set, what identifies it collected before.

    ``deidentify(dataset, Option.X, dates="shift", syntax=…)`` gives the new data set and the
    result; the bytes are in ``tmp_path / "new.dcm"``.
    """

    def done(
        dataset: Dataset, *options: Option, syntax: str = "1.2.840.10008.1.2.1", **choices: object
    ) -> tuple[Dataset, ObjectResult]:
        old, new = tmp_path / "old.dcm", tmp_path / "new.dcm"
        old.write_bytes(encode(dataset, syntax))
        policy = Policy(frozenset(options), **choices)  # type: ignore[arg-type]
        result = deidentify_object(old, new, context(collect([old]), policy), durable=False)
        return (pydicom.dcmread(new) if new.exists() else Dataset()), result

    return done


@pytest.fixture
def ct() -> Dataset:
    """A small CT object with an identity."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = "1.2.3.4.5.6.1"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20240229"
    dataset.StudyTime = "101112"
    dataset.AccessionNumber = "ACC77801"
    dataset.Modality = "CT"
    dataset.Manufacturer = "Example Systems"
    dataset.InstitutionName = "Klinikum Musterstadt"
    dataset.ReferringPhysicianName = "Hippocrates^Anna"
    dataset.StudyDescription = "CT chest of Wolkenbruch"
    dataset.PatientName = "Wolkenbruch^Zoë"
    dataset.PatientID = "PID556677"
    dataset.PatientBirthDate = "19610203"
    dataset.PatientSex = "F"
    dataset.PatientAge = "093Y"
    dataset.StudyInstanceUID = "1.2.3.4.5.6"
    dataset.SeriesInstanceUID = "1.2.3.4.5.6.0"
    dataset.FrameOfReferenceUID = "1.2.3.4.5.7"
    dataset.StudyID = "S1"
    dataset.SeriesNumber = "1"
    dataset.InstanceNumber = "1"
    dataset.ImagePositionPatient = [0, 0, 0]
    dataset.Rows = dataset.Columns = 2
    dataset.BitsAllocated = 16
    dataset.PixelData = b"\1\2\3\4\5\6\7\x08"
    dataset["PixelData"].VR = "OW"
    return dataset
