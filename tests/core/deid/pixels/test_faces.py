"""A face is taken out of a head, the brain stays, whatever the orientation of the slices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.deid.pixels.faces import deface_series, looks_like_head, names_head
from isocenter.core.deid.policy import Policy
from isocenter.core.deid.pseudonyms.issuing import KeyedPseudonyms
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.study import deidentify_study
from isocenter.core.dicom.pixels import decode_frames
from isocenter.core.dicom.reading import read_dataset

MakeImage = Callable[..., Path]
MM = 4.0  # voxels of the head that is made here
AIR, TISSUE = -1000, 40


def head(top_mm: float = 110) -> tuple[NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]]:
    """(up, back, left) in Hounsfield units, where the nose is, and where the brain is."""
    up, back, left = np.mgrid[-130:130:MM, -130:130:MM, -100:100:MM]
    skull = (up / top_mm) ** 2 + (back / 95) ** 2 + (left / 75) ** 2 < 1
    nose = ((up + 20) / 18) ** 2 + ((back + 100) / 22) ** 2 + (left / 14) ** 2 < 1
    brain = ((up - 25) / 70) ** 2 + ((back - 8) / 65) ** 2 + (left / 55) ** 2 < 1
    values = np.where(skull | nose, TISSUE, AIR).astype("<i2")
    return values, nose, brain


def written(
    values: NDArray[np.int16], make_image: MakeImage, orientation: str, **more: str
) -> tuple[list[Path], NDArray[np.int16]]:
    """The volume as slices; (up, back, left) is turned to (slice, row, column)."""
    turned = values if orientation == "axial" else values.transpose(2, 0, 1)[:, ::-1]
    cosines = [1, 0, 0, 0, 1, 0] if orientation == "axial" else [0, 1, 0, 0, 0, -1]
    paths = []
    for index, plane in enumerate(turned):
        along = [0, 0, index * MM] if orientation == "axial" else [index * MM, 0, 0]
        paths.append(
            make_image(
                plane[np.newaxis],
                SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
                SOPInstanceUID=f"2.25.{index + 10}",
                Modality="CT",
                ImagePositionPatient=along,
                ImageOrientationPatient=cosines,
                PixelSpacing=[MM, MM],
                RescaleSlope=1,
                RescaleIntercept=0,
                **more,
            )
        )
    return paths, np.ascontiguousarray(turned)


@pytest.mark.parametrize("orientation", ["axial", "sagittal"])
def test_the_nose_goes_and_the_brain_stays(make_image: MakeImage, orientation: str) -> None:
    values, nose, brain = head()
    paths, before = written(values, make_image, orientation)
    result = deface_series(paths)
    assert result.refused is None
    assert result.removed_ml > 50
    after = np.stack([decode_frames(read_dataset(path))[0] for path in paths])
    if orientation == "sagittal":
        after, before = (a[:, ::-1].transpose(1, 2, 0) for a in (after, before))
    assert (after[nose] == AIR).all()
    changed = after != before
    assert np.count_nonzero(changed & brain) / np.count_nonzero(brain) < 0.05
    assert not changed[:, after.shape[1] // 2 + 2 :].any()


def test_a_head_without_its_vertex_is_refused(make_image: MakeImage) -> None:
    values, _, _ = head()
    paths, _ = written(values[:40], make_image, "axial")
    before = [path.read_bytes() for path in paths]
    assert "vertex" in (deface_series(paths).refused or "")
    assert [path.read_bytes() for path in paths] == before


def test_oblique_slices_are_refused(make_image: MakeImage) -> None:
    half = np.sqrt(0.5)
    paths = [
        make_image(
            np.zeros((1, 8, 8), "<i2"), Modality="MR", ImagePositionPatient=[0, 0, index],
            ImageOrientationPatient=[half, half, 0, -half, half, 0], PixelSpacing=[1, 1],
        )
        for index in range(3)
    ]  # fmt: skip
    assert "axes" in (deface_series(paths).refused or "")


@pytest.mark.parametrize("pixels", ["off", "ocr"])
def test_a_study_comes_out_without_its_face(
    make_image: MakeImage, tmp_path: Path, pixels: Literal["off", "ocr"]
) -> None:
    values, nose, brain = head()
    paths, before = written(
        values, make_image, "axial", PatientID="P1", PatientName="A^B", BodyPartExamined="HEAD"
    )
    policy = Policy(pixels=pixels, faces="deface")
    secret = Secret(b"a secret for tests, of 256 bits.")
    out = tmp_path / "out"
    report = deidentify_study(paths, out, policy, secret, KeyedPseudonyms(secret))
    assert (report.state, report.reason) == ("released", "")
    found = [read_dataset(path) for path in out.rglob("*.dcm")]
    found.sort(key=lambda dataset: dataset.ImagePositionPatient[2])
    after = np.stack([decode_frames(dataset)[0] for dataset in found])
    assert (after[nose] == AIR).all()
    assert np.count_nonzero((after != before) & brain) / np.count_nonzero(brain) < 0.05
    codes = [item.CodeValue for item in found[0].DeidentificationMethodCodeSequence]
    assert "113102" in codes


def test_what_names_a_head() -> None:
    dataset = Dataset()
    dataset.Modality, dataset.StudyDescription = "MR", "MRI brain w/o contrast"
    assert names_head(dataset)
    dataset.StudyDescription = "femoral head"  # better one too many
    assert names_head(dataset)
    dataset.StudyDescription = "abdomen"
    assert not names_head(dataset)
    dataset.BodyPartExamined = "HEAD"
    assert names_head(dataset)
    dataset.Modality = "RTSTRUCT"
    assert not names_head(dataset)


def test_what_has_the_size_of_a_head() -> None:
    values, _, _ = head()
    assert looks_like_head(values > -300, (MM, MM, MM))
    assert not looks_like_head(values > -300, (MM, 3 * MM, 3 * MM))
