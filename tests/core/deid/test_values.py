"""The reader that is not the engine's."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from isocenter.core.deid.dataset.values import read_values
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.errors import BoundsError, DataSetError

SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


def nested() -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    dataset.PatientName = "Äneas^Rüdiger"
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 192"
    item.PatientID = "Ж-1"
    inner = Dataset()
    inner.TextValue = "деep"
    item.ContentSequence = Sequence([inner])
    dataset.OtherPatientIDsSequence = Sequence([Dataset(), item])
    block = dataset.private_block(0x0009, "ACME", create=True)
    block.add_new(0x01, "LO", "private words")
    secret = Dataset()
    secret.PatientComments = "in a private sequence"
    block.add_new(0x02, "SQ", Sequence([secret]))
    return dataset


def saved(dataset: Dataset, path: Path, syntax: str) -> Path:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_value_is_read_with_its_character_set(tmp_path: Path, syntax: str) -> None:
    values = read_values(saved(nested(), tmp_path / "a.dcm", syntax)).values
    texts = {value.path: value.decoder.decode(value.raw) for value in values}
    assert texts["(0010,0010)"] == "Äneas^Rüdiger"
    assert texts["(0010,1002)[2]/(0010,0020)"] == "Ж-1"
    assert texts["(0010,1002)[2]/(0040,A730)[1]/(0040,A160)"] == "деep"
    assert texts["(0009,1001)"] == "private words"
    private = [value for value in values if "in a private" in value.decoder.decode(value.raw)]
    assert [value.private for value in private] == [True]


def test_it_finds_what_pydicom_finds(shared_data: Path) -> None:
    folders = ("charsets", "sr", "rt_plan_dose/pydicom_small", "private_tags", "us", "waveform")
    paths = [path for name in folders for path in sorted((shared_data / name).rglob("*.dcm"))]
    assert len(paths) > 30
    for path in paths:
        found = {value.path for value in read_values(path).values}
        with quiet_pydicom():
            wanted = _paths(dcmread(path, force=True))
        taken_apart = {where.partition("[")[0] for where in found}  # sequences that are UN there
        missing = [one for one in wanted if one not in found and one not in taken_apart]
        assert not missing, (path.name, missing[:5])


def _paths(dataset: Dataset, prefix: str = "") -> list[str]:
    paths = []
    for element in dataset:
        tag = element.tag
        where = f"{prefix}({tag.group:04X},{tag.element:04X})"
        if element.VR == "SQ":
            for number, item in enumerate(element.value or (), start=1):
                paths += _paths(item, f"{where}[{number}]/")
        elif tag.group & 0xFF00 not in (0x5000, 0x6000) and tag.group not in (0x7FE0, 0x5400):
            paths.append(where)
    return paths


def test_an_unknown_vr_of_a_known_attribute_is_looked_up(shared_data: Path) -> None:
    path = shared_data / "rt_plan_dose" / "pydicom_small" / "rtdose_rle.dcm"
    vrs = {value.tag: value.vr for value in read_values(path).values}
    assert vrs[0x00100020] == "LO"
    assert vrs[0x00200011] == "IS"


def test_what_is_cut_off_is_an_error(tmp_path: Path) -> None:
    data = saved(nested(), tmp_path / "a.dcm", ExplicitVRLittleEndian).read_bytes()
    for length in range(len(data) - 60, len(data) - 1):
        (tmp_path / "b.dcm").write_bytes(data[:length])
        try:
            read_values(tmp_path / "b.dcm")
        except DataSetError:
            continue
        assert data[:length].endswith(b"sequence"), length  # between two elements


def test_nesting_has_bounds(tmp_path: Path) -> None:
    dataset = Dataset()
    for _ in range(40):
        outer = Dataset()
        outer.ContentSequence = Sequence([dataset])
        dataset = outer
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2", "1.2.3"
    path = saved(dataset, tmp_path / "a.dcm", ExplicitVRLittleEndian)
    with pytest.raises(BoundsError):
        read_values(path)


def test_items_in_un_are_little_endian_whatever_the_rest_is(tmp_path: Path) -> None:
    """PS3.5 6.2.2: an UN sequence is implicit little endian."""
    dataset = nested()
    item = bytes.fromhex("FEFF00E0 12000000 10002000 0A000000") + b"MRN7700510"
    dataset.add_new(0x00090010, "LO", "ACME")
    dataset.add_new(0x00091005, "UN", item)
    for syntax in (ExplicitVRBigEndian, ExplicitVRLittleEndian):
        values = read_values(saved(dataset, tmp_path / "a.dcm", syntax)).values
        found = [value for value in values if value.path == "(0009,1005)[1]/(0010,0020)"]
        assert [value.raw for value in found] == [b"MRN7700510"]


def test_un_that_only_begins_like_a_sequence_is_bytes(tmp_path: Path) -> None:
    dataset = nested()
    value = bytes.fromhex("FEFF00E0 FFFFFFFF") + b"no item at all"
    dataset.add_new(0x00090010, "LO", "ACME")
    dataset.add_new(0x00091005, "UN", value)
    values = read_values(saved(dataset, tmp_path / "a.dcm", ExplicitVRLittleEndian)).values
    assert [one.raw for one in values if one.tag == 0x00091005] == [value]
