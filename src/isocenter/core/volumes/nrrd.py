"""Writing NRRD files (format NRRD0005, http://teem.sourceforge.net/nrrd/format.html).

Attached header, gzip encoding, ``space: left-posterior-superior``: the coordinates are DICOM's own.
The same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from isal import igzip
from numpy.typing import DTypeLike, NDArray

from isocenter.core.errors import GeometryError
from isocenter.core.volumes.grid import Grid
from isocenter.core.volumes.patches import Plane, checked_planes

_TYPES = {
    "uint8": "uint8",
    "int8": "int8",
    "uint16": "uint16",
    "int16": "int16",
    "uint32": "uint32",
    "int32": "int32",
    "float32": "float",
    "float64": "double",
}


def write_nrrd(
    path: Path,
    slices: Iterable[Plane],
    grid: Grid,
    dtype: DTypeLike,
    *,
    fields: Mapping[str, str] | None = None,
) -> None:
    """Write a ``.nrrd`` file.

    Args:
        path: file to write.
        slices: see `write_nifti`.
        grid: geometry.
        dtype: type of the stored voxels.
        fields: key/value pairs (``key:=value``) for the header; no identity.

    Raises:
        GeometryError: the type has no name in NRRD, or the slices do not fit the grid.
    """
    stored = np.dtype(dtype).newbyteorder("<")
    header = _header(grid, stored, fields or {})
    with path.open("wb") as raw:
        raw.write(header)
        with igzip.IGzipFile(
            filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0
        ) as packed:
            for plane in checked_planes(slices, grid, stored):
                packed.write(plane)


def _header(grid: Grid, stored: np.dtype[np.generic], fields: Mapping[str, str]) -> bytes:
    try:
        type_name = _TYPES[stored.newbyteorder("=").name]
    except KeyError:
        raise GeometryError(f"NRRD has no type for {stored.name} voxels") from None
    affine = grid.affine_lps
    directions = " ".join(_vector(affine[:3, axis]) for axis in range(3))
    lines = [
        "NRRD0005",
        f"type: {type_name}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {grid.columns} {grid.rows} {grid.slices}",
        f"space directions: {directions}",
        "kinds: domain domain domain",
        *(["endian: little"] if stored.itemsize > 1 else []),
        "encoding: gzip",
        f"space origin: {_vector(affine[:3, 3])}",
        'space units: "mm" "mm" "mm"',
        *(f"{_key(key)}:={_escaped(value)}" for key, value in fields.items()),
    ]
    return ("\n".join(lines) + "\n\n").encode("utf-8")


def _vector(values: NDArray[np.float64]) -> str:
    return "(" + ",".join(repr(float(v) + 0.0) for v in values) + ")"


def _key(key: str) -> str:
    return key.replace(":", "_").replace("\n", " ")


def _escaped(value: str) -> str:
    """A value on one line: the format writes a backslash as ``\\\\`` and a line end as ``\\n``."""
    return value.replace("\\", "\\\\").replace("\r\n", "\n").replace("\n", "\\n")
