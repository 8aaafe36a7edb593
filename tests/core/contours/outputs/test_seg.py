"""The DICOM Segmentation, read back by code that is not ours."""

import shutil
import subprocess

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.pixels import unpack_bits

from isocenter.core.contours.options import ContourOptions
from isocenter.core.contours.outputs import writer
from isocenter.core.contours.structure_set import Code

OBLIQUE = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def two_masks(shape):
    first, second = np.zeros(shape, bool), np.zeros(shape, bool)
    first[1:3, 3:9, 4:20] = True
    second[0:4, 7:15, 10:25] = True
    return first, second


def read_frames(ds):
    """{(segment, position as text): plane}, by NumPy alone."""
    bits = np.unpackbits(np.frombuffer(ds.PixelData, np.uint8), bitorder="little")
    size = ds.Rows * ds.Columns
    planes = {}
    for i, item in enumerate(ds.PerFrameFunctionalGroupsSequence):
        segment = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        position = tuple(float(v) for v in item.PlanePositionSequence[0].ImagePositionPatient)
        planes[(segment, position)] = bits[i * size : (i + 1) * size].reshape(ds.Rows, ds.Columns)
    return planes


def write(scene, tmp_path):
    (output,) = writer("seg")(scene, tmp_path)
    return output, pydicom.dcmread(output.path)


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE, SAGITTAL])
@pytest.mark.parametrize(
    "heights", [[0, 2, 4, 6], [6, 4, 2, 0], [0, 2, 7, 8]], ids=["up", "down", "irregular"]
)
def test_every_voxel_is_where_its_slice_is(make_scene, tmp_path, orientation, heights):
    shape = (4, 21, 31)  # 651 pixels: frames do not end on bytes
    masks = two_masks(shape)
    scene = make_scene(
        shape,
        dict(zip("ab", masks, strict=True)),
        heights=heights,
        spacing=(0.5, 2.0),
        orientation=orientation,
    )
    _, ds = write(scene, tmp_path)
    planes = read_frames(ds)
    assert len(planes) == ds.NumberOfFrames == 2 + 4
    for number, mask in enumerate(masks, start=1):
        for index in range(shape[0]):
            position = tuple(float(v) for v in scene.series.headers[index].ImagePositionPatient)
            if mask[index].any():
                assert np.array_equal(planes[(number, position)], mask[index])
            else:
                assert (number, position) not in planes
    shared = ds.SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].PixelSpacing == [0.5, 2.0]
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == pytest.approx(orientation)
    assert ("SpacingBetweenSlices" in shared.PixelMeasuresSequence[0]) == (heights[2] != 7)


def test_highdicom_reads_the_same_volume(make_scene, tmp_path):
    masks = two_masks((4, 20, 30))
    scene = make_scene((4, 20, 30), dict(zip("ab", masks, strict=True)), orientation=OBLIQUE)
    output, _ = write(scene, tmp_path)
    seg = hd.seg.segread(output.path)
    volume = seg.get_volume(combine_segments=False, rescale_fractional=False)
    planes = volume.array.astype(bool)  # slice, row, column, segment
    if not np.allclose(volume.affine[:3, 3], scene.stack.positions[0]):
        planes = planes[::-1]
    assert np.array_equal(planes[..., 0], masks[0])
    assert np.array_equal(planes[..., 1], masks[1])


def test_study_and_identity(make_scene, tmp_path):
    options = ContourOptions(segmentation_series_description="CONTOUR {}")
    mask, _ = two_masks((4, 20, 30))
    scene = make_scene(masks={"a": mask}, options=options, label="Größe")
    output, ds = write(scene, tmp_path)
    assert ds.PatientName == "Test^Jörg"
    assert (ds.PatientID, ds.StudyInstanceUID, ds.AccessionNumber) == ("P1", "1.2.3.1", "A1")
    assert ds.FrameOfReferenceUID == "1.2.3.3"
    assert (ds.Modality, ds.SeriesNumber) == ("SEG", 99)
    assert ds.SeriesDescription == "CONTOUR Größe"
    assert ds.ContentDate + ds.ContentTime == "20260304050607.000000"
    assert output.sop_uid == ds.SOPInstanceUID == scene.uid("seg", "instance")
    assert output.series_uid == ds.SeriesInstanceUID
    assert output.sop_class_uid == ds.SOPClassUID == ds.file_meta.MediaStorageSOPClassUID
    (series,) = ds.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == "1.2.3.2"
    assert [i.ReferencedSOPInstanceUID for i in series.ReferencedInstanceSequence] == list(
        scene.series.sop_uids
    )
    (structure_set,) = ds.ReferencedInstanceSequence
    assert structure_set.ReferencedSOPInstanceUID == "1.2.3.9.1"


