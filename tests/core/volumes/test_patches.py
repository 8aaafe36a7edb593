"""A slice that is given as its part that is not 0 is written as the whole slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.errors import GeometryError
from isocenter.core.volumes.grid import Grid
from isocenter.core.volumes.nifti import write_nifti
from isocenter.core.volumes.nrrd import write_nrrd
from isocenter.core.volumes.patches import Patch, checked_planes, filled_rows

ROWS, COLUMNS = 6, 9
boxes = st.tuples(st.integers(0, 5), st.integers(0, 8), st.integers(0, 6), st.integers(0, 9))


def patch_of(box: tuple[int, int, int, int]) -> Patch:
    row, column, height, width = box
    shape = min(height, ROWS - row), min(width, COLUMNS - column)
    values = np.random.default_rng(1).integers(0, 2, shape, dtype=np.uint8)
    return Patch(row, column, values)


def whole(patch: Patch) -> np.ndarray:
    plane = np.zeros((ROWS, COLUMNS), np.uint8)
    height, width = patch.values.shape
    plane[patch.row : patch.row + height, patch.column : patch.column + width] = patch.values
    return plane


@settings(max_examples=100, deadline=None)
@given(st.lists(boxes, min_size=1, max_size=5), st.sampled_from(["u1", "<i2", "<f4"]))
def test_bytes_are_those_of_the_whole(found: list[tuple[int, int, int, int]], dtype: str) -> None:
    patches = [patch_of(box) for box in found]
    grid, stored = Grid(len(patches), ROWS, COLUMNS, np.eye(4)), np.dtype(dtype)
    wanted = [whole(patch).astype(stored).tobytes() for patch in patches]
    assert [bytes(plane) for plane in checked_planes(patches, grid, stored)] == wanted
    for slices in (patches, [whole(patch) for patch in patches]):
        width = COLUMNS * stored.itemsize
        for (first, rows), plane in zip(filled_rows(slices, grid, stored), wanted, strict=True):
            padded = bytes(first * width) + bytes(rows)
            assert padded + bytes(len(plane) - len(padded)) == plane


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd"])
def test_files_are_the_same(tmp_path: Path, name: str) -> None:
    patches = [patch_of((0, 0, 0, 0)), patch_of((1, 2, 3, 4)), patch_of((5, 8, 1, 1))]
    grid = Grid(3, ROWS, COLUMNS, np.eye(4))
    write = write_nrrd if name.endswith("nrrd") else write_nifti
    write(tmp_path / name, patches, grid, "uint8")
    (tmp_path / "whole").mkdir()
    write(tmp_path / "whole" / name, map(whole, patches), grid, "uint8")
    assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    "plane",
    [
        Patch(4, 0, np.ones((3, 1), np.uint8)),
        Patch(0, 8, np.ones((1, 2), np.uint8)),
        Patch(-1, 0, np.ones((1, 1), np.uint8)),
        np.ones((ROWS, COLUMNS + 1), np.uint8),
    ],
)
def test_what_does_not_fit_is_refused(plane: Patch) -> None:
    grid = Grid(1, ROWS, COLUMNS, np.eye(4))
    for check in (checked_planes, filled_rows):
        with pytest.raises(GeometryError, match="slice 0"):
            list(check([plane], grid, np.dtype("u1")))
        with pytest.raises(GeometryError, match="0 slices"):
            list(check([], grid, np.dtype("u1")))
