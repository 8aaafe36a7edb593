"""Surfaces of masks as binary STL files in LPS millimetres.

Marching cubes (Lewiner, Lopes, Vieira and Tavares 2003, through scikit-image) at the level halfway
between outside and inside, on the mask with a border of empty voxels: every surface is closed, also
where the mask touches the edge of the image. The volume is worked on in slabs of slices that share
one plane, which bounds the memory and gives the same triangles.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from isocenter.core.errors import GeometryError

SLAB_SLICES = 32

_TRIANGLE = np.dtype(
    [("normal", "<f4", (3,)), ("vertices", "<f4", (3, 3)), ("attribute", "<u2")], align=False
)


def surface(
    mask: NDArray[np.bool_],
    to_patient: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> Iterator[NDArray[np.float64]]:
    """Triangles of a mask's closed surface, slab by slab.

    Args:
        mask: ``[slice, row, column]``.
        to_patient: maps (n, 3) indices ``(slice, row, column)``, fractional and up to half a voxel
            outside the mask, to LPS mm.

    Yields:
        (n, 3, 3) arrays: triangle, corner, LPS mm; corners run anticlockwise seen from outside.
    """
    if mask.ndim != 3:
        raise GeometryError(f"a mask has three axes, this one has {mask.ndim}")
    flip = _is_mirrored(to_patient)
    slices = mask.shape[0]
    # Slab s holds the padded planes [first, last]; plane -1 and plane n are the empty border.
    for first in range(-1, slices, SLAB_SLICES):
        last = min(first + SLAB_SLICES, slices)
        block = np.zeros((last - first + 1, mask.shape[1] + 2, mask.shape[2] + 2), dtype=np.float32)
        low, high = max(first, 0), min(last + 1, slices)
        block[low - first : high - first, 1:-1, 1:-1] = mask[low:high]
        if not block.any() or block.all():
            continue
        vertices, faces, _, _ = marching_cubes(block, level=0.5, gradient_direction="ascent")
        indices = vertices.astype(np.float64) + np.array([first, -1, -1])
        triangles = to_patient(indices)[faces]
        yield triangles[:, ::-1] if flip else triangles


def _is_mirrored(to_patient: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> bool:
    """Whether ``(slice, row, column)`` → LPS turns a right hand into a left one."""
    corners = to_patient(
        np.array([[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]], dtype=np.float64)
    )
    return bool(np.linalg.det(corners[1:] - corners[0]) < 0)


def write_stl(path: Path, surfaces: Iterator[NDArray[np.float64]], *, title: str = "") -> int:
    """Write triangles as a binary STL file and return how many they are.

    The header says ``SPACE=LPS`` and ``UNIT=mm``, which 3D Slicer reads; STL itself has no units.

    Args:
        path: file to write.
        surfaces: (n, 3, 3) arrays of corners in LPS mm.
        title: short text for the header; no identity.
    """
    # A binary header must not begin with "solid", or readers take the file for text.
    header = f"Isocenter;SPACE=LPS;UNIT=mm;{title}".encode("ascii", "replace")[:80].ljust(80)
    count = 0
    with path.open("wb") as out:
        out.write(header + struct.pack("<I", 0))
        for triangles in surfaces:
            records = np.zeros(len(triangles), dtype=_TRIANGLE)
            records["vertices"] = triangles
            records["normal"] = _normals(triangles)
            out.write(records.tobytes())
            count += len(triangles)
        out.seek(80)
        out.write(struct.pack("<I", count))
    return count


def _normals(triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(
        normals, lengths, out=np.zeros_like(normals), where=lengths > 0
    )
    return unit


def enclosed_volume_mm3(triangles: NDArray[np.float64]) -> float:
    """Volume inside closed triangles (divergence theorem); negative when they face inwards."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0)
