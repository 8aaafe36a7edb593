"""Small pictures of real images: right proportions, right colours, something to be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from isocenter.core.errors import DicomError
from isocenter.core.thumbnails import SIZE, frame, render
from isocenter.core.thumbnails.job import run


def levels(path: Path) -> np.ndarray:
    return np.asarray(render(path).image)


@pytest.mark.parametrize(
    "name",
    [
        "us/GREYSCALE_IMAGE.dcm",
        "xray/RG1_J2KI.dcm",
        "xray/RG2_JPLL",
        "xray/RG3_J2KR.dcm",
        "mr_enhanced_Philips/IM_0027_fMAP.dcm",
        "us_burned_in/image1.dcm",
    ],
)
def test_images_show_something(shared_data: Path, name: str) -> None:
    picture = render(shared_data / name).image
    assert max(picture.size) == SIZE
    assert np.asarray(picture).std() > 5


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb.dcm",
        "SC_rgb_16bit.dcm",
        "SC_rgb_32bit.dcm",
        "SC_rgb_rle.dcm",
        "SC_rgb_gdcm_KY.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_dcmtk_pebpcyps2.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_jls_lossy_sample.dcm",
    ],
)
def test_colours_are_the_same_in_every_encoding(shared_data: Path, name: str) -> None:
    (path,) = shared_data.rglob(name)
    red, green, blue = levels(path)[8, 90].tolist()
    assert red > 250
    assert green < 5
    assert blue < 5


def test_identity_in_the_pixels_is_told(shared_data: Path) -> None:
    assert render(shared_data / "us/GREYSCALE_IMAGE.dcm").burned_in
    assert not render(shared_data / "xray/RG3_J2KR.dcm").burned_in


def test_what_was_never_an_image_is_an_error_that_says_so(shared_data: Path) -> None:
    with pytest.raises(DicomError, match="no pixel data"):
        render(shared_data / "sr/test-SR.dcm")


def test_nothing_hostile_gets_out_as_anything_else(shared_data: Path) -> None:
    for path in sorted((shared_data / "malformed").rglob("*")):
        if path.is_file():
            try:
                assert max(render(path).image.size) == SIZE
            except DicomError:
                continue


def test_the_job_goes_on_after_a_broken_series(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.nice", lambda increment: 0)
    good, bad = shared_data / "xray/RG3_J2KR.dcm", shared_data / "sr/test-SR.dcm"
    series = [
        {"key": "bad", "paths": [str(bad)], "out": str(tmp_path / "bad.png")},
        {"key": "gone", "paths": [str(tmp_path / "x")], "out": str(tmp_path / "gone.png")},
        {"key": "good", "paths": [str(bad), str(good)], "out": str(tmp_path / "good.png")},
    ]
    answer = run({"series": series}, lambda fraction, message: None)
    assert [(item["key"], item["reason"]) for item in answer["results"]] == [
        ("bad", "the data set has no pixel data"),
        ("gone", "the file cannot be read: No such file or directory"),
        ("good", ""),
    ]
    with Image.open(tmp_path / "good.png") as picture:
        assert max(picture.size) == SIZE


@pytest.mark.parametrize("is_encapsulated", [False, True])
def test_the_middle_frame_is_read_alone_and_looks_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_encapsulated: bool
) -> None:
    path = tmp_path / "many.dcm"
    many_frames(path, is_encapsulated=is_encapsulated)
    whole = levels(path)
    read: list[bool] = []
    original = frame.frame_bytes
    monkeypatch.setattr(frame, "_SMALL_BYTES", 0)
    monkeypatch.setattr(
        frame, "frame_bytes", lambda *given: (read.append(True), original(*given))[1]
    )
    assert np.array_equal(levels(path), whole)
    assert read


def many_frames(path: Path, *, is_encapsulated: bool) -> None:
    """Five frames of noise, each another."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7.3", "1.2.3"
    ds.Rows, ds.Columns, ds.NumberOfFrames = 40, 30, 5
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = np.random.default_rng(7).integers(0, 4096, (5, 40, 30), "<u2").tobytes()
    if is_encapsulated:
        ds.compress(RLELossless, generate_instance_uid=False)
    ds.save_as(path, enforce_file_format=True)
