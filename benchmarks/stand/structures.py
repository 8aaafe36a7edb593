"""A CT series with a structure set of ten shapes whose areas have formulas, and their masks.

The masks are made here by a slow even-odd rule at pixel centres that shares nothing with the
product: a centre on a left or upper edge is inside, on a right or lower edge outside.
Coordinates are LPS millimetres; slices are 1 mm apart, pixels 0.9765625 mm, all exact in binary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from .studies import CT_IMAGE_STORAGE

RT_STRUCTURE_SET_STORAGE = "1.2.840.10008.5.1.4.1.1.481.3"
CONTOUR_DATA = 0x30060050
SPACING_MM = 0.9765625
ORIGIN_MM = -250.0

Points = NDArray[np.float64]  # (n, 2): x, y in millimetres
Volume = NDArray[np.bool_]  # [slice, row, column]


@dataclass(frozen=True)
class Shape:
    """A structure: polygons on a run of slices.

    Attributes:
        area_mm2: area of the shape that the polygons stand for (of a slice, or the mean of them).
        first, last: slices as parts of the series, 0..1.
    """

    name: str
    area_mm2: float
    polygons: tuple[Points, ...]
    first: float = 0.2
    last: float = 0.8
    sphere_radius_mm: float = 0.0
    centre_mm: tuple[float, float] = (0.0, 0.0)

    def slices(self, count: int) -> range:
        if self.sphere_radius_mm:
            middle = count // 2
            half = min(int(self.sphere_radius_mm), middle - 1)
            return range(middle - half + 1, middle + half)
        return range(int(count * self.first), int(count * self.last))

    def contours(self, number: int, count: int) -> tuple[Points, ...]:
        """Polygons on one slice; coordinates as they are written (five decimals)."""
        if not self.sphere_radius_mm:
            return tuple(np.round(points, 5) for points in self.polygons)
        height = number - count // 2
        radius = math.sqrt(self.sphere_radius_mm**2 - height**2)
        return (np.round(circle(self.centre_mm, radius, 360), 5),)

    def volume_ml(self, count: int) -> float:
        """By formula, slices 1 mm thick."""
        if self.sphere_radius_mm:
            heights = [number - count // 2 for number in self.slices(count)]
            return sum(math.pi * (self.sphere_radius_mm**2 - h * h) for h in heights) / 1000
        return self.area_mm2 * len(self.slices(count)) / 1000


def circle(centre: tuple[float, float], radius: float, points: int, turn: int = 1) -> Points:
    """A polygon of the same area as the circle, so that its area has a formula."""
    step = 2 * math.pi / points
    outer = radius * math.sqrt(step / math.sin(step))
    angles = turn * np.arange(points) * step
    return np.column_stack([centre[0] + outer * np.cos(angles), centre[1] + outer * np.sin(angles)])


def _ring_as_keyhole(centre: tuple[float, float], outer: float, inner: float) -> Points:
    one, two = circle(centre, outer, 360), circle(centre, inner, 180, -1)
    return np.vstack([one, one[:1], two, two[:1]])


def _star(centre: tuple[float, float], outer: float, inner: float) -> Points:
    radii = np.where(np.arange(10) % 2, inner, outer)
    angles = np.arange(10) * math.pi / 5 - math.pi / 2
    return np.column_stack([centre[0] + radii * np.cos(angles), centre[1] + radii * np.sin(angles)])


def _c_shape(centre: tuple[float, float], outer: float, inner: float, points: int = 270) -> Points:
    """Three quarters of a ring."""
    angles = np.linspace(math.pi / 4, 7 * math.pi / 4, points)
    out = np.column_stack([np.cos(angles), np.sin(angles)])
    return np.asarray(centre) + np.vstack([out * outer, out[::-1] * inner])


def shoelace(points: Points) -> float:
    x, y = points.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def shapes() -> tuple[Shape, ...]:
    """Ten structures, from an eye lens to the outer contour."""
    ellipse = circle((0, 0), 1, 1000) * (200, 150)
    star, c_shape = _star((-120, 60), 40, 16), _c_shape((120, -60), 40, 24)
    corner = ORIGIN_MM + SPACING_MM * 120  # a pixel centre
    side = 20 * SPACING_MM
    square = corner + np.array([(0, 0), (side, 0), (side, side), (0, side)])
    islands = tuple(circle((x, 90), 12, 180) for x in (-20, 20))
    hole = (circle((60, 60), 45, 360), circle((60, 60), 25, 360, -1))
    keyhole = _ring_as_keyhole((-60, -60), 45, 25)
    ring_mm2 = math.pi * (45**2 - 25**2)
    return (
        Shape("body", math.pi * 200 * 150, (ellipse,), 0.0, 1.0),
        Shape("circle_40mm", math.pi * 1600, (circle((-120, -60), 40, 360),)),
        Shape("circle_5mm", math.pi * 25, (circle((0, -100), 5, 72),), 0.3, 0.7),
        Shape("hole", ring_mm2, hole),
        Shape("keyhole", ring_mm2, (keyhole,)),
        Shape("star", shoelace(star), (star,)),
        Shape("c_shape", shoelace(c_shape), (c_shape,)),
        Shape("two_islands", 2 * math.pi * 144, islands),
        Shape("sphere_45mm", 0.0, (), sphere_radius_mm=45, centre_mm=(20, -20)),
        Shape("square_on_grid", side * side, (square,)),
    )


def oracle(shape: Shape, slices: int, size: int) -> Volume:
    """The structure's mask by the written rule, slowly."""
    volume = np.zeros((slices, size, size), bool)
    before: NDArray[np.bool_] | None = None
    for number in shape.slices(slices):
        if before is None or shape.sphere_radius_mm:
            before = np.zeros((size, size), bool)
            for points in shape.contours(number, slices):
                before ^= _even_odd((points - ORIGIN_MM) / SPACING_MM, size)
        volume[number] = before
    return volume


