"""Drawn masks equal the written rule, for shapes in any plane, matrix and spacing."""

from __future__ import annotations

import math
from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isocenter.core.contours.draw import draw_roi
from isocenter.core.contours.structure_set import Contour, Roi
from isocenter.core.dicom.geometry import SliceStack

UNIT = 1024
Shape = list[tuple[int, int]]

given_shapes = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def units(points: list[tuple[float, float]]) -> Shape:
    return [(round(x * UNIT), round(y * UNIT)) for x, y in points]


def ring(x: float, y: float, radius: float, count: int, turn: float = 0.0) -> Shape:
    angles = [turn + 2 * math.pi * i / count for i in range(count)]
    return units([(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles])


def star(x: float, y: float, radius: float, tips: int, inner: float) -> Shape:
    angles = [math.pi * i / tips for i in range(2 * tips)]
    lengths = [radius if i % 2 == 0 else radius * inner for i in range(2 * tips)]
    return units(
        [(x + d * math.cos(a), y + d * math.sin(a)) for a, d in zip(angles, lengths, strict=True)]
    )


def box(x: int, y: int, width: int, height: int, step: int = UNIT) -> Shape:
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    return [(a * step, b * step) for a, b in corners]


def keyhole(outer: Shape, inner: Shape) -> Shape:
    """One contour that goes in through a slit, around the hole, and out again."""
    return [*outer, outer[0], *inner[::-1], inner[-1], outer[0]]


coordinates = st.integers(-2 * UNIT, 26 * UNIT)
any_polygon = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=9)
grid_polygon = st.lists(
    st.tuples(st.integers(-1, 13), st.integers(-1, 13)).map(
        lambda p: (p[0] * UNIT // 2, p[1] * UNIT // 2)
    ),
    min_size=3,
    max_size=8,
)
circles = st.builds(
    ring,
    st.floats(5, 20),
    st.floats(5, 20),
    st.floats(1.5, 12),
    st.integers(3, 40),
    st.floats(0, 3),
)
boxes = st.builds(
    box, st.integers(0, 14), st.integers(0, 14), st.integers(1, 10), st.integers(1, 10)
)


def orientation(kind: str) -> tuple[np.ndarray, np.ndarray]:
    tilt, turn = 0.3, 0.4
    rows = {
        "axial": (1, 0, 0),
        "feet first": (-1, 0, 0),
        "sagittal": (0, 1, 0),
        "coronal": (1, 0, 0),
        "oblique": (math.cos(turn), math.sin(turn), 0),
    }
    columns = {
        "axial": (0, 1, 0),
        "feet first": (0, 1, 0),
        "sagittal": (0, 0, -1),
        "coronal": (0, 0, -1),
        "oblique": (
            -math.sin(turn) * math.cos(tilt),
            math.cos(turn) * math.cos(tilt),
            math.sin(tilt),
        ),
    }
    return np.array(rows[kind], dtype=float), np.array(columns[kind], dtype=float)


class Scanner:
    """Puts polygons of pixel coordinates into the patient, by its own sums."""

    def __init__(
        self,
        kind: str = "axial",
        levels: tuple[float, ...] = (0, 2.5, 5),
        spacing: tuple[float, float] = (1.0, 1.0),
        rows: int = 24,
        columns: int = 24,
    ) -> None:
        self.row, self.column = orientation(kind)
        self.normal = np.cross(self.row, self.column)
        self.origin = np.array([-133.7, 80.3, -411.1])
        self.spacing, self.rows, self.columns = spacing, rows, columns
        self.stack = SliceStack.of_positions(
            [self.origin + z * self.normal for z in levels],
            [*self.row, *self.column],
            spacing,
            rows,
            columns,
        )

    def contour(self, shape: Shape, level: float, kind: str = "CLOSED_PLANAR") -> Contour:
        points = [
            self.origin
            + level * self.normal
            + x / UNIT * self.spacing[1] * self.row
            + y / UNIT * self.spacing[0] * self.column
            for x, y in shape
        ]
        return Contour(np.array(points), kind)


def drawn(contours: list[Contour], stack: SliceStack, nesting: str = "depth") -> np.ndarray:
    return draw_roi(Roi(1, "R", tuple(contours)), stack, nesting).full()


def as_set(plane: np.ndarray) -> set[tuple[int, int]]:
    return {(int(r), int(c)) for r, c in zip(*np.nonzero(plane), strict=True)}


@given_shapes
@given(shape=st.one_of(any_polygon, grid_polygon, circles, boxes))
def test_one_contour(oracle: ModuleType, shape: Shape) -> None:
    scanner = Scanner()
    mask = drawn([scanner.contour(shape, 2.5)], scanner.stack)
    assert as_set(mask[1]) == oracle.pixels(shape, 24, 24)
    assert not mask[[0, 2]].any()


@given_shapes
@given(
    shape=st.one_of(circles, grid_polygon),
    kind=st.sampled_from(["axial", "feet first", "sagittal", "coronal", "oblique"]),
    spacing=st.sampled_from([(1.0, 1.0), (0.9765625, 0.9765625), (2.0, 0.7), (0.33, 1.21)]),
    size=st.sampled_from([(24, 24), (12, 30), (30, 12)]),
)
def test_any_orientation_spacing_and_matrix(
    oracle: ModuleType,
    shape: Shape,
    kind: str,
    spacing: tuple[float, float],
    size: tuple[int, int],
) -> None:
    scanner = Scanner(kind, spacing=spacing, rows=size[0], columns=size[1])
    mask = drawn([scanner.contour(shape, 0)], scanner.stack)
    assert as_set(mask[0]) == oracle.pixels(shape, *size)


@pytest.mark.parametrize("nesting", ["depth", "xor", "union"])
@given_shapes
@given(shapes=st.lists(st.one_of(circles, boxes, grid_polygon), min_size=1, max_size=4))
def test_contours_of_one_plane_combine(
    oracle: ModuleType, nesting: str, shapes: list[Shape]
) -> None:
    scanner = Scanner()
    mask = drawn([scanner.contour(shape, 0) for shape in shapes], scanner.stack, nesting)
    if nesting == "depth" and any(_is_folded(oracle, shape) for shape in shapes):
        return  # what a contour that crosses itself contains is no question of the rule
    assert as_set(mask[0]) == oracle.RULES[nesting](shapes, 24, 24)


def _is_folded(oracle: ModuleType, shape: Shape) -> bool:
    """Whether a contour crosses, touches or repeats itself."""
    if len(set(shape)) != len(shape):
        return True
    sides = oracle.edges(shape)
    for i, (a, b) in enumerate(sides):
        for j, (c, d) in enumerate(sides):
            if j <= i:
                continue
            neighbours = j == i + 1 or (i == 0 and j == len(sides) - 1)
            turns = [oracle._turn(a, b, c), oracle._turn(a, b, d)]
            others = [oracle._turn(c, d, a), oracle._turn(c, d, b)]
            if neighbours and turns == [0, 0]:
                return True
            if not neighbours and turns[0] * turns[1] <= 0 and others[0] * others[1] <= 0:
                return True
    return False


@settings(given_shapes, max_examples=25)
@given(
    x=st.floats(10, 14),
    y=st.floats(10, 14),
    radii=st.lists(st.floats(1, 10), min_size=2, max_size=5, unique=True),
)
def test_rings_in_rings(oracle: ModuleType, x: float, y: float, radii: list[float]) -> None:
    """A hole, an island in the hole, a hole in the island …, in any order in the file."""
    scanner = Scanner()
    shapes = [ring(x, y, radius, 24) for radius in radii]
    mask = drawn([scanner.contour(shape, 0) for shape in shapes], scanner.stack)
    assert as_set(mask[0]) == oracle.depth_rule(shapes, 24, 24)


NAMED: dict[str, list[Shape]] = {
    "square on the grid": [box(3, 4, 10, 10)],
    "squares that share an edge": [box(3, 4, 5, 5), box(8, 4, 5, 5)],
    "hole": [ring(12, 12, 10, 40), ring(12, 12, 4, 40)],
    "square hole on the grid": [box(2, 2, 16, 16), box(6, 6, 5, 5)],
    "hole that touches the edge": [box(2, 2, 16, 16), box(2, 6, 5, 5)],
    "island in a hole": [ring(12, 12, 11, 40), ring(12, 12, 7, 40), ring(12, 12, 3, 40)],
    "keyhole": [keyhole(ring(12, 12, 10, 40), ring(12, 12, 5, 40))],
    "island in a keyhole": [
        keyhole(ring(12, 12, 10, 40), ring(12, 12, 6, 40)),
        ring(12, 12, 2, 20),
    ],
    "star": [star(12, 12, 11, 5, 0.4)],
    "two islands": [ring(6, 6, 4, 30), ring(17, 17, 5, 30)],
    "overlap": [ring(9, 12, 6, 30), ring(14, 12, 6, 30)],
    "overlap with a hole in both": [
        ring(10, 12, 8, 40),
        ring(14, 12, 8, 40),
        ring(12, 12, 2, 20),
    ],
    "twice the same": [box(3, 4, 10, 10), box(3, 4, 10, 10)],
    "outside the image": [box(-9, -9, 5, 5)],
    "over the edge": [ring(0, 12, 6, 30), ring(23, 23, 6, 30)],
    "thinner than a pixel": [units([(3.2, 1), (3.4, 1), (3.4, 20), (3.2, 20)])],
    "through a row of centres": [units([(3, 5), (20, 5), (20, 5.5), (3, 5.5)])],
}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("nesting", ["depth", "xor", "union"])
def test_shapes_with_a_name(oracle: ModuleType, name: str, nesting: str) -> None:
    if name in ("keyhole", "island in a keyhole") and nesting == "depth":
        expected = oracle.xor_rule(NAMED[name], 24, 24)
    else:
        expected = oracle.RULES[nesting](NAMED[name], 24, 24)
    scanner = Scanner("oblique", spacing=(0.7, 1.3))
    mask = drawn([scanner.contour(shape, 0) for shape in NAMED[name]], scanner.stack, nesting)
    assert as_set(mask[0]) == expected


@pytest.mark.parametrize("radius", [3, 5, 8, 13, 20, 30, 50])
def test_circles_have_the_voxels_of_the_rule_and_the_area_of_the_formula(
    oracle: ModuleType, radius: int
) -> None:
    scanner = Scanner(rows=110, columns=110)
    shape = ring(54.3, 55.6, radius, 200)
    mask = draw_roi(Roi(1, "R", (scanner.contour(shape, 2.5),)), scanner.stack)
    assert as_set(mask.slice(1)) == oracle.pixels(shape, 110, 110)
    assert mask.polygon_volume_ml * 1000 / 2.5 == pytest.approx(math.pi * radius**2, rel=2e-3)


def test_a_256_by_512_image_has_rows_and_columns_in_their_places() -> None:
    scanner = Scanner(rows=256, columns=512)
    mask = drawn([scanner.contour(box(400, 30, 20, 10), 0)], scanner.stack)
    assert mask.shape == (3, 256, 512)
    assert mask[0, 30:40, 400:420].all()
    assert mask.sum() == 200


def test_xor_contours_combine_by_xor_whatever_is_chosen(oracle: ModuleType) -> None:
    scanner = Scanner()
    shapes = [ring(9, 12, 6, 30), ring(14, 12, 6, 30)]
    contours = [scanner.contour(shape, 0, "CLOSEDPLANAR_XOR") for shape in shapes]
    for nesting in ("depth", "union", "xor"):
        mask = drawn(contours, scanner.stack, nesting)
        assert as_set(mask[0]) == oracle.xor_rule(shapes, 24, 24)


@given_shapes
@given(
    gaps=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    level=st.integers(-60, 250),
    kind=st.sampled_from(["axial", "feet first", "oblique"]),
    reverse=st.booleans(),
)
def test_a_plane_goes_to_its_slice_in_regular_and_irregular_stacks(
    oracle: ModuleType, gaps: list[int], level: int, kind: str, reverse: bool
) -> None:
    levels = [sum(gaps[:i]) for i in range(len(gaps) + 1)]  # tenths of a mm
    order = levels[::-1] if reverse else levels
    scanner = Scanner(kind, levels=tuple(z / 10 for z in order))
    result = draw_roi(Roi(1, "R", (scanner.contour(box(3, 3, 4, 4), level / 10),)), scanner.stack)
    expected = oracle.slice_of(Fraction(level), [Fraction(z) for z in levels])
    assert result.slices == (() if expected is None else (expected,))
    assert result.skipped_contours == (expected is None)
    assert bool(result.warnings) == (expected is None)
