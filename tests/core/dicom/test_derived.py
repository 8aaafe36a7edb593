from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from isocenter.core.dicom.derived import (
    SourceInstance,
    new_instance_from,
    patient_and_study_of,
)
from isocenter.core.dicom.part10 import DEFLATED_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import read_dataset
from isocenter.core.dicom.writing import write_part10
from isocenter.core.errors import DataSetError, DicomError

ARGUMENTS: dict[str, Any] = {
    "sop_uid": "1.2.3.99",
    "series_uid": "1.2.3.98",
    "series_number": 98,
    "series_description": "Overlay",
    "made_at": datetime(2026, 3, 4, 22, 6, 7, 89, tzinfo=UTC),
    "derivation": "Contours drawn",
}


def test_what_changes_and_what_stays(image: Callable[..., Dataset]) -> None:
    source = image()

    made = new_instance_from(source, **ARGUMENTS)

    assert made.SOPInstanceUID == "1.2.3.99"
    assert made.SeriesInstanceUID == "1.2.3.98"
    assert made.SeriesNumber == 98
    assert made.SeriesDescription == "Overlay"
    assert list(made.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert made.DerivationDescription == "Contours drawn"
    assert (made.ContentDate, made.ContentTime) == ("20260304", "220607.000089")
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert made.ContributingEquipmentSequence[0].Manufacturer == "Isocenter"
    for keyword in (
        "StudyInstanceUID",
        "StudyDate",
        "PatientName",
        "PatientID",
        "Manufacturer",
        "SOPClassUID",
        "InstanceNumber",
        "PixelData",
    ):
        assert made[keyword].value == source[keyword].value


def test_the_source_is_not_touched(image: Callable[..., Dataset]) -> None:
    item = Dataset()
    item.Manufacturer = "Other"
    source = image(ContributingEquipmentSequence=Sequence([item]))
    before = source.to_json()

    made = new_instance_from(source, **ARGUMENTS)
    made.ContributingEquipmentSequence[0].Manufacturer = "changed"
    made.PatientID = "changed"

    assert source.to_json() == before
    assert len(made.ContributingEquipmentSequence) == 2


def test_times_are_the_source_s_own(image: Callable[..., Dataset]) -> None:
    made = new_instance_from(image(TimezoneOffsetFromUTC="+0200"), **ARGUMENTS)

    assert (made.ContentDate, made.ContentTime[:4]) == ("20260305", "0006")


def test_signatures_and_icons_are_not_inherited(image: Callable[..., Dataset]) -> None:
    made = new_instance_from(image(IconImageSequence=[Dataset()]), **ARGUMENTS)

    assert "IconImageSequence" not in made


def test_an_earlier_derivation_is_kept(image: Callable[..., Dataset]) -> None:
    made = new_instance_from(image(DerivationDescription="Averaged"), **ARGUMENTS)

    assert made.DerivationDescription == "Contours drawn; earlier: Averaged"


@pytest.mark.parametrize(
    ("character_set", "expected"), [("ISO_IR 100", "Übersicht"), ("ISO_IR 6", "Ubersicht")]
)
def test_descriptions_fit_the_character_set(
    image_file: Callable[..., Path], tmp_path: Path, character_set: str, expected: str
) -> None:
    source = read_dataset(image_file(SpecificCharacterSet=character_set, PatientName="Doe"))

    made = new_instance_from(source, **{**ARGUMENTS, "series_description": "Übersicht"})
    write_part10(made, tmp_path / "made.dcm")

    assert read_dataset(tmp_path / "made.dcm").SeriesDescription == expected


def test_several_sources(image: Callable[..., Dataset]) -> None:
    refs = [SourceInstance("1.2", "1.3"), SourceInstance("1.2", "1.4")]

    made = new_instance_from(image(), **ARGUMENTS, source_refs=refs)

    named = [str(item.ReferencedSOPInstanceUID) for item in made.SourceImageSequence]
    assert named == ["1.3", "1.4"]


def test_a_source_without_uids_is_refused(image: Callable[..., Dataset]) -> None:
    with pytest.raises(DataSetError, match="SOP Instance UID"):
        new_instance_from(image(SOPInstanceUID=""), **ARGUMENTS)


def test_patient_and_study_alone(image: Callable[..., Dataset]) -> None:
    made = patient_and_study_of(image())

    assert made.PatientName == "Müller^Jörg"
    assert made.StudyInstanceUID == "1.2.3"
    assert "Manufacturer" not in made
    assert "PixelData" not in made


def test_same_source_same_bytes_and_pixels_untouched(
    sample_files: list[Path], tmp_path: Path
) -> None:
    checked = 0
    for path in sample_files[::5]:
        try:
            source = read_dataset(path)
            first = new_instance_from(source, **ARGUMENTS)
            second = new_instance_from(read_dataset(path), **ARGUMENTS)
            write_part10(first, tmp_path / "1.dcm")
            write_part10(second, tmp_path / "2.dcm")
        except DicomError:
            continue
        if "PixelData" not in source:
            continue
        assert (tmp_path / "1.dcm").read_bytes() == (tmp_path / "2.dcm").read_bytes()
        made = read_dataset(tmp_path / "1.dcm")
        assert made.get_item("PixelData").value == source.get_item("PixelData").value, path
        checked += 1

    assert checked > 25


@pytest.mark.parametrize("syntax", [IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED_LITTLE])
def test_every_native_syntax_is_written(
    image: Callable[..., Dataset], tmp_path: Path, syntax: str
) -> None:
    source = image()
    source.file_meta.TransferSyntaxUID = syntax

    write_part10(source, tmp_path / "made.dcm")

    read = read_dataset(tmp_path / "made.dcm")
    assert read.file_meta.TransferSyntaxUID == syntax
    assert read.PatientName == "Müller^Jörg"
    assert [path.name for path in tmp_path.iterdir()] == ["made.dcm"]


def test_what_cannot_be_written_leaves_no_file(
    image: Callable[..., Dataset], tmp_path: Path
) -> None:
    source = image()
    with quiet_pydicom():
        source.add_new(0x00280009, "US", "Doe^John")

    with pytest.raises(DataSetError, match=r"\(0028,0009\)") as caught:
        write_part10(source, tmp_path / "made.dcm")

    assert "Doe" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.peers
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools are not installed")
@pytest.mark.parametrize("file", ["rt_STS_001/CT", "rt_STS_006/MR_T1", "ct_chest_ACRIN/image"])
def test_dciodvfy_finds_no_new_error(shared_data: Path, tmp_path: Path, file: str) -> None:
    source = next(
        path
        for path in sorted((shared_data / file).rglob("*.dcm"))
        if path.parent.name != "rtstruct"
    )
    write_part10(new_instance_from(read_dataset(source), **ARGUMENTS), tmp_path / "made.dcm")

    assert errors(tmp_path / "made.dcm") <= errors(source)


def errors(path: Path) -> set[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False)
    assert done.returncode >= 0, "dciodvfy crashed"
    lines = (done.stderr + done.stdout).decode("latin-1").splitlines()
    return {line for line in lines if line.startswith("Error")}