def _even_odd(points: Points, size: int) -> NDArray[np.bool_]:
    """Pixel centres with an odd number of edges at or left of them."""
    columns = np.arange(size)
    mask = np.zeros((size, size), bool)
    ends = np.roll(points, -1, axis=0)
    first, last = math.floor(points[:, 1].min()), math.ceil(points[:, 1].max())
    for row in range(max(first, 0), min(last + 1, size)):
        crossing = (points[:, 1] <= row) != (ends[:, 1] <= row)
        (x0, y0), (x1, y1) = points[crossing].T, ends[crossing].T
        x = x0 + (row - y0) * (x1 - x0) / (y1 - y0)
        mask[row] = (np.round(x, 9)[:, None] <= columns).sum(axis=0) % 2
    return mask


def write_case(folder: Path, *, slices: int, size: int) -> tuple[Path, Path]:
    """Write series and structure set; returns (folder of the CT, path of the structure set)."""
    images = folder / "ct"
    images.mkdir(parents=True)
    uids = {name: generate_uid() for name in ("study", "series", "frame", "structures")}
    noise = np.random.default_rng(5).integers(-1000, 1000, (size, size), dtype=np.int16)
    references = []
    for number in range(slices):
        ds = _image(uids, number, size, noise)
        ds.save_as(images / f"CT-{number:04d}.dcm", enforce_file_format=True)
        references.append((ds.SOPClassUID, ds.SOPInstanceUID))
    structure_set = _structure_set(uids, references)
    path = folder / "structures.dcm"
    structure_set.save_as(path, enforce_file_format=True)
    return images, path


def _base(uids: dict[str, str], sop_class: str) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid()
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = uids["study"], uids["frame"]
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.StudyDate, ds.StudyTime, ds.StudyID = "20260102", "101112", "1"
    ds.AccessionNumber = ds.ReferringPhysicianName = ds.Manufacturer = ""
    ds.PatientName, ds.PatientID = "Bench^Contours", "BENCH"
    ds.PatientBirthDate, ds.PatientSex = "19700101", "O"
    return ds


