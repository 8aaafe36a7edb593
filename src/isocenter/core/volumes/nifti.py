"""Writing NIfTI-1 files.

Voxels go through ISA-L's deflate, which is several times faster than zlib. The same input gives
the same bytes: the gzip header carries no name and no time.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
from isal import igzip
from numpy.typing import DTypeLike

from isocenter.core.volumes.grid import Grid
from isocenter.core.volumes.nifti_header import encode_header
from isocenter.core.volumes.patches import Plane, checked_planes, filled_rows


def write_nifti(
    path: Path,
    slices: Iterable[Plane],
    grid: Grid,
    dtype: DTypeLike,
    *,
    description: str = "",
    slope: float = 1.0,
    intercept: float = 0.0,
    compression: int = 1,
) -> None:
    """Write a ``.nii`` or, by its name, a ``.nii.gz`` file.

    Voxels keep DICOM's order (first axis along a row, second along a column, third along the
    slices); the affine is in RAS millimetres, as sform and, where the axes are perpendicular,
    as qform.

    Args:
        path: file to write; ``.gz`` at its end compresses.
        slices: one ``[row, column]`` array for each slice of the grid, in order, or the part of it
            that is not 0; consumed one at a time, so a volume need never be in memory as a whole.
        grid: geometry.
        dtype: type of the stored voxels.
        description: at most 79 bytes of Latin text; no identity.
        slope, intercept: stored value * slope + intercept is the real value.
        compression: of a ``.nii.gz``, 1 (fast) to 3 (small).

    Raises:
        GeometryError: the grid does not fit NIfTI-1, or the slices do not fit the grid.
    """
    stored = np.dtype(dtype).newbyteorder("<")
    header = encode_header(grid, stored, description=description, slope=slope, intercept=intercept)
    with path.open("wb") as raw:
        if path.name.endswith(".gz"):
            with igzip.IGzipFile(
                filename="", mode="wb", compresslevel=compression, fileobj=raw, mtime=0
            ) as packed:
                _write_body(packed, header, slices, grid, stored)
        else:
            _write_sparse(raw, header, slices, grid, stored)


def _write_body(
    out: IO[bytes],
    header: bytes,
    slices: Iterable[Plane],
    grid: Grid,
    stored: np.dtype[np.generic],
) -> None:
    out.write(header)
    for plane in checked_planes(slices, grid, stored):
        out.write(plane)


def _write_sparse(
    out: BinaryIO, header: bytes, slices: Iterable[Plane], grid: Grid, stored: np.dtype[np.generic]
) -> None:
    """The same bytes; runs of zeros become holes, of which masks are mostly made.

    What is read back is the same, the disk keeps a tenth, and nothing waits for it.
    """
    out.write(header)
    row_bytes = grid.columns * stored.itemsize
    offset = len(header)
    for first, rows in filled_rows(slices, grid, stored):
        if len(rows):
            out.seek(offset + first * row_bytes)
            out.write(rows)
        offset += grid.rows * row_bytes
    out.truncate(offset)
