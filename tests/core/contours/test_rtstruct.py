"""Reading structure sets: every value as pydicom reads it, and what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from isocenter.core.contours.rtstruct import parse_points, read_structure_set
from isocenter.core.errors import ContourError, NotDicomError

REAL = [
    "rt_STS_001/CT/rtstruct/RS.dcm",
    "rt_plan_dose/rtss.dcm",
    "rt_plan_dose/pydicom_small/rtstruct.dcm",
    "rt_phantom_rtutils/rt.dcm",
    "ct_chest_ACRIN/derived/rtstruct_body_lungs.dcm",
]


@pytest.mark.parametrize("name", REAL)
def test_raw_contour_data_has_the_values_that_pydicom_reads(shared_data: Path, name: str) -> None:
    structure_set = read_structure_set(shared_data / name)
    ds = pydicom.dcmread(shared_data / name, force=True)
    drawn = {item.ReferencedROINumber: item for item in ds.get("ROIContourSequence", [])}
    assert [roi.name for roi in structure_set.rois] == [
        item.ROIName for item in ds.StructureSetROISequence
    ]
    for roi in structure_set.rois:
        theirs = drawn[roi.number].get("ContourSequence", []) if roi.number in drawn else []
        assert len(roi.contours) + len(roi.problems) == len(theirs or [])
        for contour, item in zip(roi.contours, theirs or [], strict=True):
            assert contour.geometric_type == item.ContourGeometricType
            assert np.array_equal(contour.points.ravel(), [float(v) for v in item.ContourData])


def test_what_the_sequences_say_of_an_roi_comes_together(
    make_study: Callable[..., Any], make_square: Callable[..., Any]
) -> None:
    study = make_study()
    path = study.structure_set({"Tumör": [(3, make_square(5, 6, 10))]}, refer="images")
    (roi,) = read_structure_set(path).rois
    assert (roi.number, roi.name, roi.interpreted_type) == (1, "Tumör", "PTV")
    assert (roi.colour, roi.generation_algorithm) == ((255, 0, 1), "MANUAL")
    assert roi.contours[0].image_uids == (f"{study.series_uid}.1",)
    assert roi.contours[0].points[0].tolist() == [-5, -14, 3]


def test_a_contour_that_makes_no_sense_is_named_and_the_rest_is_read(
    make_study: Callable[..., Any], make_square: Callable[..., Any]
) -> None:
    def damage(ds: Any) -> None:
        ds.ROIContourSequence[0].ContourSequence[0].ContourData = ["1", "2"]

    study = make_study()
    rois = {"A": [(3, make_square(5, 6, 10)), (6, make_square(5, 6, 10))]}
    (roi,) = read_structure_set(study.structure_set(rois, change=damage)).rois
    assert len(roi.contours) == 1
    assert roi.problems == ("contour 1 cannot be read (2 numbers, which is no multiple of three)",)


def test_an_roi_without_name_contours_colour_or_observation_is_read(
    make_study: Callable[..., Any], make_square: Callable[..., Any]
) -> None:
    def strip(ds: Any) -> None:
        ds.StructureSetROISequence[0].ROIName = ""
        ds.ROIContourSequence = []
        del ds.RTROIObservationsSequence

    study = make_study()
    path = study.structure_set({"A": [(3, make_square(5, 6, 10))]}, change=strip)
    (roi,) = read_structure_set(path).rois
    assert (roi.name, roi.contours, roi.colour) == ("ROI 1", (), None)


@pytest.mark.parametrize("value", [b"1\\2\\x", b"nan\\1\\2", b"1\\2", b"1\\\\2\\3", b"inf\\1\\2"])
def test_text_that_is_no_list_of_points_is_refused(value: bytes) -> None:
    with pytest.raises((ValueError, DeprecationWarning)):
        parse_points(value)


@pytest.mark.parametrize("value", [b"1\\2\\3", b"1.0\\ 2e0\\3 ", b"1\\2\\3\0"])
def test_padding_and_forms_of_numbers_are_read(value: bytes) -> None:
    assert parse_points(value).tolist() == [[1, 2, 3]]


def test_an_image_is_no_structure_set(make_study: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(ContourError, match="no RT Structure Set"):
        read_structure_set(make_study().paths[0])
    (tmp_path / "x").write_bytes(b"hello")
    with pytest.raises(NotDicomError):
        read_structure_set(tmp_path / "x")