def _image(uids: dict[str, str], number: int, size: int, noise: NDArray[np.int16]) -> Dataset:
    ds = _base(uids, CT_IMAGE_STORAGE)
    ds.SeriesInstanceUID, ds.Modality = uids["series"], "CT"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SeriesNumber, ds.InstanceNumber = 1, number + 1
    ds.PatientPosition, ds.PositionReferenceIndicator = "HFS", ""
    ds.ImagePositionPatient = [ORIGIN_MM, ORIGIN_MM, float(number)]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [SPACING_MM, SPACING_MM], "1"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = size
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope = "0", "1"
    ds.PixelData = np.roll(noise, number, axis=0).tobytes()
    return ds


def _structure_set(uids: dict[str, str], references: list[tuple[str, str]]) -> Dataset:
    ds = _base(uids, RT_STRUCTURE_SET_STORAGE)
    ds.SeriesInstanceUID, ds.Modality = uids["structures"], "RTSTRUCT"
    ds.SeriesNumber, ds.InstanceNumber = 2, 1
    ds.StructureSetLabel, ds.StructureSetDate, ds.StructureSetTime = "BENCH", "20260102", "101112"
    ds.ApprovalStatus, ds.OperatorsName = "UNAPPROVED", ""
    items = [_reference(*one) for one in references]
    series = Dataset()
    series.SeriesInstanceUID, series.ContourImageSequence = uids["series"], Sequence(items)
    study = Dataset()
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    study.ReferencedSOPInstanceUID = uids["study"]
    study.RTReferencedSeriesSequence = Sequence([series])
    frame = Dataset()
    frame.FrameOfReferenceUID = uids["frame"]
    frame.RTReferencedStudySequence = Sequence([study])
    ds.ReferencedFrameOfReferenceSequence = Sequence([frame])
    ds.StructureSetROISequence = Sequence()
    ds.ROIContourSequence = Sequence()
    ds.RTROIObservationsSequence = Sequence()
    for number, shape in enumerate(shapes(), start=1):
        _add(ds, number, shape, references)
    return ds


def _add(ds: Dataset, number: int, shape: Shape, references: list[tuple[str, str]]) -> None:
    roi, contour, observation = Dataset(), Dataset(), Dataset()
    roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = number, shape.name, "MANUAL"
    roi.ReferencedFrameOfReferenceUID = ds.FrameOfReferenceUID
    contour.ReferencedROINumber, contour.ROIDisplayColor = number, [255, 20 * number, 0]
    contour.ContourSequence = Sequence(list(_contours(shape, references)))
    observation.ObservationNumber = observation.ReferencedROINumber = number
    observation.RTROIInterpretedType, observation.ROIInterpreter = "ORGAN", ""
    ds.StructureSetROISequence.append(roi)
    ds.ROIContourSequence.append(contour)
    ds.RTROIObservationsSequence.append(observation)


def _contours(shape: Shape, references: list[tuple[str, str]]) -> Iterator[Dataset]:
    count = len(references)
    for number in shape.slices(count):
        for points in shape.contours(number, count):
            item = Dataset()
            item.ContourImageSequence = Sequence([_reference(*references[number])])
            item.ContourGeometricType = "CLOSED_PLANAR"
            item.NumberOfContourPoints = len(points)
            text = "\\".join(f"{x}\\{y}\\{number}" for x, y in _texts(points)).encode()
            text += b" " * (len(text) % 2)
            # As pydicom keeps what it reads; to let it convert 700 000 decimal strings takes long.
            item[CONTOUR_DATA] = RawDataElement(
                Tag(CONTOUR_DATA), "DS", len(text), text, 0, False, True
            )
            yield item


def _texts(points: Points) -> list[tuple[str, str]]:
    return [(f"{x:.5f}", f"{y:.5f}") for x, y in points]


def _reference(sop_class: str, sop_instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
    return item
