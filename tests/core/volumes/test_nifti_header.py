"""The header that is written here has the bytes that nibabel makes of the same geometry."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from isocenter.core.errors import GeometryError
from isocenter.core.volumes.grid import Grid
from isocenter.core.volumes.nifti_header import encode_header

TYPES = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


def by_nibabel(grid: Grid, dtype: str, text: str, slope: float, intercept: float) -> bytes:
    header = nib.Nifti1Header(endianness="<")
    header.set_data_dtype(np.dtype(dtype))
    header.set_data_shape((grid.columns, grid.rows, grid.slices))
    header.set_zooms(grid.spacing_mm)
    header.set_xyzt_units("mm")
    header.set_sform(grid.affine_ras, code=1)
    if grid.is_orthogonal:
        header.set_qform(grid.affine_ras, code=1)
    header.set_slope_inter(slope, intercept)
    header["descrip"] = text.encode("ascii", "replace")[:79]
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    return bytes(header.binaryblock) + bytes(4)


def grid_of(axes: np.ndarray, spacing: tuple[float, ...], origin: np.ndarray) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = axes * np.array(spacing)
    affine[:3, 3] = origin
    return Grid(7, 512, 300, affine)


lengths = st.floats(0.05, 20)


@settings(max_examples=200, deadline=None)
@given(
    turn=hnp.arrays(np.float64, (3, 3), elements=st.floats(-1, 1)),
    spacing=st.tuples(lengths, lengths, lengths),
    origin=hnp.arrays(np.float64, 3, elements=st.floats(-1000, 1000)),
    shear=st.sampled_from([0.0, 0.0, 0.3]),
    dtype=st.sampled_from(TYPES),
    text=st.text(max_size=90),
)
def test_the_bytes_are_those_of_nibabel(turn, spacing, origin, shear, dtype, text) -> None:
    axes = np.linalg.qr(turn + 2 * np.eye(3))[0]
    axes[:, 2] += shear * axes[:, 0]
    grid = grid_of(axes, spacing, origin)
    ours = encode_header(grid, np.dtype(dtype), description=text, slope=2.5, intercept=-1024.0)
    assert ours == by_nibabel(grid, dtype, text, 2.5, -1024.0)


def test_what_the_format_cannot_hold_is_refused() -> None:
    with pytest.raises(GeometryError, match="32767"):
        encode_header(Grid(1, 1, 40000, np.eye(4)), np.dtype("u1"))
    with pytest.raises(GeometryError, match="type"):
        encode_header(Grid(1, 1, 4, np.eye(4)), np.dtype(bool))
