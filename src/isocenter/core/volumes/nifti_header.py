"""The header of a NIfTI-1 file (nifti1.h): 348 bytes, little endian, and no extensions.

Written here because the library for it takes longer to import than masks take to write; the tests
hold that both make the same bytes.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import GeometryError
from isocenter.core.volumes.grid import Grid

MAX_LENGTH = 32767
#: Header, and four zero bytes: no extensions follow.
LENGTH = 352

# NIFTI_XFORM_SCANNER_ANAT: coordinates of the scanner, which is what DICOM's are.
_SCANNER_ANATOMICAL = 1
_MILLIMETRES = 2
_DATA_TYPES = {
    "u1": 2,
    "i2": 4,
    "i4": 8,
    "f4": 16,
    "f8": 64,
    "i1": 256,
    "u2": 512,
    "u4": 768,
    "i8": 1024,
    "u8": 1280,
}
_FIELDS = struct.Struct("<i10x18xihcB8h3f4h8f3fhBB4f2i80s24s2h6f12f16s4s")


def encode_header(
    grid: Grid,
    stored: np.dtype[np.generic],
    *,
    description: str = "",
    slope: float = 1.0,
    intercept: float = 0.0,
) -> bytes:
    """The first 352 bytes of a file.

    The affine goes into the sform, and where its axes are perpendicular into the qform too.

    Args:
        grid: geometry.
        stored: type of the voxels.
        description: at most 79 bytes of Latin text.
        slope, intercept: stored value * slope + intercept is the real value.

    Raises:
        GeometryError: the grid or the type of its voxels does not fit NIfTI-1.
    """
    if max(grid.columns, grid.rows, grid.slices) > MAX_LENGTH:
        raise GeometryError(f"NIfTI-1 holds at most {MAX_LENGTH} voxels along an axis")
    code = _DATA_TYPES.get(stored.str[1:])
    if code is None:
        raise GeometryError(f"NIfTI-1 holds no voxels of type {stored}")
    affine = grid.affine_ras
    qfac, quaternion, offset = 1.0, np.zeros(3), np.zeros(3)
    zooms = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if grid.is_orthogonal:
        qfac, quaternion = _rotation(affine[:3, :3] / zooms)
        offset = affine[:3, 3]
    return _FIELDS.pack(
        348,
        *(0, 0, b"\0", 0),
        *(3, grid.columns, grid.rows, grid.slices, 1, 1, 1, 1),
        *(0.0, 0.0, 0.0),
        *(0, code, 8 * stored.itemsize, 0),
        *(qfac, *zooms, 1.0, 1.0, 1.0, 1.0),
        *(float(LENGTH), slope, intercept),
        *(0, 0, _MILLIMETRES),
        *(0.0, 0.0, 0.0, 0.0),
        *(0, 0),
        *(description.encode("ascii", "replace")[:79], b""),
        *(_SCANNER_ANATOMICAL if grid.is_orthogonal else 0, _SCANNER_ANATOMICAL),
        *(*quaternion, *offset),
        *affine[:3].ravel(),
        *(b"", b"n+1\0"),
    ) + bytes(LENGTH - 348)


def _rotation(axes: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """(qfac, the quaternion's b, c, d) of three perpendicular unit vectors, in columns.

    The quaternion is the eigenvector of the largest eigenvalue (Bar-Itzhack, J. Guidance 23:1085,
    2000), of the nearest rotation, which the singular values give.
    """
    qfac = 1.0
    if np.linalg.det(axes) < 0:
        qfac, axes = -1.0, axes * np.array([1.0, 1.0, -1.0])
    left, _, right = np.linalg.svd(axes)
    (xx, yx, zx), (xy, yy, zy), (xz, yz, zz) = (left @ right).tolist()
    lower = np.array(
        [
            [xx - yy - zz, 0, 0, 0],
            [yx + xy, yy - xx - zz, 0, 0],
            [zx + xz, zy + yz, zz - xx - yy, 0],
            [yz - zy, zx - xz, xy - yx, xx + yy + zz],
        ]
    )
    values, vectors = np.linalg.eigh(lower / 3.0)
    x, y, z, w = vectors[:, np.argmax(values)]
    return qfac, np.array([x, y, z]) * (-1 if w < 0 else 1)
