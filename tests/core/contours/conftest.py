"""Shapes, stacks, and small studies on disk."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

SOP_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def circle(x: float, y: float, radius: float, points: int = 64) -> list[tuple[float, float]]:
    angles = [2 * math.pi * i / points for i in range(points)]
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]


def square(x: float, y: float, side: float) -> list[tuple[float, float]]:
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]


class Study:
    """A series and structure sets that a test writes into a folder."""

    def __init__(
        self,
        folder: Path,
        *,
        levels: tuple[float, ...] = (0, 3, 6, 9),
        rows: int = 32,
        columns: int = 48,
        spacing: tuple[float, float] = (1.0, 1.0),
        modality: str = "CT",
        pixel_type: str = "<i2",
        name: str = "1",
        **attributes: object,
    ) -> None:
        self.folder, self.levels, self.spacing = folder, levels, spacing
        self.series_uid = f"1.2.3.{name}.2"
        self.frame_uid = str(attributes.get("FrameOfReferenceUID", "1.2.3.3"))
        self.datasets = [
            self._image(index, z, rows, columns, modality, np.dtype(pixel_type), attributes)
            for index, z in enumerate(levels)
        ]
        self.paths = [folder / f"image_{name}_{i}.dcm" for i in range(len(levels))]
        for ds, path in zip(self.datasets, self.paths, strict=True):
            ds.save_as(path, enforce_file_format=True)

    def _image(
        self,
        index: int,
        z: float,
        rows: int,
        columns: int,
        modality: str,
        words: np.dtype,
        attributes: dict[str, object],
    ) -> Dataset:
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SpecificCharacterSet = "ISO_IR 100"
        ds.SOPClassUID = SOP_CLASSES[modality]
        ds.SOPInstanceUID = f"{self.series_uid}.{index + 1}"
        ds.PatientName, ds.PatientID = "Test^Jörg", "P1"
        ds.PatientBirthDate, ds.PatientSex = "19700101", "M"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.1", self.series_uid
        ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = self.frame_uid, ""
        ds.StudyDate, ds.StudyTime = "20260101", "120000"
        ds.ReferringPhysicianName, ds.StudyID, ds.AccessionNumber = "", "S1", "A1"
        ds.Modality, ds.SeriesNumber, ds.InstanceNumber = modality, 1, index + 1
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.ImagePositionPatient = [-10.0, -20.0, z]
        ds.ImageOrientationPatient = list(AXIAL)
        ds.PixelSpacing, ds.SliceThickness = list(self.spacing), 3
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows, ds.Columns = rows, columns
        bits = words.itemsize * 8
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
        ds.PixelRepresentation = int(words.kind == "i")
        ds.RescaleIntercept, ds.RescaleSlope = "-1024", "2"
        values = np.random.default_rng(index).integers(0, 100, (rows, columns))
        ds.PixelData = values.astype(words).tobytes()
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)
        return ds

    def patient(self, points: list[tuple[float, float]], z: float) -> list[float]:
        """ContourData of (column, row) points in the plane at z."""
        return [
            v for x, y in points for v in (-10 + x * self.spacing[1], -20 + y * self.spacing[0], z)
        ]

    def structure_set(
        self,
        rois: dict[str, list[tuple[float, list[tuple[float, float]]]]],
        *,
        name: str = "rs",
        refer: str = "series",
        kind: str = "CLOSED_PLANAR",
        frame_uid: str | None = None,
        change: Callable[[Dataset], None] = lambda ds: None,
    ) -> Path:
        """Writes an RTSTRUCT: ROI name → (z, points in pixels). `refer`: series, images, none."""
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
        ds.SOPInstanceUID, ds.SeriesInstanceUID = f"1.2.3.9.{len(name)}.1", "1.2.3.9"
        ds.StudyInstanceUID, ds.Modality = "1.2.3.1", "RTSTRUCT"
        ds.PatientName, ds.PatientID, ds.StructureSetLabel = "Test^Jörg", "P1", "plan"
        frame = Dataset()
        frame.FrameOfReferenceUID = frame_uid or self.frame_uid
        if refer == "series":
            series, study = Dataset(), Dataset()
            series.SeriesInstanceUID = self.series_uid
            study.RTReferencedSeriesSequence = Sequence([series])
            frame.RTReferencedStudySequence = Sequence([study])
        ds.ReferencedFrameOfReferenceSequence = Sequence([frame])
        ds.StructureSetROISequence = Sequence()
        ds.ROIContourSequence = Sequence()
        ds.RTROIObservationsSequence = Sequence()
        for number, (title, contours) in enumerate(rois.items(), start=1):
            roi, drawn, observed = Dataset(), Dataset(), Dataset()
            roi.ROINumber, roi.ROIName = number, title
            roi.ReferencedFrameOfReferenceUID = frame_uid or self.frame_uid
            roi.ROIGenerationAlgorithm = "MANUAL"
            observed.ReferencedROINumber, observed.RTROIInterpretedType = number, "PTV"
            drawn.ReferencedROINumber, drawn.ROIDisplayColor = number, [255, 0, number]
            drawn.ContourSequence = Sequence(
                [self._contour(z, points, kind, refer) for z, points in contours]
            )
            ds.StructureSetROISequence.append(roi)
            ds.ROIContourSequence.append(drawn)
            ds.RTROIObservationsSequence.append(observed)
        change(ds)
        path = self.folder / f"{name}.dcm"
        ds.save_as(path, enforce_file_format=True)
        return path

    def _contour(
        self, z: float, points: list[tuple[float, float]], kind: str, refer: str
    ) -> Dataset:
        item = Dataset()
        item.ContourGeometricType = kind
        item.NumberOfContourPoints = len(points)
        item.ContourData = [f"{v:.6f}" for v in self.patient(points, z)]
        if refer == "images":
            image = Dataset()
            image.ReferencedSOPClassUID = SOP_CLASSES["CT"]
            image.ReferencedSOPInstanceUID = f"{self.series_uid}.1"
            item.ContourImageSequence = Sequence([image])
        return item


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """`oracle.py` beside this file."""
    spec = importlib.util.spec_from_file_location("oracle", Path(__file__).with_name("oracle.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["oracle"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    """Writes a study; see `Study`."""
    folder = tmp_path / "in"
    folder.mkdir()
    return lambda **options: Study(folder, **options)


@pytest.fixture(scope="session")
def make_circle() -> Callable[..., list[tuple[float, float]]]:
    return circle


@pytest.fixture(scope="session")
def make_square() -> Callable[..., list[tuple[float, float]]]:
    return square


@pytest.fixture(scope="session")
def read() -> Callable[[Path], Dataset]:
    return pydicom.dcmread
