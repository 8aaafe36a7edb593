"""A disclaimer in the pixels: inside its box, and nowhere else."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from isocenter.core.contours import burn_in_job
from isocenter.core.contours.burn_in import burn_text
from isocenter.core.contours.burn_in_series import burn_in_series
from isocenter.core.contours.options import BurnIn
from isocenter.core.contours.text_box import place
from isocenter.core.dicom.pixels import decode_frames
from isocenter.core.dicom.reading import read_dataset
from isocenter.core.errors import ConfigurationError, DataSetError, DicomError, PixelError

MADE_AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SHORT = BurnIn("RESEARCH")


def burnt(path: Path, out: Path, options: BurnIn = SHORT) -> Dataset:
    out.mkdir(exist_ok=True)
    burn_in_series([path], out, options, made_at=MADE_AT, determinant="d", replaces_input=False)
    return read_dataset(out / "0001.dcm")


def outside(frames: np.ndarray, options: BurnIn = SHORT) -> np.ndarray:
    box = place(options, frames.shape[1], frames.shape[2])
    kept = frames.copy()
    kept[(slice(None), *box.window)] = 0
    return kept


def check_box_only(path: Path, out: Path) -> Dataset:
    before = decode_frames(read_dataset(path))
    after_ds = burnt(path, out)
    after = decode_frames(after_ds)
    assert after.dtype == before.dtype
    np.testing.assert_array_equal(outside(after), outside(before))
    assert not np.array_equal(after, before)
    return after_ds


DEPTHS: list[dict[str, Any]] = [
    {"pixel_type": "<u1"},
    {"pixel_type": "<i1"},
    {"pixel_type": "<u2"},
    {"pixel_type": "<i2"},
    {"pixel_type": "<u2", "BitsStored": 12, "HighBit": 11},
    {"pixel_type": "<i2", "BitsStored": 12, "HighBit": 11},
    {"pixel_type": "<u4"},
    {"pixel_type": "<u2", "modality": "MR"},
    {"pixel_type": "<u2", "PhotometricInterpretation": "MONOCHROME1"},
]


@pytest.mark.parametrize("attributes", DEPTHS, ids=str)
def test_native_images_of_any_depth(
    make_study: Callable[..., Any], tmp_path: Path, attributes: dict[str, Any]
) -> None:
    study = make_study(levels=(0,), rows=64, columns=96, **attributes)
    after = check_box_only(study.paths[0], tmp_path / "out")
    before = study.datasets[0]
    for keyword in ("RescaleSlope", "RescaleIntercept", "BitsStored", "PixelRepresentation"):
        assert after[keyword] == before[keyword]
    assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID


def test_text_has_the_range_of_the_image_so_that_an_automatic_window_stays(
    make_study: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study(levels=(0,), rows=64, columns=96)
    before = decode_frames(study.datasets[0])
    after = decode_frames(burnt(study.paths[0], tmp_path / "out"))
    assert (after.min(), after.max()) == (before.min(), before.max())


def test_text_reaches_the_window_where_the_image_does_not(
    make_study: Callable[..., Any], tmp_path: Path
) -> None:
    # rescale is 2 x - 1024: a window of -400..1600 is 312..1312 in stored values
    study = make_study(levels=(0,), rows=64, columns=96, WindowCenter=600, WindowWidth=2000)
    assert decode_frames(burnt(study.paths[0], tmp_path / "out")).max() == 1312


def test_bits_above_those_stored_keep_an_old_overlay(
    make_study: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study(levels=(0,), rows=64, columns=96, pixel_type="<u2", BitsStored=12)
    words = np.frombuffer(study.datasets[0].PixelData, "<u2") | 0x8000
    study.datasets[0].PixelData = words.tobytes()
    study.datasets[0].save_as(study.paths[0])
    after = np.frombuffer(burnt(study.paths[0], tmp_path / "out").PixelData, "<u2")
    assert (after & 0xF000 == 0x8000).all()
    assert (after != words).any()


def test_a_flat_image_gets_text_that_can_be_seen(
    make_study: Callable[..., Any], tmp_path: Path
) -> None:
    flat = np.zeros((64, 96), "<i2").tobytes()
    study = make_study(levels=(0,), rows=64, columns=96, PixelData=flat)
    after = decode_frames(burnt(study.paths[0], tmp_path / "out"))
    assert int(after.max()) - int(after.min()) > 1000


@pytest.mark.parametrize("planar", [0, 1])
def test_colour_by_pixel_and_by_plane(
    make_study: Callable[..., Any], tmp_path: Path, planar: int
) -> None:
    values = np.random.default_rng(1).integers(0, 200, (64, 96, 3)).astype("u1")
    stored = np.moveaxis(values, -1, 0) if planar else values
    study = make_study(
        levels=(0,),
        rows=64,
        columns=96,
        pixel_type="<u1",
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=planar,
        PixelData=stored.tobytes(),
    )
    after = burnt(study.paths[0], tmp_path / "out")
    assert after.PlanarConfiguration == planar
    raw = np.frombuffer(after.PixelData, "u1")
    pixels = np.moveaxis(raw.reshape(3, 64, 96), 0, -1) if planar else raw.reshape(64, 96, 3)
    np.testing.assert_array_equal(outside(pixels[None]), outside(values[None]))
    assert pixels.max() == 255


REAL = [
    "ct_chest_ACRIN/image/001.dcm",
    "xray/dx_image.dcm",
    "xray/RG1_J2KI.dcm",
    "xray/RG2_JPLL",
    "xray/RG3_J2KR.dcm",
    "us_burned_in/ctbrain1.dcm",
    "us_burned_in/image1.dcm",
]


@pytest.mark.parametrize("name", REAL)
def test_real_images(shared_data: Path, tmp_path: Path, name: str) -> None:
    path = shared_data / name
    before = read_dataset(path)
    after = check_box_only(path, tmp_path / "out")
    assert after.file_meta.TransferSyntaxUID in (
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
    )
    assert after.get("LossyImageCompression") == before.get("LossyImageCompression")


def test_every_shared_transfer_syntax_is_drawn_on_or_refused_by_name(
    shared_data: Path, tmp_path: Path
) -> None:
    drawn, refused = 0, []
    for path in sorted((shared_data / "transfer_syntaxes").rglob("*")):
        try:
            before = read_dataset(path) if path.is_file() else Dataset()
            frames = decode_frames(before) if "PixelData" in before else None
        except DicomError:
            continue
        if frames is None or not np.issubdtype(frames.dtype, np.integer):
            continue
        try:
            check_box_only(path, tmp_path / "out")
            drawn += 1
        except PixelError as error:
            refused.append((str(error), before.PhotometricInterpretation))
        except DataSetError:
            assert "SOPInstanceUID" not in before
    assert drawn >= 20
    for said, photometric in refused:
        assert photometric in said or "too small" in said or "1 bits" in said


def test_burned_in_annotation_says_what_the_standard_means(
    make_study: Callable[..., Any], tmp_path: Path
) -> None:
    """YES is for text that identifies the patient; a disclaimer does not."""
    silent = make_study(levels=(0,), rows=64, columns=96)
    assert burnt(silent.paths[0], tmp_path / "a").BurnedInAnnotation == "NO"
    yes = make_study(levels=(0,), rows=64, columns=96, name="2", BurnedInAnnotation="YES")
    assert burnt(yes.paths[0], tmp_path / "b").BurnedInAnnotation == "YES"
    other = make_study(levels=(0,), rows=64, columns=96, name="3")
    other.datasets[0].SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    other.datasets[0].save_as(other.paths[0])
    assert "BurnedInAnnotation" not in burnt(other.paths[0], tmp_path / "c")


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR"),
        ({"rows": 6, "columns": 8}, "too small"),
        ({"BitsAllocated": 1}, "1 bits"),
    ],
)
def test_what_cannot_take_text_is_refused_by_name(
    make_study: Callable[..., Any], attributes: dict[str, Any], said: str
) -> None:
    study = make_study(levels=(0,), **attributes)
    with pytest.raises(PixelError, match=said):
        burn_text(read_dataset(study.paths[0]), SHORT)


def test_a_letter_that_the_font_lacks_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no letter"):
        place(BurnIn("研究用"), 512, 512)


@pytest.mark.parametrize("position", ["top-left", "top-right", "bottom-left", "bottom-right"])
def test_the_text_is_in_its_corner(position: str) -> None:
    box = place(BurnIn(position=position), 256, 512)
    rows, columns = box.window
    assert (rows.stop <= 128) == position.startswith("top")
    assert rows.start >= 0
    assert rows.stop <= 256
    assert columns.stop <= 512
    if position.endswith("right"):
        assert 512 - columns.stop == 10
    else:
        assert columns.start == 10


def test_text_that_is_too_wide_is_broken_into_lines_and_made_smaller() -> None:
    box = place(BurnIn(), 128, 128)
    assert box.cover.shape[1] <= 128
    assert box.cover.shape[0] <= 64


def test_the_job_replaces_a_series_and_knows_what_it_made(
    make_study: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study(rows=64, columns=96)
    request = {
        "series": [{"instances": [str(p) for p in study.paths], "kind": "overlay", "role": "x"}],
        "options": SHORT.to_json(),
        "made_at": MADE_AT.isoformat(),
        "out_dir": str(tmp_path / "one"),
    }
    first = burn_in_job.run(request, lambda fraction, message: None)
    again = burn_in_job.run(
        request | {"out_dir": str(tmp_path / "two")}, lambda fraction, message: None
    )
    assert [o["digest"] for o in first["outputs"]] == [o["digest"] for o in again["outputs"]]
    assert {o["kind"] for o in first["outputs"]} == {"overlay"}
    uids = {pydicom.dcmread(o["path"]).SOPInstanceUID for o in first["outputs"]}
    assert len(uids) == 4
    assert not uids & {ds.SOPInstanceUID for ds in study.datasets}
    known = [first["outputs"][0]["determinant"]]
    reused = burn_in_job.run(request | {"known": known}, lambda fraction, message: None)
    assert reused == {"outputs": [], "reused": known}


def test_nothing_warns_on_odd_attributes(make_study: Callable[..., Any], tmp_path: Path) -> None:
    study = make_study(
        levels=(0,), rows=64, columns=96, WindowCenter=[40, 50], WindowWidth=[400, 5]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        burnt(study.paths[0], tmp_path / "out")
