"""Slices in the patient: sorting, distances, both ways between pixels and LPS, and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from isocenter.core.dicom.geometry import SliceStack
from isocenter.core.errors import GeometryError

AXIAL = (1, 0, 0, 0, 1, 0)


def axial(levels: list[float], **more: float) -> SliceStack:
    return SliceStack.of_positions([(0, 0, z) for z in levels], AXIAL, (1, 1), 8, 8, **more)


def header(z: float, **changes: object) -> Dataset:
    ds = Dataset()
    ds.SOPInstanceUID = f"1.2.{round(z * 10) + 1000}"
    ds.ImagePositionPatient = [-10, -20, z]
    ds.ImageOrientationPatient = list(AXIAL)
    ds.PixelSpacing = [2, 0.5]
    ds.Rows, ds.Columns = 6, 10
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return ds


def test_slices_are_sorted_along_the_normal_and_remember_where_they_came_from() -> None:
    stack = SliceStack.of_datasets([header(z) for z in (9, 3, 6)])
    assert stack.distances_mm.tolist() == [3, 6, 9]
    assert stack.source_index == (1, 2, 0)
    assert stack.shape == (3, 6, 10)


def test_spacing_between_rows_comes_first() -> None:
    stack = SliceStack.of_datasets([header(0), header(3)])
    column, row, distance = stack.to_pixel([(-10 + 4 * 0.5, -20 + 3 * 2, 3)])[0]
    assert (column, row, distance) == (4, 3, 3)


def test_affine_takes_column_row_slice_to_the_patient() -> None:
    stack = SliceStack.of_datasets([header(0), header(3), header(6)])
    assert (stack.affine() @ [4, 3, 2, 1]).tolist() == [-8, -14, 6, 1]


@pytest.mark.parametrize(
    ("levels", "distance", "expected"),
    [
        ([0, 3, 6], 1.4, 0),
        ([0, 3, 6], 1.5, 0),  # a tie goes to the lower
        ([0, 3, 6], 1.6, 1),
        ([0, 3, 6], -1.5, 0),
        ([0, 3, 6], -1.6, None),
        ([0, 3, 6], 7.5, 2),
        ([0, 3, 6], 7.6, None),
        ([0, 3, 13], 8, 1),  # the gap that the plane lies in counts
        ([0, 3, 13], 17.9, 2),
        ([0.1, 0.3], 0.2, 0),  # a tie that binary fractions cannot say
    ],
)
def test_a_plane_goes_to_the_nearest_slice_within_half_the_local_distance(
    levels: list[float], distance: float, expected: int | None
) -> None:
    assert axial(levels).nearest_slice(distance) == expected


def test_a_single_slice_reaches_half_its_thickness() -> None:
    stack = axial([10], slice_thickness_mm=4)
    assert stack.nearest_slice(12) == 0
    assert stack.nearest_slice(12.1) is None
    assert axial([10]).nearest_slice(10.5) is None


def test_the_extent_of_a_slice_is_half_of_each_gap() -> None:
    assert axial([0, 2, 6]).thickness_mm.tolist() == [2, 3, 4]
    assert not axial([0, 2, 6]).is_uniform


@given(
    yaw=st.floats(-math.pi, math.pi),
    pitch=st.floats(-1.5, 1.5),
    spacing=st.tuples(st.floats(0.1, 5), st.floats(0.1, 5)),
    pixel=st.tuples(st.floats(-600, 600), st.floats(-600, 600)),
)
def test_pixel_and_patient_are_inverse_in_any_orientation(
    yaw: float, pitch: float, spacing: tuple[float, float], pixel: tuple[float, float]
) -> None:
    row = np.array([math.cos(yaw), math.sin(yaw), 0])
    column = np.array(
        [-math.sin(yaw) * math.cos(pitch), math.cos(yaw) * math.cos(pitch), math.sin(pitch)]
    )
    normal = np.cross(row, column)
    stack = SliceStack.of_positions(
        [(1, 2, 3), 4 * normal + (1, 2, 3)], (*row, *column), spacing, 8, 8
    )
    there = stack.to_patient([pixel], 1)
    back = stack.to_pixel(there, 1)[0]
    np.testing.assert_allclose(back[:2], pixel, atol=1e-8)
    np.testing.assert_allclose(stack.affine() @ [*pixel, 1, 1], [*there[0], 1], atol=1e-8)
    assert stack.nearest_slice(float(back[2])) == 1


def test_slices_of_a_tilted_gantry_have_their_own_origin() -> None:
    stack = SliceStack.of_positions([(0, 0, 0), (0, 1, 3)], AXIAL, (1, 1), 8, 8)
    assert stack.is_sheared
    assert stack.to_pixel([(2, 1, 3)], slice_index=1)[0].tolist() == [2, 0, 3]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]}, "orientations are mixed"),
        ({"Rows": 7}, "sizes are mixed"),
        ({"PixelSpacing": [1, 1]}, "spacings are mixed"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient"),
        ({"ImagePositionPatient": [0, 0]}, "2 values instead of 3"),
        ({"PixelSpacing": None}, "PixelSpacing"),
        ({"Rows": None}, "no image"),
    ],
)
def test_what_makes_no_volume_is_refused_by_name(changes: dict[str, object], said: str) -> None:
    with pytest.raises(GeometryError, match=said):
        SliceStack.of_datasets([header(0), header(3, **changes)])


def test_two_images_in_one_place_are_named() -> None:
    with pytest.raises(GeometryError, match=r"1\.2\.1000 and 1\.2\.7 are in one place"):
        SliceStack.of_datasets([header(0), header(3), header(0, SOPInstanceUID="1.2.7")])


@pytest.mark.parametrize("cosines", [(1, 0, 0, 1, 0, 0), (2, 0, 0, 0, 1, 0), (0,) * 6, (1, 0, 0)])
def test_cosines_must_be_perpendicular_unit_vectors(cosines: tuple[float, ...]) -> None:
    with pytest.raises(GeometryError):
        SliceStack.of_positions([(0, 0, 0)], cosines, (1, 1), 8, 8)


def test_no_slices_make_no_stack() -> None:
    with pytest.raises(GeometryError):
        SliceStack.of_datasets([])
