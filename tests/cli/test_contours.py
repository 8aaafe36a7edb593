"""``isocenter contours``, as a person calls it."""

import json
import os
import re
import subprocess
import sys

import nibabel as nib
import numpy as np
import pydicom
import pytest

EXPECTED = {  # EXPECTED.md: contours, slices with contours, voxels, ml of the mask, ml of polygons
    ("rt_STS_001", "CT"): (32, 31, 117145, 365.318, 365.174),
    ("rt_STS_001", "MR_T1"): (32, 31, 117145, 365.313, 365.170),
    ("rt_STS_001", "PET"): (32, 31, 5095, 366.079, 365.181),
    ("rt_STS_006", "CT"): (49, 47, 83436, 260.196, 260.070),
    ("rt_STS_006", "MR_T1"): (49, 47, 83436, 260.196, 260.069),
    ("rt_STS_006", "PET"): (49, 47, 5197, 259.311, 260.069),
}


def contours(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "isocenter.cli.main", "contours", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


@pytest.fixture(scope="module")
def six_pairs(shared_data, tmp_path_factory):
    """Both cases, drawn once with all that is checked below."""
    out = tmp_path_factory.mktemp("six")
    for case in ("rt_STS_001", "rt_STS_006"):
        done = contours(
            shared_data / case, "--out", out / case, "--formats", "seg,nifti,nrrd", "--report"
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    return out


def pair_of(out, case, modality):
    summary = json.loads((out / case / "summary.json").read_text(encoding="utf-8"))
    assert len(summary["pairs"]) == 3
    wanted = {"MR_T1": "MR", "PET": "PT"}.get(modality, modality)
    (pair,) = (p for p in summary["pairs"] if p["modality"] == wanted)
    return pair


@pytest.mark.parametrize(("case", "modality"), EXPECTED)
def test_summary_of_the_real_pairs(six_pairs, case, modality):
    number, planes, voxels, volume, polygons = EXPECTED[(case, modality)]
    pair = pair_of(six_pairs, case, modality)
    assert pair["series_uid"].startswith("1.3.6.1.4.1.14519")
    assert pair["rtstruct_uid"].startswith("1.3.6.1.4.1.14519")
    (roi,) = pair["rois"]
    assert roi["name"] == f"GTV_Mass_{modality}"
    assert (roi["contours"], roi["planes"], roi["voxels"]) == (number, planes, voxels)
    assert roi["volume_ml"] == pytest.approx(volume, abs=1e-3)
    assert roi["polygon_volume_ml"] == pytest.approx(polygons, abs=2e-3)
    assert set(roi) >= {"number", "type", "warnings"}


@pytest.mark.parametrize(("case", "modality"), EXPECTED)
def test_masks_equal_the_supplied_ones(six_pairs, shared_data, case, modality):
    """Dice 1.0: every voxel, and the same affine."""
    folder = six_pairs / case / pair_of(six_pairs, case, modality)["folder"]
    ours = nib.load(folder / "nifti" / f"GTV_Mass_{modality}.nii.gz")
    theirs = nib.load(shared_data / case / "nifti" / f"{modality}_mask.nii.gz")
    assert np.array_equal(np.asarray(ours.dataobj) > 0, np.asarray(theirs.dataobj) > 0)
    assert ours.affine == pytest.approx(theirs.affine, abs=2e-3)
    ds = pydicom.dcmread(folder / "seg" / "seg.dcm")
    assert int(ds.pixel_array.sum()) == EXPECTED[(case, modality)][2]


def test_report_is_written(six_pairs):
    page = (six_pairs / "rt_STS_001" / "report.html").read_text(encoding="utf-8")
    assert "GTV_Mass_CT" in page
    assert "STS_001" not in page.replace("rt_STS_001", "")  # the patient's ID
    report = json.loads((six_pairs / "rt_STS_001" / "report.json").read_text(encoding="utf-8"))
    assert report["state"] == "done"
    assert len(report["pairs"]) == 3


def test_same_call_same_bytes(shared_data, tmp_path):
    trees = []
    for name in ("first", "second"):
        done = contours(
            *(shared_data / "rt_STS_001" / "PET", "--out", tmp_path / name),
            *("--formats", "all", "--made-at", "2026-03-04T05:06:07"),
        )
        assert done.returncode == 0, done.stderr
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        trees.append({str(p.relative_to(tmp_path / name)): p.read_bytes() for p in files})
    assert trees[0] == trees[1]
    kinds = {name.split("/")[1] for name in trees[0] if "/" in name}
    assert kinds == {"overlay", "seg", "nifti", "nrrd", "stl", "preview"}
    assert "summary.json" in trees[0]


def test_choice_of_rois(shared_data, tmp_path):
    source = shared_data / "rt_phantom_rtutils"
    done = contours(
        *(source, "--out", tmp_path / "out", "--formats", "nifti", "--json"),
        *("--ignore", "roi-4", "--include", "ROI-[1234]", "--exclude", "3$"),
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert [roi["name"] for roi in summary["pairs"][0]["rois"]] == ["ROI-1", "ROI-2"]
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    made = sorted(p.name for p in (tmp_path / "out").rglob("*.nii.gz"))
    assert made == ["ROI-1.nii.gz", "ROI-2.nii.gz"]


def test_all_rois_ignored_is_said_and_fails(shared_data, tmp_path):
    done = contours(
        shared_data / "rt_STS_001" / "PET", "--out", tmp_path / "out", "--ignore", "gtv"
    )
    assert done.returncode == 1
    assert "nothing was drawn" in done.stderr
    assert "no ROI is left" in done.stderr
    assert (tmp_path / "out" / "summary.json").exists()


def test_no_structure_set_is_said_and_fails(shared_data, tmp_path):
    done = contours(shared_data / "rt_STS_001" / "PET" / "image", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "there is no RT Structure Set" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--formats", "overlay,pdf"], "pdf"),
        (["--include", "("], "regular expression"),
        (["--nesting", "odd"], "depth"),
        (["--burn-in", " "], "printable"),
    ],
)
def test_wrong_options_are_usage_errors(shared_data, tmp_path, arguments, said):
    done = contours(shared_data / "rt_STS_001", "--out", tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_path_that_is_not_there(tmp_path):
    done = contours(tmp_path / "none", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "none" in re.sub(r"\W", "", done.stderr)  # a long path is broken in a box


def test_burn_in_and_planes_per_roi(shared_data, tmp_path):
    done = contours(
        *(shared_data / "rt_phantom_rtutils", "--out", tmp_path / "out"),
        *("--per-roi", "--burn-in", "RESEARCH"),
    )
    assert done.returncode == 0, done.stderr
    overlays = sorted((tmp_path / "out").rglob("overlay/*.dcm"))
    ds = pydicom.dcmread(overlays[0])
    assert ds[0x6006, 0x1500].value == "ROI-4"
    assert ds.BurnedInAnnotation in ("YES", "NO")
