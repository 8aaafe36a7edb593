"""Folder in, drawn contours out: real pairs, and what a person is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isocenter.core.contours import job
from isocenter.core.contours.convert import convert
from isocenter.core.contours.draw import draw_structure_set
from isocenter.core.contours.image_series import Pair, load_series
from isocenter.core.contours.options import ContourOptions, RoiChoice
from isocenter.core.contours.pairing import pair
from isocenter.core.contours.sources import files_under, sort_out
from isocenter.core.errors import ContourError, GeometryError
from isocenter.core.phantoms import head_phantom

MADE_AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

# case, series: polygons, planes, voxels, volume (mask), volume (polygons)
REAL = {
    ("rt_STS_001", "CT"): (32, 31, 117145, 365.318, 365.174),
    ("rt_STS_001", "MR_T1"): (32, 31, 117145, 365.313, 365.170),
    ("rt_STS_001", "PET"): (32, 31, 5095, 366.079, 365.181),
    ("rt_STS_006", "CT"): (49, 47, 83436, 260.196, 260.070),
    ("rt_STS_006", "MR_T1"): (49, 47, 83436, 260.196, 260.069),
    ("rt_STS_006", "PET"): (49, 47, 5197, 259.311, 260.069),
}


def only_pair(folder: Path) -> Pair:
    sources = sort_out(files_under([folder]))
    (found,) = pair(sources.structure_sets, sources.series, load_series).pairs
    return found


def run(folder: Path, out: Path, **options: Any) -> dict[str, Any]:
    chosen = ContourOptions(formats=("json",), **options)
    convert(folder, chosen, out, made_at=MADE_AT)
    said: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return said


@pytest.mark.parametrize(("case", "series"), REAL, ids="-".join)
def test_the_real_pairs_have_exactly_the_voxels_that_are_expected(
    shared_data: Path, case: str, series: str
) -> None:
    import nibabel

    found = only_pair(shared_data / case / series)
    (mask,) = draw_structure_set(found, RoiChoice()).masks
    contours, planes, voxels, volume, polygon_volume = REAL[case, series]
    assert (mask.contours, mask.planes, mask.voxels) == (contours, planes, voxels)
    assert mask.volume_ml == pytest.approx(volume, abs=6e-4)
    assert mask.polygon_volume_ml == pytest.approx(polygon_volume, abs=6e-4)
    nifti = nibabel.load(shared_data / case / "nifti" / f"{series}_mask.nii.gz")
    theirs = np.argwhere(np.asarray(nifti.dataobj) > 0)
    k, r, c = np.nonzero(mask.full())
    lps = found.series.stack.affine() @ np.stack([c, r, k, np.ones_like(c)])
    ours = np.linalg.inv(nifti.affine) @ np.diag([-1, -1, 1, 1]) @ lps
    assert {tuple(v) for v in np.rint(ours[:3].T).astype(int)} == {tuple(v) for v in theirs}
    assert found.warnings[0].endswith("contours go to slices by geometry")


def test_a_missing_slice_is_told(tmp_path: Path) -> None:
    phantom = head_phantom("gap", slices=12, rows=48, columns=48, spacing_mm=4.2,
                           slice_distance_mm=14.0)  # fmt: skip
    files = phantom.write(tmp_path / "in")
    whole = run(tmp_path / "in", tmp_path / "whole")
    files[5].unlink()
    holed = run(tmp_path / "in", tmp_path / "holed")
    assert whole["pairs"][0]["warnings"] == []
    (warning,) = [text for text in holed["pairs"][0]["warnings"] if "evenly" in text]
    assert "28.00 mm behind the slice at" in warning
    assert "elsewhere 14.00 mm" in warning


def test_a_whole_study_pairs_each_structure_set_with_its_series(
    shared_data: Path, tmp_path: Path
) -> None:
    said = run(shared_data / "rt_STS_001", tmp_path / "out")
    assert sorted(entry["modality"] for entry in said["pairs"]) == ["CT", "MR", "PT"]
    voxels = {entry["modality"]: entry["rois"][0]["voxels"] for entry in said["pairs"]}
    assert voxels == {"CT": 117145, "MR": 117145, "PT": 5095}
    keys = {"number", "name", "type", "contours", "planes", "voxels", "volume_ml"}
    assert keys | {"polygon_volume_ml", "warnings"} <= said["pairs"][0]["rois"][0].keys()
    assert said["problems"] == []


def test_a_contour_off_every_slice_is_left_out_and_reported(
    shared_data: Path, tmp_path: Path
) -> None:
    said = run(shared_data / "rt_phantom_rtutils", tmp_path / "out")
    (entry,) = said["pairs"]  # the two files are the same structure set
    assert [roi["planes"] for roi in entry["rois"]] == [2, 2, 2, 2]
    assert entry["rois"][1]["volume_ml"] == pytest.approx(4.41, abs=0.01)
    for roi in entry["rois"]:
        assert roi["skipped_contours"] == 1
        assert "70.00 mm" in roi["warnings"][0]
    (problem,) = said["problems"]
    assert "another frame of reference" in problem


def test_another_frame_of_reference_is_drawn_where_it_is_allowed(
    shared_data: Path, tmp_path: Path
) -> None:
    said = run(
        shared_data / "rt_phantom_rtutils", tmp_path / "o", allow_other_frame_of_reference=True
    )
    assert len(said["pairs"]) == 2
    assert any("was allowed" in w for entry in said["pairs"] for w in entry["warnings"])


def test_masks_from_contours_on_pixel_centres_stay_in_their_band(
    shared_data: Path, tmp_path: Path
) -> None:
    said = run(shared_data / "ct_chest_ACRIN", tmp_path / "out")
    body, lungs = said["pairs"][0]["rois"]
    assert 2192580 <= body["voxels"] <= 2227453
    assert 321980 <= lungs["voxels"] <= 357871
    assert "67 contour(s) of fewer than three points skipped" in lungs["warnings"]


def test_one_slice_of_a_plan_shows_the_contours_of_that_slice(
    shared_data: Path, tmp_path: Path
) -> None:
    said = run(shared_data / "rt_plan_dose", tmp_path / "out")
    (entry,) = said["pairs"]
    assert entry["rois"][0]["name"] == "BODY"
    assert entry["rois"][0]["planes"] == 1
    assert entry["skipped_rois"][0]["reason"] == "it has no contours"


@pytest.mark.parametrize(
    ("refer", "matched_by"), [("series", "series"), ("images", "instances"), ("no", "geometry")]
)
def test_ways_to_find_the_series(
    make_study: Callable[..., Any],
    make_square: Callable[..., Any],
    tmp_path: Path,
    refer: str,
    matched_by: str,
) -> None:
    study = make_study()
    make_study(name="2", FrameOfReferenceUID="1.2.3.77")
    study.structure_set({"A": [(3, make_square(5, 6, 10))]}, refer=refer)
    said = run(study.folder, tmp_path / "out")
    assert [entry["matched_by"] for entry in said["pairs"]] == [matched_by]
    assert said["pairs"][0]["series_uid"] == study.series_uid


def test_by_geometry_only_series_whose_slices_fit_are_drawn_on(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    make_study(name="2", levels=(1.4, 4.4, 7.4))  # same frame of reference, other planes
    study.structure_set({"A": [(3, make_square(5, 6, 10))]}, refer="no")
    said = run(study.folder, tmp_path / "out")
    assert [entry["series_uid"] for entry in said["pairs"]] == [study.series_uid]


def test_several_structure_sets_and_series_are_pairs_of_their_own(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    one, two = make_study(), make_study(name="2", modality="MR")
    one.structure_set({"A": [(3, make_square(5, 6, 10))]})
    two.structure_set({"B": [(6, make_square(5, 6, 4))]}, name="other")
    said = run(one.folder, tmp_path / "out")
    found = {(e["modality"], e["rois"][0]["name"], e["folder"]) for e in said["pairs"]}
    assert found == {("CT", "A", "CT_plan"), ("MR", "B", "MR_plan")}


def test_an_roi_in_another_frame_of_reference_is_left_out_alone(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    def move(ds: Any) -> None:
        ds.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = "1.2.3.77"

    study = make_study()
    rois = {"A": [(3, make_square(5, 6, 10))], "B": [(3, make_square(5, 6, 4))]}
    study.structure_set(rois, change=move)
    said = run(study.folder, tmp_path / "out")
    assert [roi["name"] for roi in said["pairs"][0]["rois"]] == ["A"]
    assert "another frame of reference" in said["pairs"][0]["skipped_rois"][0]["reason"]


def test_no_roi_left_is_said_with_the_reasons_and_is_an_error_where_one_is_required(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    study.structure_set({"Skull": [(3, make_square(5, 6, 10))]})
    said = run(study.folder, tmp_path / "out")
    assert "no ROI is left (Skull: its name contains 'skull')" in said["problems"][0]
    with pytest.raises(ContourError, match="no ROI is left"):
        run(study.folder, tmp_path / "out", require_structure_set=True)


def test_no_structure_set_is_said(make_study: Callable[..., Any], tmp_path: Path) -> None:
    study = make_study()
    assert run(study.folder, tmp_path / "o")["problems"] == ["there is no RT Structure Set"]
    with pytest.raises(ContourError, match="no RT Structure Set"):
        run(study.folder, tmp_path / "o", require_structure_set=True)


def test_a_series_of_two_volumes_is_refused_by_name(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study(levels=(0, 3, 0, 3))
    study.structure_set({"A": [(3, make_square(5, 6, 10))]})
    (problem,) = run(study.folder, tmp_path / "out")["problems"]
    assert study.series_uid in problem
    assert "in one place" in problem


def test_a_multi_frame_image_is_refused_by_name(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study(levels=(0,), NumberOfFrames=2)
    study.structure_set({"A": [(0, make_square(5, 6, 10))]})
    (problem,) = run(study.folder, tmp_path / "out")["problems"]
    assert "multi-frame" in problem
    sources = sort_out(study.paths)
    with pytest.raises(GeometryError):
        load_series(sources.series[0])


def test_the_output_folder_is_no_input(
    make_study: Callable[..., Any], make_square: Callable[..., Any]
) -> None:
    study = make_study()
    study.structure_set({"A": [(3, make_square(5, 6, 10))]})
    out = study.folder / "out"
    options = ContourOptions(formats=("overlay",))
    first = convert(study.folder, options, out, made_at=MADE_AT)
    again = convert(study.folder, options, out, made_at=MADE_AT)
    assert len(first.outputs) == len(again.outputs) == 4


def test_the_job_takes_and_gives_json_and_reuses_what_is_known(
    make_study: Callable[..., Any], make_square: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study()
    rs = study.structure_set({"A": [(3, make_square(5, 6, 10))]})
    heard: list[float] = []
    request = {
        "images": [str(path) for path in study.paths],
        "structure_sets": [str(rs)],
        "options": {"formats": ["overlay", "json"], "choice": {"ignore": []}},
        "made_at": MADE_AT.isoformat(),
        "out_dir": str(tmp_path / "out"),
    }
    first = json.loads(json.dumps(job.run(request, lambda done, said: heard.append(done))))
    assert heard == sorted(heard)
    assert 0 < heard[0] <= heard[-1] <= 1
    overlays = [item for item in first["outputs"] if item["kind"] == "overlay"]
    assert len(overlays) == 4
    assert len({item["determinant"] for item in overlays}) == 1
    known = [overlays[0]["determinant"]]
    again = job.run(
        request | {"known": known, "made_at": "2027-01-01T00:00:00"}, lambda done, said: None
    )
    assert again["reused"] == known
    assert [item["kind"] for item in again["outputs"]] == ["json"]
    assert again["pairs"] == first["pairs"]


@pytest.mark.parametrize(
    "change",
    [{"series_number": 7}, {"nesting": "xor"}, {"choice": {"ignore": ["x"]}}],
    ids=str,
)
def test_other_options_are_another_determinant(
    make_study: Callable[..., Any],
    make_square: Callable[..., Any],
    tmp_path: Path,
    change: dict[str, Any],
) -> None:
    study = make_study(levels=(0, 3))
    study.structure_set({"A": [(3, make_square(5, 6, 10))]})
    found = [
        convert(
            study.folder,
            ContourOptions.from_json({"formats": ["overlay"], **options}),
            tmp_path / str(number),
            made_at=MADE_AT,
        ).made[0]
        for number, options in enumerate([{}, change])
    ]
    assert found[0].determinant != found[1].determinant
    assert found[0].output.sop_uid != found[1].output.sop_uid
