"""Images with and without text, as files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from isocenter.core.dicom.part10 import EXPLICIT_LITTLE
from isocenter.core.dicom.writing import write_part10

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside this file

US = "1.2.840.10008.5.1.4.1.1.6.1"


@pytest.fixture
def make_image(tmp_path: Path) -> Callable[..., Path]:
    """Writes an image: ``make_image(frames, SOPClassUID=…, any attribute …)``."""
    count = 0

    def make(
        frames: NDArray[Any], *, bits_stored: int = 0, syntax: str = "", **attributes: Any
    ) -> Path:
        nonlocal count
        count += 1
        dataset = image_dataset(frames, bits_stored=bits_stored)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE)
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        if syntax:
            dataset.compress(UID(syntax), generate_instance_uid=False)
        path = tmp_path / f"image{count}.dcm"
        write_part10(dataset, path)
        return path

    return make


def image_dataset(frames: NDArray[Any], *, bits_stored: int = 0) -> Dataset:
    """(frames, rows, columns) or (frames, rows, columns, samples) as an ultrasound image."""
    dataset = Dataset()
    dataset.SOPClassUID = US
    dataset.SOPInstanceUID = "2.25.1"
    dataset.StudyInstanceUID = "2.25.2"
    dataset.SeriesInstanceUID = "2.25.3"
    dataset.Modality = "US"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.SamplesPerPixel = frames.shape[3] if frames.ndim == 4 else 1
    dataset.PhotometricInterpretation = "RGB" if frames.ndim == 4 else "MONOCHROME2"
    if frames.ndim == 4:
        dataset.PlanarConfiguration = 0
    if frames.shape[0] > 1:
        dataset.NumberOfFrames = frames.shape[0]
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    bits = 8 * frames.dtype.itemsize
    dataset.BitsAllocated = bits
    dataset.BitsStored = bits_stored or bits
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(frames.dtype.kind == "i")
    dataset.PixelData = frames.tobytes() + bytes(frames.nbytes % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    return dataset
