"""Surfaces are closed, face outwards, and lie where the mask lies."""

import struct
from collections import Counter

import numpy as np
import pytest

from isocenter.core.errors import GeometryError
from isocenter.core.volumes.mesh import SLAB_SLICES, enclosed_volume_mm3, surface, write_stl

SPACING = np.array([3.0, 0.5, 2.0])  # slice, row, column
ORIGIN = np.array([-30.0, 12.0, 100.0])


def axial(indices):
    scaled = indices * SPACING
    return ORIGIN + scaled[:, ::-1]


def mirrored(indices):
    return axial(indices) * [1, 1, -1]


def sphere(shape=(70, 40, 40), radius=15.0):
    z, y, x = np.indices(shape) - (np.array(shape)[:, None, None, None] - 1) / 2
    return (z / 2) ** 2 + y**2 + x**2 <= radius**2


def read_stl(path):
    data = path.read_bytes()
    assert not data.startswith(b"solid")
    (count,) = struct.unpack_from("<I", data, 80)
    assert len(data) == 84 + 50 * count
    records = np.frombuffer(
        data, offset=84, dtype=np.dtype([("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")])
    )
    return records["n"].astype(float), records["v"].astype(float)


def assert_closed(triangles):
    """Each edge is walked once in each direction."""
    edges = Counter()
    for corners in np.round(triangles, 4).tolist():
        points = [tuple(p) for p in corners]
        edges.update(zip(points, points[1:] + points[:1], strict=True))
    assert all(edges[(b, a)] == n for (a, b), n in edges.items())


@pytest.mark.parametrize("to_patient", [axial, mirrored])
@pytest.mark.parametrize("mask", [sphere(), np.ones((40, 3, 4), bool), np.ones((1, 1, 1), bool)])
def test_closed_outwards_and_of_the_right_size(tmp_path, mask, to_patient):
    write_stl(tmp_path / "a.stl", surface(mask, to_patient), title="ROI")
    normals, triangles = read_stl(tmp_path / "a.stl")
    assert_closed(triangles)
    voxels_mm3 = mask.sum() * SPACING.prod()
    volume = enclosed_volume_mm3(triangles)
    assert 0 < volume <= voxels_mm3
    if mask.sum() > 1000:
        assert volume == pytest.approx(voxels_mm3, rel=0.02)
    computed = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    assert (np.einsum("ij,ij->i", computed, normals) > 0).all()


def test_surface_lies_around_the_voxels_centres():
    mask = np.zeros((5, 6, 7), bool)
    mask[2, 3, 4] = True
    corners = np.concatenate(list(surface(mask, axial))).reshape(-1, 3)
    centre = ORIGIN + np.array([4 * 2.0, 3 * 0.5, 2 * 3.0])
    assert corners.mean(axis=0) == pytest.approx(centre)
    assert corners.max(axis=0) - centre == pytest.approx([1.0, 0.25, 1.5])


def test_slabs_make_the_same_surface_as_one_piece():
    rng = np.random.default_rng(3)
    mask = rng.random((SLAB_SLICES * 2 + 5, 9, 9)) > 0.5
    triangles = np.concatenate(list(surface(mask, axial)))
    assert_closed(triangles)


def test_an_empty_mask_makes_an_empty_file(tmp_path):
    count = write_stl(tmp_path / "a.stl", surface(np.zeros((3, 3, 3), bool), axial))
    assert count == 0
    assert read_stl(tmp_path / "a.stl")[1].shape == (0, 3, 3)


def test_a_flat_array_is_refused():
    with pytest.raises(GeometryError, match="three axes"):
        next(surface(np.ones((3, 3), bool), axial))
