"""All polygons of a stack at once have the pixels that each has alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from isocenter.core.contours import parity
from isocenter.core.contours.draw import draw_roi
from isocenter.core.contours.nesting import clear_nest, combine
from isocenter.core.contours.parity import fill_stack
from isocenter.core.contours.rasterise import Window, rasterise, snapped
from isocenter.core.contours.structure_set import Contour, Roi
from isocenter.core.dicom.geometry import SliceStack

ROWS, COLUMNS = 23, 37

polygon = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 30), st.just(2)),
    elements=st.one_of(
        st.floats(-10, 45),
        st.integers(-20, 90).map(lambda half: half / 2),
        st.floats(-1e300, 1e300),
    ),
)
stack = st.lists(st.tuples(st.integers(0, 3), polygon), min_size=1, max_size=8)


def stacked(drawn: list[tuple[int, np.ndarray]]) -> np.ndarray:
    points = snapped(np.concatenate([points for _, points in drawn]))
    lengths = [len(points) for _, points in drawn]
    starts = np.cumsum([0, *lengths[:-1]])
    planes = np.array([plane for plane, _ in drawn])
    return fill_stack(points, starts, planes, (0, 0), (4, ROWS, COLUMNS))


@settings(max_examples=300, deadline=None)
@given(stack)
def test_a_stack_is_the_xor_of_its_polygons(drawn: list[tuple[int, np.ndarray]]) -> None:
    wanted = np.zeros((4, ROWS, COLUMNS), bool)
    for plane, points in drawn:
        wanted[plane] ^= rasterise(points, ROWS, COLUMNS)
    assert np.array_equal(stacked(drawn), wanted)


@settings(max_examples=100, deadline=None)
@given(drawn=stack, row=st.integers(0, 9), column=st.integers(0, 9))
def test_a_window_shows_what_the_whole_shows_there(
    drawn: list[tuple[int, np.ndarray]], row: int, column: int
) -> None:
    points = snapped(np.concatenate([points for _, points in drawn]))
    starts = np.cumsum([0, *[len(points) for _, points in drawn[:-1]]])
    planes = np.array([plane for plane, _ in drawn])
    part = fill_stack(points, starts, planes, (row, column), (4, 8, 11))
    assert np.array_equal(part, stacked(drawn)[:, row : row + 8, column : column + 11])


def test_batches_do_not_show(monkeypatch) -> None:
    random = np.random.default_rng(3)
    drawn = [(plane % 4, random.uniform(-5, 40, (200, 2))) for plane in range(6)]
    wanted = stacked(drawn)
    monkeypatch.setattr(parity, "_BATCH", 16)
    assert np.array_equal(stacked(drawn), wanted)


def test_a_pixel_crossed_256_times_is_outside() -> None:
    square = np.array([(2.0, 2.0), (6.0, 2.0), (6.0, 6.0), (2.0, 6.0)])
    assert not stacked([(0, square)] * 256).any()
    assert stacked([(0, square)] * 257)[0].sum() == 16


def ellipse(x: float, y: float, radius: float) -> np.ndarray:
    angles = np.arange(24) * np.pi / 12
    return np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)])


circles = st.tuples(st.integers(0, 40), st.integers(0, 25), st.sampled_from([0.2, 1, 2, 4, 8, 12]))


@settings(max_examples=300, deadline=None)
@given(
    found=st.lists(circles, min_size=2, max_size=6),
    rule=st.sampled_from(["depth", "xor"]),
    is_exact=st.booleans(),
)
def test_where_polygons_keep_clear_of_each_other_xor_is_the_rule(
    found: list[tuple[int, int, float]], rule: str, is_exact: bool
) -> None:
    polygons = [snapped(ellipse(*one)) for one in found]
    if is_exact:  # squares on pixel centres, which touch
        polygons = [np.round(points[::6]) for points in polygons]
    low = np.array([points.min(axis=0) for points in polygons])
    high = np.array([points.max(axis=0) for points in polygons])
    nest = clear_nest(polygons, low, high)
    if nest is None:
        return
    window = Window(0, 0, ROWS, COLUMNS)
    plain = combine(polygons, rule, ROWS, COLUMNS, window)
    assert np.array_equal(stacked([(0, points) for points in polygons])[0], plain.array)
    assert plain.copies == nest.copies


@pytest.mark.parametrize("far", [1e7, 1e300, 1.7e308])
def test_coordinates_beyond_all_measure_are_cut_at_the_image(far: float) -> None:
    stack = SliceStack.of_positions(
        [(-far if far > 1e300 else 0.0, 0.0, float(z)) for z in range(3)],
        (1, 0, 0, 0, 1, 0),
        (0.5, 0.5),
        ROWS,
        COLUMNS,
    )
    corners = [(-far, -far, 1.0), (far, -far, 1.0), (far, far, 1.0), (-far, far, 1.0)]
    slanted = [(far, 0.0, far), (0.0, far, -far), (-far, 1.0, 1.0)]
    contours = tuple(Contour(np.array(some), "CLOSED_PLANAR") for some in (corners, slanted))
    mask = draw_roi(Roi(1, "far", contours), stack)
    assert mask.skipped_contours == 1
    assert mask.shape == (3, ROWS, COLUMNS)
    if far <= 1e300:
        assert mask.voxels == ROWS * COLUMNS


def test_what_is_no_number_is_moved_out_of_the_image() -> None:
    assert not np.isnan(snapped([[np.nan, 1.0], [np.inf, -np.inf]])).any()
