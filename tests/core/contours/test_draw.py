"""Planes on slices, what is reported, interpolation, and the mask as a value."""

from __future__ import annotations

import numpy as np
import pytest

from isocenter.core.contours.draw import draw_roi
from isocenter.core.contours.masks import EMPTY_BOX, RoiMask
from isocenter.core.contours.structure_set import Contour, Roi
from isocenter.core.dicom.geometry import SliceStack

AXIAL = (1, 0, 0, 0, 1, 0)


def stack(*levels: float, thickness: float = 0) -> SliceStack:
    return SliceStack.of_positions(
        [(0, 0, z) for z in levels], AXIAL, (1, 1), 20, 30, slice_thickness_mm=thickness
    )


def box(x: float, y: float, side: float, z: float, kind: str = "CLOSED_PLANAR") -> Contour:
    corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
    return Contour(np.array([(a, b, z) for a, b in corners], dtype=float), kind)


def drawn(on: SliceStack, *contours: Contour, **options: object) -> RoiMask:
    return draw_roi(Roi(1, "R", contours), on, **options)  # type: ignore[arg-type]


def test_the_area_is_that_of_the_polygons_and_a_hole_counts_against_it() -> None:
    ring = [box(2, 2, 10, 0), box(4, 4, 5, 0)]
    mask = drawn(stack(0, 3, 6), *ring, box(2, 2, 4, 3))
    assert mask.area_cm2 == pytest.approx((100 - 25 + 16) / 100)


def test_of_two_planes_on_one_slice_the_nearer_wins_and_the_other_is_reported() -> None:
    mask = drawn(stack(0, 3, 6), box(2, 2, 4, 2.0), box(9, 9, 5, 3.2))
    assert mask.voxels == 25
    assert (mask.planes, mask.contours, mask.skipped_contours) == (1, 1, 1)
    assert "at 2.00 mm" in mask.warnings[0]
    assert "nearer to the same slice" in mask.warnings[0]


def test_of_two_planes_equally_near_the_lower_wins() -> None:
    mask = drawn(stack(0, 3, 6), box(9, 9, 5, 3.5), box(2, 2, 4, 2.5))
    assert mask.voxels == 16


def test_contours_of_one_plane_may_differ_by_a_hair() -> None:
    assert drawn(stack(0, 3), box(2, 2, 4, 0.0), box(9, 9, 5, 0.02)).voxels == 41


def test_a_tilted_contour_is_reported_and_not_guessed() -> None:
    points = box(2, 2, 4, 0).points.copy()
    points[0, 2] = 0.5
    mask = drawn(stack(0, 3), Contour(points, "CLOSED_PLANAR"), box(9, 9, 5, 0))
    assert mask.voxels == 25
    assert mask.warnings == ("1 contour(s) skipped: not parallel to the slices",)


def test_open_contours_beside_closed_ones_are_reported() -> None:
    mask = drawn(stack(0, 3), box(2, 2, 4, 0, "OPEN_PLANAR"), box(9, 9, 5, 0))
    assert mask.voxels == 25
    assert "OPEN_PLANAR" in mask.warnings[0]


def test_contours_outside_and_over_the_edge_are_reported() -> None:
    mask = drawn(stack(0, 3), box(-9, -9, 4, 0), box(27, 2, 9, 0))
    assert mask.voxels == 27
    assert mask.warnings == (
        "1 contour(s) lie outside the image",
        "1 contour(s) reach over the image's edge and are cut there",
    )


def test_crossing_contours_outside_the_image_are_reported() -> None:
    mask = drawn(stack(0, 3), box(-30, 5, 10, 0), box(-25, 7, 10, 0))
    assert mask.voxels == 0
    assert mask.warnings[0] == "2 contour(s) lie outside the image"


def test_copies_count_once_and_are_reported() -> None:
    mask = drawn(stack(0, 3), box(2, 2, 4, 0), box(2, 2, 4, 0))
    assert mask.voxels == 16
    assert mask.polygon_volume_ml == pytest.approx(16 * 3 / 1000)
    assert "copies" in mask.warnings[0]


