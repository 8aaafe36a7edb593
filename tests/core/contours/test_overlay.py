"""The overlay series: the same images, pixel for pixel, with the masks beside them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from isocenter.core.contours.convert import Summary, convert
from isocenter.core.contours.options import BurnIn, ContourOptions
from isocenter.core.contours.overlay import packed
from isocenter.core.dicom.pixels import decode_frames
from isocenter.core.errors import ContourError

MADE_AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
STUDY = ("PatientID", "PatientName", "StudyInstanceUID", "StudyID", "FrameOfReferenceUID")


def overlays(folder: Path, out: Path, **options: Any) -> tuple[Summary, list[pydicom.Dataset]]:
    chosen = ContourOptions(formats=("overlay",), **options)
    summary = convert(folder, chosen, out, made_at=MADE_AT)
    return summary, [pydicom.dcmread(output.path) for output in summary.outputs]


def test_every_image_comes_again_with_its_pixels_and_the_mask(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    study.structure_set({"A": [(3, make_square(5, 6, 10))], "B": [(6, make_square(20, 8, 4))]})
    _, made = overlays(study.folder, tmp_path / "out")
    assert [ds.InstanceNumber for ds in made] == [1, 2, 3, 4]
    for source, ds in zip(study.datasets, made, strict=True):
        assert ds.PixelData == source.PixelData
        assert [ds[keyword].value for keyword in STUDY] == [source[k].value for k in STUDY]
        assert ds.SOPClassUID == source.SOPClassUID
        assert ds.ImageType == ["DERIVED", "SECONDARY", "AXIAL"]
        assert ds.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert ds.SeriesInstanceUID != source.SeriesInstanceUID
        assert ds.SeriesNumber == 98
        assert (ds.SeriesDate, ds.SeriesTime) == ("20260304", "050607.000000")
    areas = [int(ds.overlay_array(0x6000).sum()) for ds in made]
    assert areas == [0, 100, 16, 0]
    assert made[1].overlay_array(0x6000)[6:16, 5:15].all()
    assert made[1][0x6000, 0x0022].value == "A, B"


def test_statistics_are_of_modality_values_in_population(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    study.structure_set({"A": [(3, make_square(5, 6, 10))]})
    _, made = overlays(study.folder, tmp_path / "out")
    inside = decode_frames(study.datasets[1])[0, 6:16, 5:15] * 2.0 - 1024
    assert made[1][0x6000, 0x1301].value == 100
    assert made[1][0x6000, 0x1302].value == pytest.approx(inside.mean(), rel=1e-9)
    assert made[1][0x6000, 0x1303].value == pytest.approx(inside.std(), rel=1e-9)
    assert (0x6000, 0x1302) not in made[0]


def test_graphics_have_no_statistics(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    study.structure_set({"A": [(3, make_square(5, 6, 10))]})
    _, made = overlays(study.folder, tmp_path / "out", overlay_type="G")
    assert made[1][0x6000, 0x0040].value == "G"
    assert (0x6000, 0x1301) not in made[1]


def test_one_plane_per_roi_with_its_name(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    rois = {"Lunge_rechts": [(3, make_square(5, 6, 10))], "Tumör": [(3, make_square(20, 8, 4))]}
    study.structure_set(rois)
    _, made = overlays(study.folder, tmp_path / "out", overlay_mode="per-roi")
    labels = [str(made[1][group, 0x1500].value) for group in (0x6000, 0x6002)]
    assert labels == ["Lunge_rechts", "Tumör"]
    assert [int(made[1].overlay_array(g).sum()) for g in (0x6000, 0x6002)] == [100, 16]


def test_a_name_that_the_character_set_lacks_leaves_the_patient_alone(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    study.structure_set(
        {"腫瘍": [(3, make_square(5, 6, 10))], "ΓTV 1": [(3, make_square(1, 1, 2))]}
    )
    _, made = overlays(study.folder, tmp_path / "out", overlay_mode="per-roi")
    assert str(made[0].PatientName) == "Test^Jörg"
    assert made[0].SpecificCharacterSet == "ISO_IR 100"
    assert made[0][0x6000, 0x1500].value == "Overlay 6000"
    assert made[0][0x6002, 0x1500].value == "TV 1"


def test_more_rois_than_groups_make_several_series(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    study.structure_set({f"R{i}": [(3, make_square(i % 9, i // 9, 8))] for i in range(20)})
    summary, made = overlays(study.folder, tmp_path / "out", overlay_mode="per-roi")
    series = sorted(
        {ds.SeriesInstanceUID for ds in made}, key=[d.SeriesInstanceUID for d in made].index
    )
    assert len(made) == 8
    assert len(series) == 2
    assert made[0].SeriesDescription.endswith("(1/2)")
    assert made[4].SeriesDescription.endswith("(2/2)")
    assert made[0][0x601E, 0x1500].value == "R15"
    assert made[4][0x6000, 0x1500].value == "R16"
    assert len({output.path for output in summary.outputs}) == 8


def test_groups_that_are_taken_are_kept_and_passed_over(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    old = np.zeros((32, 48), bool)
    old[3, 4] = True
    for index, (ds, path) in enumerate(zip(study.datasets, study.paths, strict=True)):
        if index == 2:  # on one image of the series alone
            ds.add_new((0x6000, 0x0010), "US", 32)
            ds.add_new((0x6000, 0x0011), "US", 48)
            ds.add_new((0x6000, 0x3000), "OW", packed(old))
        ds.add_new((0x6004, 0x0022), "LO", "also taken")
        ds.save_as(path)
    study.structure_set({"A": [(3, make_square(5, 6, 10))], "B": [(3, make_square(20, 8, 4))]})
    _, made = overlays(study.folder, tmp_path / "out", overlay_mode="per-roi")
    assert made[1][0x6002, 0x1500].value == "A"
    assert made[1][0x6006, 0x1500].value == "B"
    assert made[2][0x6000, 0x3000].value == packed(old)


def test_no_free_group_is_an_error_that_says_so(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study(levels=(0, 3))
    for ds, path in zip(study.datasets, study.paths, strict=True):
        for group in range(0x6000, 0x6020, 2):
            ds.add_new((group, 0x0022), "LO", "taken")
        ds.save_as(path)
    study.structure_set({"A": [(3, make_square(5, 6, 10))]})
    with pytest.raises(ContourError, match="16 overlay groups"):
        overlays(study.folder, tmp_path / "out")


def test_series_attributes_are_those_that_were_asked_for(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    study.structure_set({"A": [(3, make_square(5, 6, 10))]})
    _, made = overlays(
        study.folder,
        tmp_path / "out",
        series_number=999,
        series_description="mine",
        study_id="RTPlanShare",
    )
    assert (made[0].SeriesNumber, made[0].SeriesDescription) == (999, "mine")
    assert made[0].StudyID == "RTPlanShare"


def test_same_input_and_time_give_the_same_bytes(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    study.structure_set({"A": [(3, make_square(5, 6, 10))]})
    first, _ = overlays(study.folder, tmp_path / "a", burn_in=BurnIn("TEST"))
    second, _ = overlays(study.folder, tmp_path / "b", burn_in=BurnIn("TEST"))
    for one, other in zip(first.outputs, second.outputs, strict=True):
        assert one.path.read_bytes() == other.path.read_bytes()


def test_compressed_pixels_stay_the_bytes_they_were(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    for ds, path in zip(study.datasets, study.paths, strict=True):
        ds.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
        ds.save_as(path)
    study.structure_set({"A": [(3, make_square(5, 6, 10))]})
    _, made = overlays(study.folder, tmp_path / "out")
    for source, ds in zip(study.datasets, made, strict=True):
        assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.5"
        assert ds.PixelData == source.PixelData
    assert (0x6000, 0x1302) in made[1]


def test_big_endian_images_get_overlays_in_their_own_order(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    for ds, path in zip(study.datasets, study.paths, strict=True):
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.2"
        ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
        ds.set_original_encoding(False, False)
        ds.save_as(path, implicit_vr=False, little_endian=False)
    study.structure_set({"A": [(3, make_square(5, 6, 10))]})
    _, made = overlays(study.folder, tmp_path / "out")
    assert made[1].PixelData == study.datasets[1].PixelData
    bits = np.frombuffer(made[1][0x6000, 0x3000].value, ">u2").astype("<u2").view("u1")
    plane = np.unpackbits(bits, bitorder="little")[: 32 * 48].reshape(32, 48)
    assert plane[6:16, 5:15].all()
    assert plane.sum() == 100


@pytest.mark.parametrize("shape", [(3, 3), (5, 7), (1, 1), (16, 16)])
def test_overlay_bits_of_any_size_come_back(shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(3).random(shape) > 0.5
    data = packed(mask)
    assert len(data) % 2 == 0
    bits = np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")
    assert np.array_equal(bits[: mask.size].reshape(shape), mask)


def complaints(path: Path) -> set[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode >= 0, "dciodvfy crashed"
    said = done.stdout + done.stderr
    assert "Image" in said, f"dciodvfy says nothing of {path.name}: {said[:200]}"
    return {line for line in said.splitlines() if line.startswith("Error")}


@pytest.mark.peers
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="no dciodvfy (dicom3tools)")
@pytest.mark.parametrize("case", ["rt_STS_001/CT", "rt_STS_001/MR_T1", "rt_STS_006/PET"])
@pytest.mark.parametrize("burn_in", [None, BurnIn()])
def test_dciodvfy_has_no_complaint_that_it_did_not_have_of_the_input(
    shared_data: Path, tmp_path: Path, case: str, burn_in: BurnIn | None
) -> None:
    summary, made = overlays(
        shared_data / case, tmp_path / "out", overlay_mode="per-roi", burn_in=burn_in
    )
    sources = {
        pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID: p
        for p in (shared_data / case / "image").iterdir()
    }
    for output, ds in list(zip(summary.outputs, made, strict=True))[::12]:
        source = sources[ds.SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert complaints(output.path) <= complaints(source)