def test_segments_say_what_they_are(make_scene, tmp_path):
    mask, _ = two_masks((4, 20, 30))
    masks = {
        "GTV": (mask, {"kind": "GTV", "colour": (255, 0, 0)}),
        "脑\\x": (mask, {"kind": "", "colour": None, "generation_algorithm": "AUTOMATIC"}),
        "Heart": (mask, {"codes": (Code("80891009", "SCT", "Heart"),), "description": "whole"}),
        "n" * 80: mask,
        "empty": mask & False,
    }
    _, ds = write(make_scene(masks=masks), tmp_path)
    gtv, brain, heart, long = ds.SegmentSequence
    assert gtv.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning == "RT Target"
    assert gtv.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "GTV"
    lab = hd.color.CIELabColor.from_dicom_value(gtv.RecommendedDisplayCIELabValue)
    assert lab.to_rgb() == pytest.approx((255, 0, 0), abs=1)
    assert brain.SegmentLabel == "脑 x"
    assert "RecommendedDisplayCIELabValue" not in brain
    assert brain.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Connective tissue"
    assert (brain.SegmentAlgorithmType, bool(brain.SegmentAlgorithmName)) == ("AUTOMATIC", True)
    assert heart.SegmentedPropertyTypeCodeSequence[0].CodeValue == "80891009"
    assert (heart.SegmentDescription, heart.SegmentAlgorithmType) == ("whole", "MANUAL")
    assert len(long.SegmentLabel) == 64
    assert len({s.TrackingUID for s in ds.SegmentSequence}) == 4


def test_nothing_drawn_makes_no_object(make_scene, tmp_path):
    assert writer("seg")(make_scene(masks={"a": np.zeros((4, 20, 30), bool)}), tmp_path) == []


def test_same_scene_same_bytes(make_scene, tmp_path):
    mask, _ = two_masks((4, 20, 30))
    files = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        output, _ = write(make_scene(masks={"a": mask}), tmp_path / name)
        files.append(output.path.read_bytes())
    assert files[0] == files[1]
    other, _ = write(make_scene(masks={"a": mask}, determinant="01"), tmp_path / "second")
    assert other.path.read_bytes() != files[0]


def test_images_that_lack_what_they_should_have(make_scene, tmp_path):
    mask, _ = two_masks((4, 20, 30))
    scene = make_scene(masks={"a": mask})
    for header in scene.series.headers:
        for keyword in ("AccessionNumber", "PatientBirthDate", "PositionReferenceIndicator"):
            delattr(header, keyword)
        header.PatientSex = "X"
    _, ds = write(scene, tmp_path)
    assert (ds.AccessionNumber, ds.PatientBirthDate, ds.PatientSex) == ("", "", "X")


def test_masks_of_lossy_images_say_so(make_scene, tmp_path):
    mask, _ = two_masks((4, 20, 30))
    scene = make_scene(
        masks={"a": mask},
        LossyImageCompression="01",
        LossyImageCompressionRatio="10",
        LossyImageCompressionMethod="ISO_10918_1",
    )
    _, ds = write(scene, tmp_path)
    assert (ds.LossyImageCompression, ds.LossyImageCompressionRatio) == ("01", 10)


def test_pydicom_and_numpy_agree_on_the_bits(make_scene, tmp_path):
    mask, _ = two_masks((4, 21, 31))
    _, ds = write(make_scene((4, 21, 31), {"a": mask}), tmp_path)
    assert np.array_equal(ds.pixel_array.astype(bool), mask[1:3])
    assert len(ds.PixelData) % 2 == 0
    assert unpack_bits(ds.PixelData)[: 2 * 21 * 31].sum() == mask.sum()


@pytest.mark.peers
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="no dicom3tools")
def test_validator_finds_no_error(make_scene, tmp_path, modality):
    mask, other = two_masks((4, 20, 30))
    masks = {"GTV": (mask, {"kind": "GTV"}), "Größe 脑": (other, {"kind": ""})}
    output, _ = write(make_scene(masks=masks, modality=modality), tmp_path)
    said = subprocess.run(["dciodvfy", output.path], capture_output=True, text=True, check=False)
    assert said.returncode == 0
    assert "Error" not in said.stderr + said.stdout
    subprocess.run(["dcmdump", "-q", output.path], capture_output=True, check=True)