def test_volumes_count_the_local_slice_distance() -> None:
    mask = drawn(stack(0, 2, 6), *(box(2, 2, 4, z) for z in (0, 2, 6)))
    assert mask.volume_ml == pytest.approx(16 * (2 + 3 + 4) / 1000)
    assert mask.polygon_volume_ml == pytest.approx(mask.volume_ml)
    assert (mask.min_plane_mm, mask.max_plane_mm) == (0, 6)


def test_a_hole_is_taken_off_the_polygon_volume() -> None:
    mask = drawn(stack(0, 3), box(2, 2, 10, 0), box(4, 4, 5, 0))
    assert mask.polygon_volume_ml == pytest.approx((100 - 25) * 3 / 1000)


def test_a_single_slice_without_thickness_says_that_it_has_no_volume() -> None:
    mask = drawn(stack(0), box(2, 2, 4, 0))
    assert (mask.voxels, mask.volume_ml) == (16, 0)
    assert "SliceThickness" in mask.warnings[0]


def test_nothing_drawn_is_an_empty_mask_with_a_reason() -> None:
    mask = drawn(stack(0, 3), box(2.2, 2.2, 0.5, 0))
    assert mask.is_empty
    assert mask.box == EMPTY_BOX
    assert mask.slices == ()
    assert mask.warnings == ("no pixel centre lies inside its contours",)
    assert not mask.full().any()


def test_interpolation_fills_between_planes_and_is_off_by_default() -> None:
    contours = (box(2, 2, 8, 0), box(2, 2, 12, 6))
    assert drawn(stack(0, 3, 6), *contours).slices == (0, 2)
    mask = drawn(stack(0, 3, 6), *contours, interpolate=True)
    assert mask.slices == (0, 1, 2)
    assert mask.slice(0).sum() < mask.slice(1).sum() < mask.slice(2).sum()
    assert "1 slice(s) between contour planes filled by shape" in mask.warnings


def test_interpolation_leaves_the_space_between_two_parts_open() -> None:
    levels = [3.0 * i for i in range(12)]
    contours = [box(2, 2, 8, z) for z in (0, 6, 12, 33)]
    mask = drawn(stack(*levels), *contours, interpolate=True)
    assert mask.slices == (0, 1, 2, 3, 4, 11)
    assert "1 gap(s) between contour planes are too wide to be filled" in mask.warnings


def test_interpolation_does_not_join_what_has_nothing_in_common() -> None:
    mask = drawn(stack(0, 3, 6), box(0, 0, 4, 0), box(10, 10, 4, 6), interpolate=True)
    assert mask.slices == (0, 2)


def test_a_mask_gives_its_slices_and_paints_them() -> None:
    mask = drawn(stack(0, 3, 6), box(2, 2, 4, 3))
    assert mask.slices == (1,)
    assert mask.slice(0).sum() == 0
    assert np.array_equal(mask.full()[1], mask.slice(1))
    plane = np.zeros((20, 30), np.uint8)
    mask.paint(plane, 1, 7)
    assert plane[2:6, 2:6].tolist() == [[7] * 4] * 4


def test_an_array_that_does_not_fit_its_box_cannot_be_a_mask() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        RoiMask(Roi(1, "R"), (1, 2, 2), EMPTY_BOX, np.ones((1, 1, 1), bool), 0, 0, 0, 0)


def test_slices_of_a_tilted_gantry_are_drawn_where_they_are() -> None:
    tilted = SliceStack.of_positions([(0, 0, 0), (0, 5, 3)], AXIAL, (1, 1), 20, 30)
    mask = drawn(tilted, box(2, 7, 4, 0), box(2, 7, 4, 3))
    assert mask.slice(0)[7:11, 2:6].all()
    assert mask.slice(1)[2:6, 2:6].all()
