"""Fixtures of the DICOM room: small images made here, and the files of the reference data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from isocenter.core.dicom.writing import write_part10

# A deadline per example would measure how busy the machine is.
settings.register_profile("dicom", deadline=None)
settings.load_profile("dicom")

# What is no DICOM file in the reference data.
_OTHERS = frozenset((".md", ".gz", ".nrrd", ".json", ".txt", ".jpeg", ".nii"))


@pytest.fixture(scope="session")
def dicom_files(shared_data: Path) -> list[Path]:
    """All DICOM files of the reference data, broken ones included."""
    return [
        path
        for path in sorted(shared_data.rglob("*"))
        if path.is_file() and path.suffix not in _OTHERS
    ]


@pytest.fixture(scope="session")
def sample_files(dicom_files: list[Path]) -> list[Path]:
    """The same, but of each long series only the first three."""
    by_folder: dict[Path, list[Path]] = {}
    for path in dicom_files:
        by_folder.setdefault(path.parent, []).append(path)
    return [
        path
        for folder, paths in by_folder.items()
        for path in (paths if len({p.stat().st_size for p in paths}) > 30 else paths[:3])
    ]


def make_image(**attributes: object) -> Dataset:
    """A CT slice of 4 x 6 pixels, 16 bits signed, with a gradient in it."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian)
    image.SpecificCharacterSet = "ISO_IR 100"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = "1.2.3.4"
    image.StudyDate = "20260102"
    image.Modality = "CT"
    image.Manufacturer = "Maker"
    image.PatientName = "Müller^Jörg"
    image.PatientID = "4711"
    image.StudyInstanceUID = "1.2.3"
    image.SeriesInstanceUID = "1.2.3.1"
    image.SeriesNumber = 2
    image.InstanceNumber = 7
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows = 4
    image.Columns = 6
    image.BitsAllocated = 16
    image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = 1
    image.PixelData = np.arange(-12, 12, dtype="<i2").tobytes()
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    return image


@pytest.fixture
def image() -> Callable[..., Dataset]:
    """:func:`make_image`."""
    return make_image


@pytest.fixture
def image_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes such an image to a file; ``name`` and attributes may be given."""

    def write(name: str = "image.dcm", **attributes: object) -> Path:
        path = tmp_path / name
        write_part10(make_image(**attributes), path)
        return path

    return write
