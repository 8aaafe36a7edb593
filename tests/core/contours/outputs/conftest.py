"""Scenes that outputs are made from: small series on disk, with masks that are known."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from isocenter.core.contours.image_series import ImageSeries, Pair
from isocenter.core.contours.masks import RoiMask, cropped
from isocenter.core.contours.options import ContourOptions
from isocenter.core.contours.outputs.writer import Scene
from isocenter.core.contours.structure_set import Contour, Roi, StructureSet
from isocenter.core.dicom.geometry import SliceStack

MADE_AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SOP_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def image_dataset(
    index, position, *, orientation=AXIAL, spacing=(1.0, 1.0), pixels, modality="CT", **attributes
):
    """One valid image of a series."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = SOP_CLASSES[modality]
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{index + 1}"
    ds.PatientName, ds.PatientID = "Test^Jörg", "P1"
    ds.PatientBirthDate, ds.PatientSex = "19700101", "M"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.1", "1.2.3.2"
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = "1.2.3.3", ""
    ds.StudyDate, ds.StudyTime = "20260101", "120000"
    ds.ReferringPhysicianName, ds.StudyID, ds.AccessionNumber = "", "S1", "A1"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = modality, 1, index + 1
    ds.Manufacturer = "Maker"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.ImagePositionPatient = [f"{value:.6g}" for value in position]
    ds.ImageOrientationPatient = [f"{value:.6g}" for value in orientation]
    ds.PixelSpacing, ds.SliceThickness = list(spacing), 2
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope = "-1024", "1"
    ds.KVP = "120"
    ds.AcquisitionNumber = 1
    ds.PixelData = pixels.astype("<i2").tobytes()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def outline(stack, index, mask):
    """A closed contour around the box of a mask's slice."""
    rows, columns = np.nonzero(mask)
    corners = [
        (columns.min() - 0.5, rows.min() - 0.5),
        (columns.max() + 0.5, rows.min() - 0.5),
        (columns.max() + 0.5, rows.max() + 0.5),
        (columns.min() - 0.5, rows.max() + 0.5),
    ]
    return Contour(stack.to_patient(corners, index), "CLOSED_PLANAR", number=index)


def roi_mask(stack, number, name, array, colour=(255, 0, 0), kind="ORGAN", **roi):
    """A drawn ROI whose voxels are `array` (slices, rows, columns)."""
    whole = tuple(slice(0, n) for n in array.shape)
    box, inner = cropped(whole, array)
    planes = [i for i in range(len(array)) if array[i].any()]
    drawn = Roi(
        number=number,
        name=name,
        colour=colour,
        interpreted_type=kind,
        contours=tuple(outline(stack, i, array[i]) for i in planes),
        **roi,
    )
    volume = float((array.sum(axis=(1, 2)) * stack.voxel_volumes_mm3).sum()) / 1000
    return RoiMask(drawn, array.shape, box, inner, len(planes), len(planes), volume, volume)


@pytest.fixture
def make_scene(tmp_path):
    """Builds a scene: ``make_scene(shape, {name: bool array}, …)``."""

    def build(
        shape=(4, 20, 30),
        masks=None,
        *,
        heights=None,
        spacing=(1.0, 1.0),
        orientation=AXIAL,
        options=None,
        modality="CT",
        label="PLAN",
        determinant="00",
        **attributes,
    ):
        heights = np.arange(shape[0]) * 2.0 if heights is None else np.asarray(heights, float)
        normal = np.cross(orientation[:3], orientation[3:])
        y, x = np.indices(shape[1:])
        datasets = [
            image_dataset(
                i,
                np.array([-30.0, -20.0, 50.0]) + normal * height,
                orientation=orientation,
                spacing=spacing,
                pixels=(x * 40 + y * 20 + i * 10) % 2000,
                modality=modality,
                **attributes,
            )
            for i, height in enumerate(heights)
        ]
        folder = tmp_path / "series"
        folder.mkdir(exist_ok=True)
        for i, ds in enumerate(datasets):
            ds.save_as(folder / f"{i}.dcm", enforce_file_format=True)
        return scene_of(
            sorted(folder.glob("*.dcm"), key=lambda p: int(p.stem)),
            masks or {},
            options=options,
            label=label,
            determinant=determinant,
        )

    return build


def scene_of(paths, masks, *, options=None, label="PLAN", determinant="00"):
    """A scene of image files; `masks` maps names to arrays or (array, keywords of roi_mask)."""
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    stack = SliceStack.of_datasets(headers)
    headers = tuple(headers[i] for i in stack.source_index)
    first = headers[0]
    series = ImageSeries(
        str(first.SeriesInstanceUID),
        str(first.StudyInstanceUID),
        str(first.Modality),
        str(first.FrameOfReferenceUID),
        tuple(Path(paths[i]) for i in stack.source_index),
        headers,
        stack,
    )
    drawn = []
    for number, (name, value) in enumerate(masks.items(), start=1):
        array, keywords = value if isinstance(value, tuple) else (value, {})
        drawn.append(roi_mask(stack, number, name, array, **keywords))
    structure_set = StructureSet(
        path=Path("rs.dcm"),
        sop_uid="1.2.3.9.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.481.3",
        series_uid="1.2.3.9",
        study_uid=series.study_uid,
        label=label,
        frame_of_reference_uids=(series.frame_of_reference_uid,),
        referenced_series=(series.series_uid,),
        rois=tuple(mask.roi for mask in drawn),
    )
    return Scene(
        pair=Pair(series, structure_set, "series"),
        masks=tuple(drawn),
        options=options or ContourOptions(),
        made_at=MADE_AT,
        determinant=determinant,
        stem="pair",
    )


@pytest.fixture
def scene_from():
    """Builds a scene of image files that exist: ``scene_from(paths, {name: array})``."""
    return scene_of
