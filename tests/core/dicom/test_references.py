from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from isocenter.core.dicom.reading import header_of
from isocenter.core.dicom.references import References, named_series, names_others, references_of
from isocenter.core.errors import DataSetError

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"


def item(**attributes: object) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize("case", ["rt_STS_001", "rt_STS_006"])
@pytest.mark.parametrize("modality", ["CT", "MR_T1", "PET"])
def test_a_structure_set_names_its_images(shared_data: Path, case: str, modality: str) -> None:
    folder = shared_data / case / modality
    image = next(path for path in folder.rglob("*.dcm") if path.parent.name != "rtstruct")

    found = references_of(folder / "rtstruct" / "RS.dcm")

    assert found.series == (header_of(image)[1].series_uid,)
    assert len(found.instances) in (61, 86, 267)


def test_a_segmentation_names_its_images(shared_data: Path) -> None:
    found = references_of(shared_data / "ct_chest_ACRIN" / "derived" / "seg_lung.dcm")

    assert len(found.series) == 1
    assert len(found.instances) == 74


def test_a_dose_names_plan_and_structure_set(shared_data: Path) -> None:
    found = references_of(shared_data / "rt_plan_dose" / "rtdose.dcm")

    assert found.series == ()
    assert len(found.instances) == 2


def test_evidence_of_other_studies_does_not_count() -> None:
    def study(uid: str, series: str) -> Dataset:
        reference = item(
            SeriesInstanceUID=series,
            ReferencedSOPSequence=[item(ReferencedSOPInstanceUID=series + ".1")],
        )
        return item(StudyInstanceUID=uid, ReferencedSeriesSequence=[reference])

    report = item(
        StudyInstanceUID="1.1",
        SeriesInstanceUID="1.1.9",
        CurrentRequestedProcedureEvidenceSequence=[study("1.1", "1.1.2"), study("1.7", "1.7.2")],
        PertinentOtherEvidenceSequence=[study("1.1", "1.1.3"), study("1.1", "1.1.2")],
    )

    assert named_series(report) == References(("1.1.2", "1.1.3"), ("1.1.2.1", "1.1.3.1"))


def test_naming_oneself_is_no_reference() -> None:
    own = item(
        SeriesInstanceUID="1.1.9", ReferencedSeriesSequence=[item(SeriesInstanceUID="1.1.9")]
    )

    assert named_series(own) == References()


def test_an_image_names_nothing(image: Callable[..., Dataset]) -> None:
    assert named_series(image()) == References()


@pytest.mark.parametrize(
    ("sop_class", "expected"),
    [
        (SEG, True),
        (RT_DOSE, True),
        ("1.2.840.10008.5.1.4.1.1.88.33", True),
        ("1.2.840.10008.5.1.4.1.1.88.59", True),
        ("1.2.840.10008.5.1.4.1.1.11.1", True),
        ("1.2.840.10008.5.1.4.1.1.2", False),
        ("", False),
    ],
)
def test_who_names_others(sop_class: str, expected: bool) -> None:
    assert names_others(sop_class) is expected


def test_broken_references(image_file: Callable[..., Path]) -> None:
    path = image_file(ReferencedSeriesSequence=[item(SeriesInstanceUID="1.2")])
    data = bytearray(path.read_bytes())
    data[data.index(b"\xfe\xff\x00\xe0")] = 0
    path.write_bytes(bytes(data))

    with pytest.raises(DataSetError):
        references_of(path)
