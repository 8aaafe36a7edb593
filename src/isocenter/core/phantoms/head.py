"""A head CT with its RT structure set, made of ellipsoids.

Every structure is an ellipsoid with a formula for its volume, so that what comes out of a
pipeline can be checked against what went in. Coordinates are LPS millimetres with the
origin in the middle of the head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from isocenter.core.dicom.uids import derive_uid

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
RT_STRUCTURE_SET_STORAGE = "1.2.840.10008.5.1.4.1.1.481.3"
DETACHED_STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"
CREATED = ("20260102", "101112")
CONTOUR_POINTS = 180


@dataclass(frozen=True)
class Structure:
    """An ellipsoid that the structure set names.

    Attributes:
        name: ROIName.
        interpreted_type: RTROIInterpretedType (PS3.3 C.8.8.8).
        centre_mm: x, y, z in LPS millimetres.
        radii_mm: half axes along x, y, z in millimetres.
        hounsfield: CT number inside, or None where the structure draws nothing.
        colour: ROIDisplayColor, red, green, blue of 0..255.
    """

    name: str
    interpreted_type: str
    centre_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]
    hounsfield: int | None
    colour: tuple[int, int, int]

    @property
    def volume_ml(self) -> float:
        """4/3 pi a b c, in millilitres."""
        return 4 / 3 * math.pi * math.prod(self.radii_mm) / 1000

    def section_mm(self, z_mm: float) -> tuple[float, float] | None:
        """Half axes along x and y of the section at ``z_mm``; None where there is none."""
        height = (z_mm - self.centre_mm[2]) / self.radii_mm[2]
        if abs(height) >= 1:
            return None
        scale = math.sqrt(1 - height * height)
        return self.radii_mm[0] * scale, self.radii_mm[1] * scale


STRUCTURES = (
    Structure("Skull", "ORGAN", (0, 0, 0), (74, 92, 82), 900, (230, 220, 190)),
    Structure("Brain", "ORGAN", (0, 0, 0), (68, 86, 76), 35, (90, 170, 255)),
    Structure("Brainstem", "ORGAN", (0, 22, -38), (13, 14, 24), 42, (80, 200, 120)),
    Structure("Eye_L", "ORGAN", (32, -74, -22), (12, 12, 12), 10, (250, 200, 60)),
    Structure("Eye_R", "ORGAN", (-32, -74, -22), (12, 12, 12), 10, (240, 150, 60)),
    Structure("PTV_60", "PTV", (28, -18, 24), (21, 19, 18), None, (255, 120, 180)),
    Structure("GTV", "GTV", (28, -18, 24), (14, 12, 11), 68, (255, 50, 50)),
)


@dataclass(frozen=True)
class HeadPhantom:
    """One synthetic study.

    Attributes:
        images: CT Image Storage data sets, from feet to head.
        structure_set: the RT Structure Set Storage data set.
        structures: what it names, with formulas.
    """

    images: tuple[Dataset, ...]
    structure_set: Dataset
    structures: tuple[Structure, ...]

    @property
    def study_uid(self) -> str:
        return str(self.structure_set.StudyInstanceUID)

    def write(self, folder: Path) -> list[Path]:
        """Write one file per instance: ``CT-001.dcm`` …, ``RTSTRUCT.dcm``; return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for number, image in enumerate(self.images, start=1):
            paths.append(folder / f"CT-{number:03d}.dcm")
            image.save_as(paths[-1], enforce_file_format=True)
        paths.append(folder / "RTSTRUCT.dcm")
        self.structure_set.save_as(paths[-1], enforce_file_format=True)
        return paths


def head_phantom(
    key: str = "head",
    *,
    slices: int = 60,
    rows: int = 256,
    columns: int = 256,
    spacing_mm: float = 1.0,
    slice_distance_mm: float = 3.0,
    structures: tuple[Structure, ...] = STRUCTURES,
) -> HeadPhantom:
    """Make a head CT and its structure set.

    The same arguments give the same bytes; another ``key`` gives another study of another
    patient. The volume is centred on the origin; slices go from feet to head.
    """
    heights = (np.arange(slices) - (slices - 1) / 2) * slice_distance_mm
    shared = _Shared(key, rows, columns, spacing_mm, slice_distance_mm)
    noise = np.random.default_rng(20260102)
    images = tuple(
        _image(shared, number, float(z), structures, noise) for number, z in enumerate(heights, 1)
    )
    structure_set = _structure_set(shared, images, structures)
    return HeadPhantom(images, structure_set, structures)


@dataclass(frozen=True)
class _Shared:
    key: str
    rows: int
    columns: int
    spacing_mm: float
    slice_distance_mm: float

    def uid(self, *parts: str) -> str:
        return derive_uid("head phantom", self.key, *parts)

    @property
    def corner_mm(self) -> tuple[float, float]:
        """Centre of the first pixel, x and y."""
        return (
            -(self.columns - 1) / 2 * self.spacing_mm,
            -(self.rows - 1) / 2 * self.spacing_mm,
        )


