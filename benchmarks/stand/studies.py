"""Synthetic series of the sizes that hospitals send, written once per run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"


@dataclass(frozen=True)
class Series:
    """One series on disk.

    Attributes:
        name: for the table.
        paths: one file per instance.
        digests: SHA-256 of each data set (file meta left out), as a sorted tuple.
    """

    name: str
    paths: tuple[Path, ...]
    digests: tuple[str, ...]

    @property
    def megabytes(self) -> float:
        return sum(path.stat().st_size for path in self.paths) / 1e6

    def shares(self, folder: Path, count: int) -> list[Path]:
        """Spread the files over ``count`` folders of links, one per association."""
        shares = []
        for index in range(count):
            share = folder / f"{self.name}-{count}-{index}"
            if not share.exists():
                share.mkdir(parents=True)
                for path in self.paths[index::count]:
                    (share / path.name).hardlink_to(path)
            shares.append(share)
        return shares


def data_set_digest(path: Path) -> str:
    """SHA-256 of the bytes after the file meta group (explicit length in (0002,0000))."""
    content = path.read_bytes()
    length = int.from_bytes(content[140:144], "little")
    return hashlib.sha256(content[144 + length :]).hexdigest()


def make_series(
    folder: Path, name: str, *, count: int, size: int, modality: str, has_body: bool = False
) -> Series:
    """Write ``count`` slices of ``size`` × ``size`` 16-bit pixels.

    Args:
        has_body: pixels are a body in air with the noise of a CT, for what packs or shows them;
            else they are nothing but noise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(7)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    paths = []
    for number in range(1, count + 1):
        ds = _slice(modality, size, number, noise)
        if has_body:
            ds.PixelData = _body(size, number, count, noise).tobytes()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        path = folder / f"{name}-{number:04d}.dcm"
        ds.save_as(path, enforce_file_format=True)
        paths.append(path)
    digests = tuple(sorted(data_set_digest(path) for path in paths))
    return Series(name, tuple(paths), digests)


def _body(size: int, number: int, count: int, noise: np.random.Generator) -> np.ndarray:
    """An ellipse of soft tissue with two lungs and a spine, in HU; wider in the middle slices."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    wide = 0.6 + 0.25 * np.sin(np.pi * number / count)
    pixels = np.where((x / wide) ** 2 + (y / 0.6) ** 2 < 1, 40.0, -1000.0)
    for centre in (-0.35, 0.35):
        pixels[((x - centre) / 0.2) ** 2 + (y / 0.4) ** 2 < 1] = -800.0
    pixels[(x / 0.08) ** 2 + ((y - 0.42) / 0.1) ** 2 < 1] = 700.0
    return (pixels + noise.normal(0, 12, pixels.shape)).astype(np.int16)


def _slice(modality: str, size: int, number: int, noise: np.random.Generator) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = CT_IMAGE_STORAGE if modality == "CT" else MR_IMAGE_STORAGE
    ds.SOPInstanceUID = generate_uid()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.StudyDate, ds.StudyTime = "20260102", "101112"
    ds.Modality = modality
    ds.Manufacturer = "Isocenter"
    ds.StudyDescription = "Benchmark"
    ds.PatientName, ds.PatientID = "Bench^Mark", "BENCH"
    ds.SeriesNumber, ds.InstanceNumber = 1, number
    ds.ImagePositionPatient = [0, 0, float(number)]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [0.9765625, 0.9765625]
    ds.SliceThickness = "1"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = size
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope = "0", "1"
    ds.PixelData = noise.integers(-1000, 2000, (size, size), dtype=np.int16).tobytes()
    return ds
