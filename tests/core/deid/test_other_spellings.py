"""Identity in kept attributes, written in another way than the patient's attributes have it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from isocenter.core.deid.engine import Context, ObjectResult, deidentify_object
from isocenter.core.deid.policy import Option
from isocenter.core.deid.proof.identifiers import collect
from isocenter.core.deid.proof.verifier import verify

Deidentify = Callable[..., tuple[Dataset, ObjectResult]]
Encode = Callable[..., bytes]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("coding", ["latin-1", "utf-8", "cp1252", "iso8859-15"])
@pytest.mark.parametrize(
    "keyword", ["BodyPartExamined", "ScanOptions", "Manufacturer", "CodeValue"]
)
@pytest.mark.parametrize("character_set", ["ISO_IR 192", "ISO_IR 100", "ISO_IR 144", "GB18030"])
def test_a_name_in_another_coding_than_the_object_says(
    ct: Dataset,
    encode: Encode,
    context: Callable[..., Context],
    tmp_path: Path,
    coding: str,
    keyword: str,
    character_set: str,
) -> None:
    """Devices write what they were given: the character set in force does not decode it."""
    ct.SpecificCharacterSet = "ISO_IR 192"
    ct.PatientName = "Größmann^Ægir"
    setattr(ct, keyword, "Gr__mann__")
    data = encode(ct).replace(b"Gr__mann__", "Größmann".encode(coding).ljust(10))
    named, old, new = tmp_path / "named.dcm", tmp_path / "old.dcm", tmp_path / "new.dcm"
    named.write_bytes(encode(ct))
    old.write_bytes(data.replace(b"ISO_IR 192", character_set.ljust(10).encode()))
    identifiers = collect([named])  # of the study: another object has the name as it is
    assert deidentify_object(old, new, context(identifiers), durable=False).refused is None
    assert "Größm".encode(coding) not in new.read_bytes()
    assert [f for f in verify([new], identifiers) if f.kind == "name"] == []


@pytest.mark.parametrize("text", ["QX471188", "qx4711-88", "QX 4711 88", "QX_4711_88"])
@pytest.mark.parametrize("keyword", ["Manufacturer", "SoftwareVersions", "CodeValue"])
@pytest.mark.parametrize("whose", ["PatientID", "AccessionNumber"])
def test_a_number_with_other_separators(
    ct: Dataset, deidentify: Deidentify, text: str, keyword: str, whose: str
) -> None:
    setattr(ct, whose, "QX4711-88")
    setattr(ct, keyword, text)
    new, _ = deidentify(ct)
    assert text not in str(new.get(keyword, ""))


def test_short_numbers_stay_numbers(ct: Dataset, deidentify: Deidentify) -> None:
    """``12-34`` without its hyphen is a number like any other."""
    ct.PatientID, ct.SoftwareVersions = "12-34", "1234"
    new, _ = deidentify(ct)
    assert new.SoftwareVersions == "1234"


@pytest.mark.parametrize("keyword", ["SeriesNumber", "AcquisitionNumber", "PatientWeight", "KVP"])
@pytest.mark.parametrize("whose", ["PatientID", "AccessionNumber", "PatientBirthDate"])
def test_a_number_or_a_day_where_a_number_belongs(
    ct: Dataset, encode: Encode, deidentify: Deidentify, tmp_path: Path, keyword: str, whose: str
) -> None:
    value = "19610203" if whose == "PatientBirthDate" else "47118866"
    setattr(ct, whose, value)
    setattr(ct, keyword, value)
    path = tmp_path / "found.dcm"
    path.write_bytes(encode(ct))
    tag = f"({ct[keyword].tag.group:04X},{ct[keyword].tag.element:04X})"
    assert tag in {finding.where for finding in verify([path], collect([path]))}
    new, _ = deidentify(ct, Option.RETAIN_PATIENT_CHARACTERISTICS)
    assert value not in str(new.get(keyword, ""))


def test_numbers_that_are_a_part_of_a_number_stay(ct: Dataset, deidentify: Deidentify) -> None:
    ct.PatientID, ct.AccessionNumber = "47118866", "512"
    ct.SeriesNumber, ct.KVP, ct.InstanceNumber = "471188", "4.7118866", "512"
    new, _ = deidentify(ct)
    assert (new.SeriesNumber, new.KVP, new.InstanceNumber) == (471188, 4.7118866, 512)


def test_bytes_that_an_option_keeps_are_looked_at(ct: Dataset, deidentify: Deidentify) -> None:
    ct.add_new(0x00340007, "OB", b"20240229101112.5")  # Frame Origin Timestamp
    new, _ = deidentify(ct, dates="keep")
    assert new[0x00340007].value == b"20240229101112.5"
    ct.add_new(0x00340007, "OB", b"of PID556677")
    new, _ = deidentify(ct, dates="keep")
    assert 0x00340007 not in new or b"PID" not in new[0x00340007].value