def _common(shared: _Shared, sop_class: str, sop_uid: str) -> Dataset:
    """Patient, general study and equipment modules."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = sop_uid
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = sop_uid
    ds.StudyInstanceUID = shared.uid("study")
    ds.StudyDate, ds.StudyTime = CREATED
    ds.PatientName = f"Phantom^{shared.key}"
    ds.PatientID = f"PHANTOM-{shared.key}"
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "O"
    ds.AccessionNumber = ""
    ds.ReferringPhysicianName = ""
    ds.StudyID = "1"
    ds.StudyDescription = "Synthetic head"
    ds.Manufacturer = "Isocenter"
    ds.ManufacturerModelName = "Head phantom"
    ds.FrameOfReferenceUID = shared.uid("frame of reference")
    ds.PositionReferenceIndicator = ""
    return ds


def _image(
    shared: _Shared,
    number: int,
    z_mm: float,
    structures: tuple[Structure, ...],
    noise: np.random.Generator,
) -> Dataset:
    ds = _common(shared, CT_IMAGE_STORAGE, shared.uid("image", str(number)))
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Modality = "CT"
    ds.SeriesInstanceUID = shared.uid("images")
    ds.SeriesNumber = 1
    ds.SeriesDescription = "Synthetic head CT"
    ds.AcquisitionNumber = 1
    ds.InstanceNumber = number
    ds.ContentDate, ds.ContentTime = CREATED
    ds.PatientPosition = "HFS"
    ds.KVP = "120"
    ds.SliceThickness = f"{shared.slice_distance_mm:g}"
    x, y = shared.corner_mm
    ds.ImagePositionPatient = [f"{x:g}", f"{y:g}", f"{z_mm:g}"]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [shared.spacing_mm, shared.spacing_mm]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = shared.rows, shared.columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
    ds.WindowCenter, ds.WindowWidth = "40", "400"
    stored = _hounsfield(shared, z_mm, structures, noise) + 1024
    ds.PixelData = stored.clip(0, 4095).astype("<u2").tobytes()
    return ds


def _hounsfield(
    shared: _Shared,
    z_mm: float,
    structures: tuple[Structure, ...],
    noise: np.random.Generator,
) -> NDArray[np.int32]:
    """CT numbers of one slice, shape (rows, columns)."""
    corner_x, corner_y = shared.corner_mm
    x = corner_x + np.arange(shared.columns) * shared.spacing_mm
    y = (corner_y + np.arange(shared.rows) * shared.spacing_mm)[:, None]
    values = np.full((shared.rows, shared.columns), -1000, np.int32)
    scalp = Structure("scalp", "", (0, 0, 0), (80, 98, 88), 20, (0, 0, 0))
    for shape in (scalp, *structures):
        section = shape.section_mm(z_mm)
        if section is None or shape.hounsfield is None:
            continue
        inside = ((x - shape.centre_mm[0]) / section[0]) ** 2 + (
            (y - shape.centre_mm[1]) / section[1]
        ) ** 2 < 1
        values[inside] = shape.hounsfield
    return values + noise.normal(0, 4, values.shape).astype(np.int32)


def _structure_set(
    shared: _Shared, images: tuple[Dataset, ...], structures: tuple[Structure, ...]
) -> Dataset:
    ds = _common(shared, RT_STRUCTURE_SET_STORAGE, shared.uid("structure set"))
    ds.Modality = "RTSTRUCT"
    ds.SeriesInstanceUID = shared.uid("structures")
    ds.SeriesNumber = 2
    ds.SeriesDescription = "Synthetic structures"
    ds.OperatorsName = ""
    ds.InstanceNumber = 1
    ds.StructureSetLabel = "PHANTOM"
    ds.StructureSetDate, ds.StructureSetTime = CREATED
    ds.ApprovalStatus = "UNAPPROVED"
    ds.ReferencedFrameOfReferenceSequence = Sequence([_referenced_frame(ds, images)])
    ds.StructureSetROISequence = Sequence()
    ds.ROIContourSequence = Sequence()
    ds.RTROIObservationsSequence = Sequence()
    for number, structure in enumerate(structures, start=1):
        _add_structure(ds, number, structure, images)
    return ds


def _referenced_frame(ds: Dataset, images: tuple[Dataset, ...]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = images[0].SeriesInstanceUID
    series.ContourImageSequence = Sequence([_reference(image) for image in images])
    study = Dataset()
    study.ReferencedSOPClassUID = DETACHED_STUDY_MANAGEMENT
    study.ReferencedSOPInstanceUID = ds.StudyInstanceUID
    study.RTReferencedSeriesSequence = Sequence([series])
    frame = Dataset()
    frame.FrameOfReferenceUID = ds.FrameOfReferenceUID
    frame.RTReferencedStudySequence = Sequence([study])
    return frame


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return item


def _add_structure(
    ds: Dataset, number: int, structure: Structure, images: tuple[Dataset, ...]
) -> None:
    roi = Dataset()
    roi.ROINumber = number
    roi.ReferencedFrameOfReferenceUID = ds.FrameOfReferenceUID
    roi.ROIName = structure.name
    roi.ROIGenerationAlgorithm = "MANUAL"
    ds.StructureSetROISequence.append(roi)

    contour = Dataset()
    contour.ROIDisplayColor = list(structure.colour)
    contour.ReferencedROINumber = number
    contour.ContourSequence = Sequence(
        [item for image in images if (item := _contour(structure, image)) is not None]
    )
    ds.ROIContourSequence.append(contour)

    observation = Dataset()
    observation.ObservationNumber = number
    observation.ReferencedROINumber = number
    observation.RTROIInterpretedType = structure.interpreted_type
    observation.ROIInterpreter = ""
    ds.RTROIObservationsSequence.append(observation)


def _contour(structure: Structure, image: Dataset) -> Dataset | None:
    z_mm = float(image.ImagePositionPatient[2])
    section = structure.section_mm(z_mm)
    if section is None:
        return None
    angles = np.arange(CONTOUR_POINTS) * (2 * math.pi / CONTOUR_POINTS)
    x = structure.centre_mm[0] + section[0] * np.cos(angles)
    y = structure.centre_mm[1] + section[1] * np.sin(angles)
    points = np.column_stack([x, y, np.full_like(x, z_mm)])
    item = Dataset()
    item.ContourImageSequence = Sequence([_reference(image)])
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints = CONTOUR_POINTS
    item.ContourData = [f"{value:.4f}" for value in points.ravel()]
    return item
