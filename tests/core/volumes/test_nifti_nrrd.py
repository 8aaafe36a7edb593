"""NIfTI and NRRD files, read back by code that is not ours."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from isocenter.core.errors import GeometryError
from isocenter.core.volumes.grid import Grid
from isocenter.core.volumes.nifti import write_nifti
from isocenter.core.volumes.nrrd import write_nrrd


def oblique_grid(slices=3, rows=4, columns=5):
    angle = np.deg2rad(20)
    affine = np.eye(4)
    affine[:3, 0] = np.array([np.cos(angle), np.sin(angle), 0]) * 0.7
    affine[:3, 1] = np.array([-np.sin(angle), np.cos(angle), 0]) * 1.3
    affine[:3, 2] = [0, 0, -2.5]
    affine[:3, 3] = [-12.25, 30.5, 7.0]
    return Grid(slices, rows, columns, affine)


def volume(grid, dtype):
    shape = (grid.slices, grid.rows, grid.columns)
    return (np.arange(np.prod(shape)).reshape(shape) * 7 % 100 - 20).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_is_read_back_by_nibabel(tmp_path, dtype, name):
    grid = oblique_grid()
    voxels = volume(grid, dtype)
    write_nifti(tmp_path / name, iter(voxels), grid, dtype, description="mask")
    image = nib.load(tmp_path / name)
    assert image.get_data_dtype() == np.dtype(dtype)
    assert np.array_equal(np.asarray(image.dataobj), voxels.transpose(2, 1, 0))
    assert image.affine == pytest.approx(grid.affine_ras, abs=1e-4)
    assert image.header.get_qform() == pytest.approx(grid.affine_ras, abs=1e-4)
    assert (image.header["sform_code"], image.header["qform_code"]) == (1, 1)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_slope_and_intercept(tmp_path):
    grid = oblique_grid()
    voxels = volume(grid, "int16")
    write_nifti(tmp_path / "a.nii", iter(voxels), grid, "int16", slope=2, intercept=-1024)
    real = nib.load(tmp_path / "a.nii").get_fdata()
    assert np.array_equal(real, voxels.transpose(2, 1, 0) * 2.0 - 1024)


def test_a_sheared_grid_has_only_an_sform(tmp_path):
    grid = oblique_grid()
    sheared = grid.affine_lps.copy()
    sheared[:3, 2] = [0, 0.6, 2.5]
    grid = Grid(grid.slices, grid.rows, grid.columns, sheared)
    write_nifti(tmp_path / "a.nii", iter(volume(grid, "uint8")), grid, "uint8")
    image = nib.load(tmp_path / "a.nii")
    assert image.header["qform_code"] == 0
    assert image.affine == pytest.approx(grid.affine_ras, abs=1e-4)


@pytest.mark.parametrize("write", [write_nifti, write_nrrd])
def test_same_input_same_bytes(tmp_path, write):
    grid = oblique_grid()
    names = ["first.nii.gz", "second.nii.gz"]
    for name in names:
        write(tmp_path / name, iter(volume(grid, "uint8")), grid, "uint8")
    first, second = ((tmp_path / name).read_bytes() for name in names)
    assert first == second


@pytest.mark.parametrize("write", [write_nifti, write_nrrd])
def test_slices_that_do_not_fit_are_refused(tmp_path, write):
    grid = oblique_grid()
    voxels = volume(grid, "uint8")
    with pytest.raises(GeometryError, match="2 slices"):
        write(tmp_path / "a.nii.gz", iter(voxels[:2]), grid, "uint8")
    with pytest.raises(GeometryError, match="the grid has"):
        write(tmp_path / "a.nii.gz", iter(voxels[:, :, :3]), grid, "uint8")


def read_nrrd(path):
    """An own small reader of the format's page: fields, key/value pairs, voxels."""
    head, body = path.read_bytes().split(b"\n\n", 1)
    lines = head.decode("utf-8").split("\n")
    assert lines[0].startswith("NRRD000")
    values = dict(line.split(":=", 1) for line in lines if ":=" in line)
    fields = dict(line.split(": ", 1) for line in lines[1:] if ":=" not in line)
    dtype = {"uint8": "u1", "int16": "<i2", "float": "<f4"}[fields["type"]]
    sizes = [int(n) for n in fields["sizes"].split()]
    voxels = np.frombuffer(gzip.decompress(body), dtype=dtype).reshape(sizes[::-1])
    vectors = [
        [float(n) for n in vector.strip("()").split(",")]
        for vector in fields["space directions"].split()
    ]
    origin = [float(n) for n in fields["space origin"].strip("()").split(",")]
    return fields, values, voxels, np.array(vectors).T, np.array(origin)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_nrrd(tmp_path, dtype):
    grid = oblique_grid()
    voxels = volume(grid, dtype)
    fields = {"Segment0_Name": "Größe 脑\nB", "a:b": "c"}
    write_nrrd(tmp_path / "a.nrrd", iter(voxels), grid, dtype, fields=fields)
    read, values, back, directions, origin = read_nrrd(tmp_path / "a.nrrd")
    assert read["space"] == "left-posterior-superior"
    assert np.array_equal(back, voxels)
    assert np.array_equal(directions, grid.affine_lps[:3, :3])
    assert np.array_equal(origin, grid.affine_lps[:3, 3])
    assert values == {"Segment0_Name": "Größe 脑\\nB", "a_b": "c"}


def test_nrrd_refuses_types_without_a_name(tmp_path):
    grid = oblique_grid()
    with pytest.raises(GeometryError, match="complex128"):
        write_nrrd(tmp_path / "a.nrrd", iter(()), grid, "complex128")
