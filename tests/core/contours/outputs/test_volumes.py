"""NIfTI, NRRD and STL of drawn masks."""

import gzip
import shutil
import struct
import subprocess

import nibabel as nib
import numpy as np
import pytest

from isocenter.core.contours.outputs import writer

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
OBLIQUE = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def block(shape=(4, 20, 30)):
    mask = np.zeros(shape, bool)
    mask[1:3, 3:9, 4:20] = True
    return mask


def stl_corners(path):
    data = path.read_bytes()
    (count,) = struct.unpack_from("<I", data, 80)
    layout = np.dtype([("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")])
    return np.frombuffer(data, layout, count, 84)["v"].reshape(-1, 3).astype(float)


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE, CORONAL])
@pytest.mark.parametrize("heights", [[0, 2, 4, 6], [6, 4, 2, 0]], ids=["up", "down"])
def test_voxels_lie_where_the_slices_lie(make_scene, tmp_path, orientation, heights):
    """A voxel's index through the file's affine is the place that the image's header says."""
    scene = make_scene(
        masks={"PTV": block()}, orientation=orientation, heights=heights, spacing=(0.5, 2.0)
    )
    (output,) = writer("nifti")(scene, tmp_path)
    assert output.path.name == "PTV.nii.gz"
    image = nib.load(output.path)
    inside = np.argwhere(np.asarray(image.dataobj) > 0)
    assert len(inside) == block().sum()
    for column, row, index in inside[:: len(inside) // 7]:
        header = scene.series.headers[index]
        cosines = np.array(header.ImageOrientationPatient, float)
        lps = (
            np.array(header.ImagePositionPatient, float)
            + cosines[:3] * 2.0 * column
            + cosines[3:] * 0.5 * row
        )
        ras = image.affine @ [column, row, index, 1]
        assert ras[:3] == pytest.approx(lps * [-1, -1, 1], abs=1e-3)
        assert block()[index, row, column]


def test_irregular_slices_are_put_on_a_regular_grid(make_scene, tmp_path):
    scene = make_scene(masks={"a": block()}, heights=[0, 2, 6, 8])
    (output,) = writer("nifti")(scene, tmp_path)
    image = nib.load(output.path)
    voxels = np.asarray(image.dataobj)
    assert image.shape == (30, 20, 5)
    assert voxels.any(axis=(0, 1)).tolist() == [False, True, True, True, False]
    assert b"nearest slice" in image.header["descrip"].item()


def test_nrrd_says_the_same_as_nifti(make_scene, tmp_path):
    scene = make_scene(masks={"a": (block(), {"colour": (255, 0, 51)})}, orientation=OBLIQUE)
    (nifti,) = writer("nifti")(scene, tmp_path)
    (nrrd,) = writer("nrrd")(scene, tmp_path)
    head, body = nrrd.path.read_bytes().split(b"\n\n", 1)
    fields = dict(line.split(": ", 1) for line in head.decode().split("\n")[1:] if ": " in line)
    voxels = np.frombuffer(gzip.decompress(body), np.uint8)
    sizes = [int(n) for n in fields["sizes"].split()]
    image = nib.load(nifti.path)
    assert np.array_equal(voxels.reshape(sizes[::-1]).transpose(2, 1, 0), image.dataobj)
    origin = np.array([float(n) for n in fields["space origin"].strip("()").split(",")])
    assert origin * [-1, -1, 1] == pytest.approx(image.affine[:3, 3], abs=1e-4)
    assert b"Segment0_Color:=1 0 0.2" in head


def test_names_of_files(make_scene, tmp_path):
    names = ["GTV/1", "gtv:1", "脑干", "../x", "empty"]
    masks = {name: block() & (name != "empty") for name in names}
    outputs = writer("nifti")(make_scene(masks=masks), tmp_path)
    assert [o.path.name for o in outputs] == [
        "GTV_1.nii.gz",
        "gtv_1_2.nii.gz",
        "脑干.nii.gz",
        "_x.nii.gz",
    ]
    assert {p.name for p in tmp_path.glob("*.nii.gz")} == {o.path.name for o in outputs}
    assert outputs[2].role == "脑干 mask"


@pytest.mark.parametrize("name", ["nifti", "nrrd", "stl"])
def test_same_scene_same_bytes(make_scene, tmp_path, name):
    files = []
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (output,) = writer(name)(make_scene(masks={"a": block()}), tmp_path / folder)
        files.append(output.path.read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize("heights", [[0, 2, 4, 6], [0, 2, 6, 8]], ids=["regular", "irregular"])
def test_surface_bounds_the_mask_in_patient_coordinates(make_scene, tmp_path, heights):
    scene = make_scene(masks={"a": block()}, heights=heights, spacing=(0.5, 2.0))
    (output,) = writer("stl")(scene, tmp_path)
    corners = stl_corners(output.path)
    origin = np.array([-30.0, -20.0, 50.0])
    low = origin + np.array([4 * 2.0 - 1, 3 * 0.5 - 0.25, (heights[0] + heights[1]) / 2])
    high = origin + np.array([19 * 2.0 + 1, 8 * 0.5 + 0.25, (heights[2] + heights[3]) / 2])
    assert corners.min(axis=0) == pytest.approx(low, abs=1e-3)
    assert corners.max(axis=0) == pytest.approx(high, abs=1e-3)


def test_surface_at_the_border_of_the_image_is_closed(make_scene, tmp_path):
    scene = make_scene(masks={"a": np.ones((4, 20, 30), bool)})
    (output,) = writer("stl")(scene, tmp_path)
    corners = stl_corners(output.path)
    assert corners[:, 2].min() == pytest.approx(49.0)
    assert corners[:, 2].max() == pytest.approx(57.0)


def test_one_slice_has_its_thickness(make_scene, tmp_path):
    scene = make_scene((1, 20, 30), {"a": block()[1:2]})
    (nifti,) = writer("nifti")(scene, tmp_path)
    (stl,) = writer("stl")(scene, tmp_path)
    assert nib.load(nifti.path).header.get_zooms()[2] == pytest.approx(2.0)
    assert np.ptp(stl_corners(stl.path)[:, 2]) == pytest.approx(2.0)


@pytest.mark.parametrize("case", ["rt_STS_001", "rt_STS_006"])
@pytest.mark.parametrize("modality", ["CT", "MR_T1", "PET"])
def test_equal_to_the_supplied_masks(scene_from, shared_data, tmp_path, case, modality):
    """The same voxels, the same affine as the masks that came with the data."""
    supplied = nib.load(shared_data / case / "nifti" / f"{modality}_mask.nii.gz")
    voxels = np.asarray(supplied.dataobj) > 0
    paths = sorted((shared_data / case / modality / "image").glob("*.dcm"))
    scene = scene_from(paths, {"GTV": voxels.transpose(2, 1, 0)})
    (output,) = writer("nifti")(scene, tmp_path)
    ours = nib.load(output.path)
    assert np.array_equal(np.asarray(ours.dataobj) > 0, voxels)
    assert ours.affine == pytest.approx(supplied.affine, abs=2e-3)


@pytest.mark.peers
@pytest.mark.skipif(not shutil.which("plastimatch"), reason="no plastimatch")
@pytest.mark.parametrize("name", ["nifti", "nrrd"])
def test_plastimatch_reads_the_same_geometry(make_scene, tmp_path, name):
    scene = make_scene(masks={"a": block()}, orientation=OBLIQUE, spacing=(0.5, 2.0))
    (output,) = writer(name)(scene, tmp_path)
    said = subprocess.run(
        ["plastimatch", "header", output.path], capture_output=True, text=True, check=True
    ).stdout
    assert "Origin = -30.0000 -20.0000 50.0000" in said
    assert "Size = 30 20 4" in said
    assert "Spacing = 2.0000 0.5000 2.0000" in said
