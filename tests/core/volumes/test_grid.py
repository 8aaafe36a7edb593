"""The regular grid that a stack of slices makes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.errors import GeometryError
from isocenter.core.volumes.grid import Grid, regular_grid

ROW = np.array([1.0, 0.0, 0.0])
COLUMN = np.array([0.0, 1.0, 0.0])


def positions(heights, x=-100.0, y=-80.0):
    return np.array([[x, y, z] for z in heights], dtype=float)


def test_axial_stack():
    made = regular_grid(positions([10, 13, 16]), ROW, COLUMN, (2.0, 0.5), (4, 6))
    assert made.is_exact
    assert made.source.tolist() == [0, 1, 2]
    assert (made.grid.slices, made.grid.rows, made.grid.columns) == (3, 4, 6)
    assert made.grid.affine_lps @ [1, 0, 0, 1] == pytest.approx([-99.5, -80, 10, 1])
    assert made.grid.affine_lps @ [0, 1, 2, 1] == pytest.approx([-100, -78, 16, 1])
    assert made.grid.affine_ras @ [0, 0, 0, 1] == pytest.approx([100, 80, 10, 1])
    assert made.grid.spacing_mm == pytest.approx((0.5, 2.0, 3.0))


def test_one_slice_gets_the_given_thickness():
    made = regular_grid(positions([5]), ROW, COLUMN, (1, 1), (4, 4), single_slice_thickness_mm=2.5)
    assert made.grid.spacing_mm[2] == pytest.approx(2.5)


def test_rounded_positions_are_regular():
    made = regular_grid(positions([0, 3.27, 6.539, 9.811]), ROW, COLUMN, (1, 1), (2, 2))
    assert made.is_exact


def test_tilted_gantry_makes_a_sheared_grid():
    tilted = positions([0, 5, 10])
    tilted[:, 1] += [0, 1, 2]
    made = regular_grid(tilted, ROW, COLUMN, (1, 1), (2, 2))
    assert made.is_exact
    assert not made.grid.is_orthogonal
    assert made.grid.affine_lps @ [0, 0, 2, 1] == pytest.approx([-100, -78, 10, 1])


def test_missing_slices_take_the_nearest_and_ties_the_lower():
    made = regular_grid(positions([0, 2, 6, 8]), ROW, COLUMN, (1, 1), (2, 2))
    assert not made.is_exact
    assert made.grid.slices == 5
    assert made.source.tolist() == [0, 1, 1, 2, 3]


def test_descending_stack_keeps_its_direction():
    made = regular_grid(positions([8, 6, 2, 0]), ROW, COLUMN, (1, 1), (2, 2))
    assert made.grid.affine_lps[2, 2] == pytest.approx(-2)
    assert made.source.tolist() == [0, 1, 1, 2, 3]


@pytest.mark.parametrize("heights", [[0, 2, 1], [0, 0, 2]])
def test_slices_out_of_order_are_refused(heights):
    with pytest.raises(GeometryError, match="order"):
        regular_grid(positions(heights), ROW, COLUMN, (1, 1), (2, 2))


def test_slices_that_wander_sideways_are_refused():
    shifted = positions([0, 2, 4])
    shifted[1, 0] += 20
    with pytest.raises(GeometryError, match="sideways"):
        regular_grid(shifted, ROW, COLUMN, (1, 1), (2, 2))


def test_a_grid_without_voxels_is_refused():
    with pytest.raises(GeometryError, match="empty"):
        Grid(0, 4, 4, np.eye(4))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.5, 6), min_size=1, max_size=12))
def test_each_grid_slice_shows_a_nearest_slice(gaps):
    heights = np.concatenate([[0.0], np.cumsum(gaps)])
    made = regular_grid(positions(heights), ROW, COLUMN, (1, 1), (2, 2))
    step = made.grid.spacing_mm[2]
    for index, source in enumerate(made.source):
        distances = np.abs(heights - index * step)
        assert distances[source] <= distances.min() + (0.06 if made.is_exact else 1e-3)
